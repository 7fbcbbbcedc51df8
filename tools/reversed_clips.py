"""Score trained rows of the tuned track on test clips that are played backwards, and keep what they answer.

    python -m tools.reversed_clips full closed_set/st_adapter-mini_clip-8f [GROUP/ROW ...]

The weights of the rows must be on this disk. A method that does not see the order of frames answers the same; one that
has learned directions gives fewer right answers, because the label stays that of the clip played forwards. The first
dataset of the row is scored, with the most shots. Results are added to reports/reversed/<profile>.json, which
`python -m tools.peers_page` shows.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from vidprism.config import Config, find_root, load_config, paths, rows
from vidprism.evaluation import metrics
from vidprism.evaluation.results import read_json
from vidprism.finetuning.inputs import VideoInputs
from vidprism.finetuning.score import predict
from vidprism.inference.trained import load_trained
from vidprism.records.record import cell_key
from vidprism.records.scores import load_scores
from vidprism.runs.tracks import open_track
from vidprism.runtime import provenance

FOLDER = Path("reports/reversed")
DATASETS = ("ssv2", "kinetics400")  # whose classes are motions; the first that a row has


class Backwards:
    """Inputs whose clips run backwards."""

    def __init__(self, inputs: VideoInputs) -> None:
        self._inputs = inputs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inputs, name)

    def read(self, split: str, positions: np.ndarray) -> np.ndarray:
        """Clips (N, V, T, S, S, 3) from the last frame to the first."""
        return np.ascontiguousarray(self._inputs.read(split, positions)[:, :, ::-1])


def score(config: Config, row: rows.Row) -> dict[str, Any]:
    """Top-1 in percent of a row's test clips forwards and backwards, and the share of videos with the same answer in
    both; means over repeats.

    Raises:
        ConfigError: the row has not been trained here, or is not on the tuned track.
    """
    dataset = next((name for name in DATASETS if name in row.datasets), row.datasets[0])
    shots = max((k for k in row.shots if k is not None), default=None)
    _, inputs = open_track(config, row.track, dataset, row.frames, row.backbone)
    key, fusion = cell_key(dataset, shots), config.profile.analysis.fusion
    kept = load_scores(paths.run(config, row.group, row.key) / "scores.npz", key)
    usable = np.flatnonzero(inputs.usable("test"))
    labels, answers = inputs.labels("test")[usable], []
    for place, repeat in enumerate(row.repeats):
        model = load_trained(config, row, dataset, shots, repeat).tuned
        backwards_NVC, _ = predict(model, Backwards(inputs), "test", usable)
        both = kept.logits[place][usable], backwards_NVC
        answers.append([metrics.fuse(logits_NVC, fusion).argmax(-1) for logits_NVC in both])
    forwards_RN, backwards_RN = np.array(answers).swapaxes(0, 1)
    return {
        "dataset": dataset,
        "shots": shots,
        "videos": len(usable),
        "repeats": len(row.repeats),
        "top1": _percent(forwards_RN == labels),
        "reversed_top1": _percent(backwards_RN == labels),
        "same_answer": _percent(forwards_RN == backwards_RN),
        "code": provenance.code_version(),
    }


def _percent(right_RN: np.ndarray) -> float:
    return round(100 * float(right_RN.mean()), 2)


def main(profile: str, *named: str) -> int:
    """Score rows and add them to the profile's file; exit status 0."""
    root = find_root()
    config, path = load_config(profile, root), root / FOLDER / f"{profile}.json"
    for name in named:
        found = score(config, rows.row(config, *name.split("/")))
        known = read_json(path) if path.is_file() else {}
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dict(sorted({**known, name: found}.items())), indent=1) + "\n", encoding="utf-8")
        print(f"{name}: {found['top1']} forwards, {found['reversed_top1']} backwards", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
