"""The logistic regressions: their summaries by hand, their fit against scikit-learn, and what they cannot see."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.training.toy import make_row
from vidprism import methods
from vidprism.config import ConfigError, load_config
from vidprism.methods._parts import regression
from vidprism.runs.train import train_here
from vidprism.search import trials

KEYS = ["regression_halves", "regression_moments", "regression_frames"]
N, T, D = 60, 6, 5


def task(n_classes: int, n_steps: int = T, dim: int = D) -> methods.Task:
    return methods.Task(dim, n_classes, n_steps)


def clips(n_classes: int, seed: int = 0, n: int = N) -> tuple[np.ndarray, np.ndarray]:
    """Features (N, T, D) of overlapping classes, and labels (N,)."""
    rng, centres_CTD = np.random.default_rng(seed), np.random.default_rng(9).normal(size=(n_classes, T, D))
    labels = np.arange(n) % n_classes
    return (centres_CTD[labels] + 1.5 * rng.normal(size=(n, T, D))).astype(np.float32), labels


def fitted(key: str, n_classes: int, c: float, n: int = N) -> torch.nn.Module:
    head = methods.build(key, task(n_classes), {}, 0)
    head.fit(*clips(n_classes, n=n), c)
    return head


def summary_by_hand(key: str, features_NTD: np.ndarray) -> np.ndarray:
    """(N, F), one clip, feature and frame at a time."""
    found = []
    for frames_TD in features_NTD.astype(float):
        x = np.array([(f - f.mean()) / np.sqrt(f.var() + 1e-5) for f in frames_TD])
        halves = [x.mean(axis=0), x[T // 2 :].mean(axis=0) - x[: T // 2].mean(axis=0)]
        slopes = [np.polyfit(np.arange(T), x[:, d], 1)[0] for d in range(D)]
        changes = sum(np.abs(x[t + 1] - x[t]) for t in range(T - 1)) / (T - 1)
        parts = {
            "regression_halves": halves,
            "regression_moments": [x.mean(axis=0), x.std(axis=0), slopes, changes],
            "regression_frames": list(x),
        }
        found.append(np.concatenate(parts[key]))
    return np.array(found)


@pytest.mark.parametrize("key", KEYS)
def test_the_summary_is_that_of_loops(key: str) -> None:
    features = clips(3)[0]
    found = methods.build(key, task(3), {}, 0)(torch.from_numpy(features)).fused
    np.testing.assert_allclose(found.numpy(), summary_by_hand(key, features), atol=1e-5)


def test_half_difference_slope_and_change_of_four_frames() -> None:
    """One feature is 1, 1, -1, 1 over time and the other one its negative, so that normalisation changes nothing."""
    frames = torch.tensor([1.0, 1, -1, 1])[None, :, None] * torch.tensor([1.0, -1])
    two_numbers = task(2, n_steps=4, dim=2)
    halves = methods.build("regression_halves", two_numbers, {}, 0)(frames).fused[0, ::2]
    torch.testing.assert_close(halves, torch.tensor([0.5, 0 - 1]), atol=1e-4, rtol=0)
    moments = methods.build("regression_moments", two_numbers, {}, 0)(frames).fused[0, ::2]
    slope = (-1.5 * 1 - 0.5 * 1 + 0.5 * -1 + 1.5 * 1) / (1.5**2 + 0.5**2 + 0.5**2 + 1.5**2)
    torch.testing.assert_close(moments, torch.tensor([0.5, 0.75**0.5, slope, 4 / 3]), atol=1e-4, rtol=0)
    odd = torch.cat([frames, frames[:, :1]], dim=1)  # 1, 1, -1, 1, 1: the middle frame belongs to no half
    halves = methods.build("regression_halves", task(2, n_steps=5, dim=2), {}, 0)(odd).fused[0, ::2]
    torch.testing.assert_close(halves, torch.tensor([0.6, 0.0]), atol=1e-4, rtol=0)


@pytest.mark.parametrize("n", [N, 8])  # 8 clips are fewer than the dimensions of any summary
@pytest.mark.parametrize("n_classes", [2, 4])
@pytest.mark.parametrize("c", [0.01, 10])
@pytest.mark.parametrize("key", KEYS)
def test_a_fit_has_scikit_learns_probabilities(key: str, c: float, n_classes: int, n: int) -> None:
    features, labels = clips(n_classes, n=n)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=c, tol=1e-10, max_iter=100_000))
    model.fit(summary_by_hand(key, features), labels)
    unseen, _ = clips(n_classes, seed=1)
    with torch.no_grad():
        found = fitted(key, n_classes, c, n)(torch.from_numpy(unseen)).logits.softmax(dim=1)
    np.testing.assert_allclose(found.numpy(), model.predict_proba(summary_by_hand(key, unseen)), atol=1e-4)


@pytest.mark.parametrize("key", KEYS)
def test_a_fit_does_not_depend_on_the_start_or_the_order(key: str) -> None:
    features, labels = clips(4)
    one, two = (methods.build(key, task(4), {}, seed) for seed in (0, 1))
    one.fit(features, labels, 1.0)
    two.fit(features[::-1].copy(), labels[::-1].copy(), 1.0)
    torch.testing.assert_close(one.classifier.weight, two.classifier.weight, atol=1e-4, rtol=1e-4)


def test_a_smaller_c_shrinks_the_weights() -> None:
    norms = [fitted("regression_frames", 4, c).classifier.weight.norm().item() for c in (0.001, 0.1, 10)]
    assert norms[0] < 0.2 * norms[1] < 0.2 * norms[2]


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_what_cannot_be_fitted_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    features, labels = clips(3)
    head = methods.build("regression_halves", task(4), {}, 0)
    with pytest.raises(ValueError, match="no training clip has label 3"):
        head.fit(features, labels, 1.0)
    head = methods.build("regression_halves", task(3), {}, 0)
    with pytest.raises(ValueError, match="not finite"):
        head.fit(features * np.float32("inf"), labels, 1.0)
    monkeypatch.setattr(regression, "MOST_ITERATIONS", 1)
    with pytest.raises(ValueError, match="not converged after 1 iterations with c 10; lower c"):
        head.fit(features, labels, 10)


def in_state(steps: tuple[int, ...], n: int, seed: int) -> np.ndarray:
    """Clips (n, 8, D) that show one state at `steps` and another one at all other steps, with a little noise."""
    rng = np.random.default_rng(seed)
    states = np.random.default_rng(5).normal(size=(2, D))
    shown_T = np.isin(np.arange(8), steps).astype(int)
    return (states[shown_T] + 0.05 * rng.normal(size=(n, 8, D))).astype(np.float32)


def accuracy(key: str, first: tuple[int, ...], second: tuple[int, ...]) -> float:
    """The share of unseen clips of two classes that a regression fitted on 40 clips tells."""
    head, labels = methods.build(key, task(2, n_steps=8), {}, 0), np.repeat([0, 1], 20)
    train, test = (np.concatenate([in_state(first, 20, s), in_state(second, 20, s + 1)]) for s in (0, 10))
    head.fit(train, labels, 1.0)
    with torch.no_grad():
        return float((head(torch.from_numpy(test)).logits.argmax(dim=1).numpy() == labels).mean())


@pytest.mark.parametrize(
    ("first", "second", "blind"),
    [
        ((0, 1), (6, 7), set()),  # a reversal
        ((1, 6), (2, 5), {"regression_halves", "regression_moments"}),  # equal halves, slope and number of changes
        ((0, 3), (1, 2), {"regression_halves"}),  # the order within a half; the state changes three times or twice
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_what_a_summary_of_time_tells(key: str, first: tuple[int, ...], second: tuple[int, ...], blind: set) -> None:
    found = accuracy(key, first, second)
    assert found < 0.8 if key in blind else found == 1


@pytest.mark.parametrize("key", KEYS)
def test_a_single_time_step_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="at least 2 of them in a clip, not 1"):
        methods.build(key, task(2, n_steps=1), {}, 0)


@pytest.mark.parametrize("key", KEYS)
def test_the_tuned_track_refuses_it(key: str) -> None:
    config = load_config("mini")
    with pytest.raises(ConfigError, match=f"'{key}' is fitted on cached features and cannot be trained on the tuned"):
        train_here(config, make_row(key))
    with pytest.raises(ConfigError, match="remove it from the lists of methods of that track"):
        trials.setting_of(config, key, "mini_clip", "tuned")
    methods.check_track(key, "frozen")
    methods.check_track("mean_pool", "tuned")
