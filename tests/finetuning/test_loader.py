"""Reading ahead: order, isolation of items that crash, hang or need too much memory, flat memory."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch

from tests.training.toy import ToyBackbone, make_config
from vidprism import backbones
from vidprism.finetuning import loader
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.loader import Failed, read_ahead
from vidprism.runtime.errors import TrainingError
from vidprism.videos.clips import Unreadable

pytestmark = pytest.mark.slow

FAULTS = {3: "crash", 5: "hang", 7: "memory", 11: "unreadable"}


class Items(torch.utils.data.Dataset):
    """Twenty items, some of which fail in different ways; a file notes what was tried."""

    def __init__(self, tried: Path, faults: dict[int, str], size: int = 4) -> None:
        self.tried, self.faults, self.size = tried, faults, size

    def __len__(self) -> int:
        return 20

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        with self.tried.open("a") as file:
            file.write(f"{number}\n")
        fault = self.faults.get(number % 20)
        if fault == "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
        elif fault == "hang":
            time.sleep(600)
        elif fault == "memory":
            raise MemoryError
        elif fault == "unreadable":
            try:
                raise Unreadable("no key frame")
            except Unreadable as error:
                raise TrainingError("a.avi: no key frame") from error
        elif fault == "bug":
            raise KeyError("no such thing")
        return torch.full((self.size,), float(number)), number


def tried(path: Path) -> list[int]:
    return [int(line) for line in path.read_text().split()]


def test_what_goes_wrong_costs_one_item_and_keeps_the_order(tmp_path: Path) -> None:
    items, known = Items(tmp_path / "tried", FAULTS), {}
    numbers = [*range(20), *range(20, 40)]
    found = []
    for number, item in zip(numbers, read_ahead(items, numbers, 2, 2.0, 6, known), strict=True):
        if isinstance(item, Failed):
            known[number % 20] = item
        found.append(item)
    reasons = {i: item.reason for i, item in enumerate(found) if isinstance(item, Failed)}
    assert set(reasons) == {i + p for i in FAULTS for p in (0, 20)}
    assert "decoder crashed" in reasons[3] and str(-signal.SIGSEGV) in reasons[3]
    assert reasons[5] == "decoding took longer than 2 s" and "memory" in reasons[7] and reasons[11] == "no key frame"
    whole = [item for item in found if not isinstance(item, Failed)]
    assert [int(item[1]) for item in whole] == [n for n in numbers if n % 20 not in FAULTS]
    assert all((item[0] == item[1]).all() for item in whole)
    assert not [n for n in tried(items.tried) if n >= 20 and n % 20 in FAULTS], "what failed is not tried again"


def test_without_workers_the_same_but_for_crashes(tmp_path: Path) -> None:
    items = Items(tmp_path / "tried", {7: "memory", 11: "unreadable"})
    found = list(read_ahead(items, range(20), 0, 2.0, 6, {}))
    assert [i for i, item in enumerate(found) if isinstance(item, Failed)] == [7, 11]
    assert tried(items.tried) == list(range(20))


@pytest.mark.parametrize("workers", [0, 1])
def test_an_error_of_the_program_is_no_bad_video(tmp_path: Path, workers: int) -> None:
    with pytest.raises(KeyError, match="no such thing"):
        list(read_ahead(Items(tmp_path / "tried", {2: "bug"}), range(20), workers, 2.0, 6, {}))


def test_it_reads_no_further_than_asked(tmp_path: Path) -> None:
    items = Items(tmp_path / "tried", {})
    reader = read_ahead(items, range(20), 1, 2.0, 3, {})
    next(reader)
    time.sleep(1.0)
    assert len(tried(items.tried)) <= 4
    reader.close()
    assert not [c for c in psutil.Process().children(recursive=True) if "pebble" in " ".join(c.cmdline())]


def test_memory_stays_flat(tmp_path: Path) -> None:
    """10,000 clips through a worker; memory of all processes, within 10 % of what it was after 1,000."""
    items, sizes = Items(tmp_path / "tried", {}, size=8 * 48 * 48 * 3), {}
    for i, _ in enumerate(read_ahead(items, range(10_000), 1, 30.0, 8, {}), 1):
        if i in (1000, 10_000):
            family = [psutil.Process(), *psutil.Process().children(recursive=True)]
            sizes[i] = sum(process.memory_info().rss for process in family)
    assert sizes[10_000] < 1.1 * sizes[1000]


def test_clips_know_their_shape_and_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbones, "load_backbone", lambda spec, device="cpu": ToyBackbone())
    inputs = VideoInputs(make_config(tmp_path), "ucf101", 8, "mini_clip")
    dataset = loader.Clips(inputs, np.array([2, 4]))
    assert dataset[0][0].shape == dataset.shape
    assert dataset.name(3) == inputs.index("train").loc[4, "path"]
