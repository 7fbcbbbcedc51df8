"""The requirements on methods: a new file in vidprism/methods/ is tested without a new test."""

import numpy as np
import pytest
import torch

from tests.methods import clips_world
from vidprism import methods
from vidprism.config import ConfigError
from vidprism.training import frozen
from vidprism.training.recipe import Recipe, batch_order

B, T, D, C = 4, 8, 16, 5
KEYS = [key for key in methods.available() if methods.says(key, "SEES") == "features"]
TRAINED = [key for key in KEYS if methods.is_trained(key)]
FITTED = [key for key in KEYS if methods.load_method(key).SEARCHED == "c"]
TEXT_D = 64  # width of the small text tower's features
LAST = {"text4vis": "scale", "mote": "scale", "a5": "vectors"}  # what is trained last where the classifier is not
FIXED = {"text_linear"}  # starts with the class texts, whatever the seed


def width(key: str) -> int:
    return TEXT_D if "text" in methods.says(key, "USES") else D


def task(key: str, n_frames: int = T) -> methods.Task:
    dim, words, text = width(key), ("rising", "falling", "turning left", "turning right", "standing still"), None
    text_CD = torch.nn.functional.normalize(torch.randn(C, dim, generator=torch.Generator().manual_seed(1)), dim=-1)
    if "text" in methods.says(key, "USES"):
        text = clips_world.backbone().text_tower()
        text.module.requires_grad_(False)
    return methods.Task(dim, C, n_frames, text_CD, logit_scale=10.0, class_texts=words, text=text)


def clips(key: str, n: int, n_frames: int = T, seed: int = 2) -> torch.Tensor:
    return torch.randn(n, n_frames, width(key), generator=torch.Generator().manual_seed(seed))


def orders(n: int, batch_size: int, updates: int, seeds: list[int]) -> np.ndarray:
    return np.stack([batch_order(n, batch_size, updates, seed) for seed in seeds])


def test_the_methods_of_this_suite_are_found() -> None:
    expected = {"clip_zeroshot", "mean_pool", "temporal_transformer", "vidprism_c", "vidprism_c_released", "vidprism_m"}
    expected |= {"vidprism_m_released"}
    assert expected <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_module_says_what_it_is(key: str) -> None:
    module = methods.load_method(key)
    assert module.LABEL and isinstance(module.LABEL, str)
    assert module.SEARCHED in ("lr", "c", "prompt_set") and isinstance(module.DEFAULTS, dict)
    assert module.__doc__ and module.build.__doc__


def test_labels_differ() -> None:
    assert len({methods.load_method(key).LABEL for key in KEYS}) == len(KEYS)


@pytest.mark.parametrize("n_frames", [8, 32])
@pytest.mark.parametrize("key", KEYS)
def test_forward_gives_a_logit_per_class(key: str, n_frames: int) -> None:
    head = methods.build(key, task(key, n_frames), {}, seed=0)
    output = head(clips(key, B, n_frames))
    assert output.logits.shape == (B, C)
    assert output.fused.shape == (B, head.classifier.in_features if key in FITTED else width(key))
    assert output.logits.isfinite().all()
    if output.expert_weights is not None:
        assert torch.allclose(output.expert_weights.sum(dim=1), torch.ones(B), atol=1e-5)
    assert head.objective(output, torch.arange(B))["total"].shape == ()


@pytest.mark.parametrize("key", TRAINED)
def test_gradients_are_finite_and_reach_the_logits(key: str) -> None:
    head = methods.build(key, task(key), {}, seed=0)
    head.objective(head(clips(key, B)), torch.arange(B))["total"].backward()
    found = {name: p.grad for name, p in head.named_parameters() if p.grad is not None}
    assert all(grad.isfinite().all() for grad in found.values())
    assert any(LAST.get(key, "classifier") in name and grad.abs().sum() > 0 for name, grad in found.items())


@pytest.mark.slow
@pytest.mark.parametrize("key", TRAINED)
def test_overfits_eight_clips(key: str) -> None:
    stack = frozen.Stack([methods.build(key, task(key), {}, seed=0)], "cpu")
    x, labels, seeds = clips(key, 8).numpy(), np.arange(8) % C, [0]
    losses = frozen.fit_stack(stack, x, labels, orders(8, 8, 80, seeds), Recipe(80, 8, 0.02, 0.0, 0.1), seeds, "here")
    logits, _ = stack.predict(lambda at: x[at, None], 8)
    assert losses[0, -1] < 0.5 * losses[0, 0]
    assert (logits[0, :, 0].argmax(axis=1) == labels).all()


@pytest.mark.parametrize("key", KEYS)
def test_a_repeat_does_not_see_the_repeats_beside_it(key: str) -> None:
    seeds, x, labels = [0, 1, 2], clips(key, 12).numpy(), np.arange(12) % C
    recipe = Recipe(5 if methods.is_trained(key) else 0, 6, 0.005, 0.05, 0.1)

    def train(chosen: list[int]) -> tuple[np.ndarray, np.ndarray]:
        stack = frozen.Stack([methods.build(key, task(key), {}, seed) for seed in chosen], "cpu")
        losses = np.empty((len(chosen), 0))
        if recipe.updates:
            losses = frozen.fit_stack(stack, x, labels, orders(12, 6, 5, chosen), recipe, chosen, "here")
        return losses, stack.predict(lambda at: x[at, None], 12)[0]

    together, alone = train(seeds), train([1])
    np.testing.assert_allclose(together[0][1], alone[0][0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(together[1][1], alone[1][0], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("key", FITTED)
def test_a_fit_learns_eight_clips(key: str) -> None:
    head, labels = methods.build(key, task(key), {}, seed=0), np.arange(8) % C
    head.fit(clips(key, 8).numpy(), labels, 1.0)
    assert (head(clips(key, 8)).logits.argmax(dim=1).numpy() == labels).all()


@pytest.mark.parametrize("key", KEYS)
def test_a_module_scores_as_it_does_in_a_stack(key: str) -> None:
    heads = [methods.build(key, task(key), {}, seed).eval() for seed in (3, 4)]
    x = clips(key, B)
    with torch.no_grad():
        direct = np.stack([head(x).logits.numpy() for head in heads])
    stacked, _ = frozen.Stack(heads, "cpu").predict(lambda at: x[at, None].numpy(), B)
    np.testing.assert_allclose(stacked[:, :, 0], direct, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("key", TRAINED)
def test_the_seed_decides_the_initialisation(key: str) -> None:
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    same, again, other = (methods.build(key, task(key), {}, seed) for seed in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    pairs = list(zip(same.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(a, b) for a, b, _ in pairs)
    if key not in FIXED:
        assert any(not torch.equal(a, c) for a, _, c in pairs)


@pytest.mark.parametrize("key", KEYS)
def test_an_unknown_option_names_the_nearest(key: str) -> None:
    known = next(iter(methods.load_method(key).DEFAULTS), None)
    with pytest.raises(ConfigError, match=known or "no option"):
        methods.build(key, task(key), {f"{known}x": 1}, seed=0)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'mean_pool'"):
        methods.load_method("meanpool")
