"""One row by name: of the chosen profile with its stage, of another one with its evaluation and nothing left behind."""

import subprocess
from pathlib import Path

import pytest

from tools import repro_one, with_profile
from vidprism.config import load_config

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The commands that would have run; all succeed."""
    commands: list[tuple[str, ...]] = []

    def run(command: tuple[str, ...], **_: object) -> subprocess.CompletedProcess:
        commands.append(tuple(command[2:]))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(repro_one.subprocess, "run", run)
    monkeypatch.setattr(with_profile, "main", lambda profile, *command: commands.append((profile, *command[2:])) or 0)
    return commands


def test_a_row_of_the_chosen_profile_runs_its_stage(ran: list) -> None:
    assert repro_one.main(["few_shot/vidprism_c"]) == 0
    assert ran == [("dvc", "repro", "pipelines/few_shot/dvc.yaml:train_vidprism@mini-vidprism_c")]


def test_a_row_of_another_profile_is_evaluated_too(ran: list, capsys: pytest.CaptureFixture) -> None:
    assert repro_one.main(["closed_set/aim-mini_clip_l-8f", "full"]) == 0
    more = [(one.method, one.backbone) for one in load_config("full").profile.closed_set.more]
    stage = f"pipelines/closed_set/dvc.yaml:train_more@full-row{more.index(('aim', 'mini_clip_l'))}"
    evaluation = ("vidprism.execute", "evaluate", "profile=full", "group=closed_set", "row=aim-mini_clip_l-8f")
    assert ran == [("full", "dvc", "repro", stage), evaluation]
    assert capsys.readouterr().out.splitlines()[-1] == "reports/results/full/closed_set/aim-mini_clip_l-8f.json"


def test_unknown_rows_and_wrong_calls(ran: list, capsys: pytest.CaptureFixture) -> None:
    assert repro_one.main(["few_shot/st_adaptor", "full"]) == 1
    assert "st_adapter" in capsys.readouterr().err
    assert repro_one.main(["few_shot/st_adapter", "ful"]) == 1 and repro_one.main([]) == 2 and not ran
