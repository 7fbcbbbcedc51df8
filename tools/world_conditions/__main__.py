"""Measure whether the mini world tells methods from each other.

    python -m tools.world_conditions > reports/world-conditions.txt

Needs the small CLIP of the profile mini (`dvc repro pretrain`). Only control methods run, on a trial world of another
seed (`tools/world_conditions/trial_world.py`), each with a search on its dev clips as in the pipeline. Prints every
control's accuracy, its accuracy within pairs of opposites, and the four conditions of docs/world.md.
Letters: R draws, N test clips, C classes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from tools.world_conditions.trial_world import TrialInputs, make_trial
from vidprism import methods
from vidprism.backbones import load_backbone
from vidprism.config import Config, load_config
from vidprism.evaluation import stats
from vidprism.training.frozen import run_frozen
from vidprism.training.job import Job, plan
from vidprism.world import DATASETS, fingerprint
from vidprism.world.classes import counterparts, told_by_order

SMALL = ("ucf101", "hmdb51", "ssv2")
ORDER_BLIND = ("clip_zeroshot", "mean_pool")
SUMMARIES = ("regression_halves", "regression_moments")
SHOTS = (16, 2)
MOST_POINTS = 4.5  # condition 1


@dataclass
class Found:
    """The answers of all controls on one dataset: logits (R, N, C) by control and shots, and the labels (N,)."""

    labels_N: np.ndarray
    names: list[str]
    logits: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def right(self, control: str, shots: int) -> np.ndarray:
        """Whether each draw answers each clip correctly, (R, N)."""
        return (self.logits[control, shots].argmax(-1) == self.labels_N).astype(np.int8)

    def right_within(self, control: str, pairs: list[tuple[str, str]]) -> np.ndarray:
        """The same for the clips of pairs, where only the two classes of the clip's own pair compete."""
        found = []
        for pair in pairs:
            two = np.array([self.names.index(name) for name in pair])
            of_pair_N = np.isin(self.labels_N, two)
            chosen = two[self.logits[control, SHOTS[0]][:, of_pair_N][..., two].argmax(-1)]
            found.append(chosen == self.labels_N[of_pair_N])
        return np.concatenate(found, axis=1).astype(np.int8)


def measure(config: Config, dataset: str, controls: tuple[str, ...]) -> Found:
    """Search, train and test every control on the trial world of a dataset."""
    p = config.profile
    backbone = load_backbone(p.backbones[p.few_shot.backbone])
    inputs = make_trial(dataset, p.world, backbone)
    found = Found(inputs.labels("test"), sorted(c.name for c in DATASETS[dataset]))
    for control in controls:
        value = _chosen(config, control, inputs)
        for shots in SHOTS:
            draws = p.few_shot.repeats if methods.is_trained(control) else p.few_shot.repeats[:1]
            found.logits[control, shots] = _run(config, control, inputs, value, shots, draws, "test")
            mean = stats.accuracy(found.right(control, shots))
            print(
                f"{dataset:12}{control:22}K={shots:<3} {value!s:9} {mean.value:5.1f} +-{float(mean.half_width()):4.1f}"
            )
    return found


def _chosen(config: Config, control: str, inputs: TrialInputs) -> float | str:
    """The listed value that is best on the dev clips, at `search.shots`."""
    from vidprism.search.trials import values_to_try

    search, labels = config.profile.search, inputs.labels("dev")
    draws = config.profile.protocol.draw_seeds[: search.draws]
    dev = {
        value: (_run(config, control, inputs, value, search.shots, draws, "dev").argmax(-1) == labels).mean()
        for value in values_to_try(config, control)[1]
    }
    return max(dev, key=lambda value: dev[value])


def _run(
    config: Config,
    control: str,
    inputs: TrialInputs,
    value: float | str,
    shots: int,
    draws: tuple[int, ...],
    split: str,
) -> np.ndarray:
    """Train one control at one value and answer a split: logits (R, N, C)."""
    train = config.profile.train
    recipe, prompt_set = plan(config, control, value, train.updates, train.batch_size)
    options = methods.resolve(control, config.methods.get(control, {}), inputs.n_steps)
    training = [inputs.draw(shots, seed) for seed in draws]
    job = Job(control, options, prompt_set, recipe, training, list(draws), split, f"{control} at {value}")
    return run_frozen(job, inputs).logits[:, :, 0]


