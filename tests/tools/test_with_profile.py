"""Choosing a profile is one line; a run with another profile restores that line and changes nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tools.with_profile import choose, main

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TEXT = "seed: 1\nsmoke: &smoke {name: smoke}\nmini: &mini {name: mini}\nprofile: *mini\n"


@pytest.fixture
def params(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "params.yaml"
    path.write_text(TEXT)
    return path


def python(program: str) -> tuple[str, str, str]:
    return sys.executable, "-c", f"import os, sys, time; from pathlib import Path; p = Path('params.yaml'); {program}"


def test_one_line_changes() -> None:
    assert choose(TEXT, "smoke") == TEXT.replace("profile: *mini", "profile: *smoke")


def test_a_file_without_the_line_is_refused() -> None:
    with pytest.raises(SystemExit, match="exactly one line"):
        choose("seed: 1\n", "smoke")


def test_a_profile_that_does_not_exist_is_refused(params: Path) -> None:
    with pytest.raises(SystemExit, match="no profile 'smok'"):
        main("smok", *python("sys.exit(0)"))
    with pytest.raises(SystemExit, match="no-such-command cannot be started: No such file"):
        main("smoke", "no-such-command")
    assert params.read_text() == TEXT and os.listdir() == ["params.yaml"]


def test_the_line_is_put_back_also_after_a_failure(params: Path) -> None:
    assert main("smoke", *python("sys.exit(3 if '*smoke' in p.read_text() else 4)")) == 3
    assert params.read_text() == TEXT and os.listdir() == ["params.yaml"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_an_edit_made_meanwhile_stays(params: Path, end: str) -> None:
    params.write_bytes(TEXT.replace("\n", end).encode())
    edit = "p.write_bytes(p.read_bytes().replace(b'seed: 1', b'seed: 2') + b'# new')"
    assert main("smoke", *python(edit)) == 0
    assert params.read_bytes().decode() == TEXT.replace("\n", end).replace("seed: 1", "seed: 2") + "# new"


def test_another_choice_made_meanwhile_stays(params: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit = "p.write_text(p.read_text().replace('*smoke', '*paper'))"
    assert main("smoke", *python(edit)) == 0
    assert params.read_text() == TEXT.replace("*mini", "*paper") and "stays as it is" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_command_and_all_it_started_and_puts_the_line_back(params: Path, number: int) -> None:
    """Also an edit made meanwhile stays, and what takes its time to end is waited for."""
    slow = (
        "import signal, sys, time; from pathlib import Path; "
        f"signal.signal({int(number)}, lambda *_: (time.sleep(0.3), Path('ended').write_text('*smoke' in "
        "Path('params.yaml').read_text() and 'in time' or 'late'), sys.exit())); Path('started').touch(); "
        "time.sleep(60)"
    )
    parent = python(f"import subprocess; subprocess.Popen([sys.executable, '-c', {slow!r}]); time.sleep(60)")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-m", "tools.with_profile", "smoke", *parent], env=environment)
    while not Path("started").exists():
        time.sleep(0.02)
    assert "*smoke" in params.read_text()
    params.write_text(params.read_text().replace("seed: 1", "seed: 2"))
    process.send_signal(number)
    assert process.wait(20) == 128 + number
    assert Path("ended").read_text() == "in time"
    assert params.read_text() == TEXT.replace("seed: 1", "seed: 2")