def conditions(found: dict[str, Found], controls: tuple[str, ...]) -> Iterator[tuple[str, bool]]:
    """Each condition of docs/world.md in words, with its numbers, and whether it is met."""
    trained = [control for control in controls if methods.is_trained(control)]
    temporal = [control for control in trained if control not in (*ORDER_BLIND, *SUMMARIES, "text_linear")]
    for dataset, of_set in found.items():
        yield _smallest(dataset, of_set, trained)
        opposites = counterparts(DATASETS[dataset], "opposite")
        pairs = sorted({tuple(sorted(pair)) for pair in opposites.items()})
        order = [pair for pair in pairs if told_by_order(DATASETS[dataset], pair[0])]
        if pairs:
            yield from (_at_chance(2, dataset, of_set, control, order) for control in SUMMARIES)
            yield _above(dataset, of_set, temporal, order)
            yield from (_at_chance(3, dataset, of_set, control, pairs) for control in ORDER_BLIND)
            yield from (_readable(dataset, of_set, trained, pair) for pair in pairs)
    for shots, wanted in zip(SHOTS, (True, False), strict=True):
        gap = stats.paired(found["ucf101"].right("mean_pool", shots), found["ucf101"].right("clip_zeroshot", shots))
        words = (
            f"4 ucf101: mean pool minus zero-shot at K={shots}: {gap.difference:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"
        )
        yield f"{words}, should be {'above' if wanted else 'not above'} 0", (gap.low > 0) == wanted


def _smallest(dataset: str, found: Found, trained: list[str]) -> tuple[str, bool]:
    pairs = list(itertools.combinations(trained, 2))
    means = [stats.paired(found.right(a, SHOTS[0]), found.right(b, SHOTS[0])).mean for a, b in pairs]
    single, family = ([mean.smallest_separable(n) for mean in means] for n in (1, len(pairs)))
    words = f"median {np.median(single):.1f} points, {min(single):.1f} to {max(single):.1f}"
    holm = f"median {np.median(family):.1f} in a family of {len(pairs)} after Holm"
    return f"1 {dataset}: smallest separable difference of two controls: {words} ({holm})", max(single) <= MOST_POINTS


def _within(found: Found, control: str, pairs: list[tuple[str, str]]) -> tuple[float, float, float]:
    mean = stats.accuracy(found.right_within(control, pairs))
    return mean.value, *mean.interval


def _at_chance(number: int, dataset: str, found: Found, control: str, pairs: list[tuple[str, str]]) -> tuple[str, bool]:
    value, low, high = _within(found, control, pairs)
    words = f"{number} {dataset}: {control} within {len(pairs)} pairs: {value:.1f} % [{low:.1f}, {high:.1f}]"
    return f"{words}, should hold 50", low <= 50 <= high


def _above(dataset: str, found: Found, temporal: list[str], order: list[tuple[str, str]]) -> tuple[str, bool]:
    best = max(temporal, key=lambda control: found.right_within(control, order).mean())
    gaps = {
        control: stats.paired(found.right_within(best, order), found.right_within(control, order))
        for control in SUMMARIES
    }
    least = min(gaps, key=lambda control: gaps[control].low)
    gap = gaps[least]
    words = f"2 {dataset}: {best} minus {least} within {len(order)} pairs: {gap.difference:+.1f}"
    return f"{words} [{gap.low:+.1f}, {gap.high:+.1f}], should be above 0", gap.low > 0


def _readable(dataset: str, found: Found, trained: list[str], pair: tuple[str, str]) -> tuple[str, bool]:
    best = max(trained, key=lambda control: found.right_within(control, [pair]).mean())
    value, low, high = _within(found, best, [pair])
    words = f"3 {dataset}: {' / '.join(pair)}: best {best} {value:.1f} % [{low:.1f}, {high:.1f}]"
    return f"{words}, should be above 50", low > 50


def main() -> None:
    """Measure the three small datasets and print the conditions."""
    config = load_config("mini")
    torch.set_num_threads(config.profile.train.threads)
    controls = tuple(config.profile.search.methods["controls"])
    print(f"world {fingerprint(config.profile.world)}")
    found = {dataset: measure(config, dataset, controls) for dataset in SMALL}
    told = list(conditions(found, controls))
    for words, met in told:
        print(f"{'met    ' if met else 'NOT MET'} {words}")
    print(f"{sum(met for _, met in told)} of {len(told)} met")


if __name__ == "__main__":
    main()
