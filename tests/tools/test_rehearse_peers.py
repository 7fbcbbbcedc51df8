"""The rehearsal of the peers, on small models; and the committed one."""

import json

import pytest

from tools import rehearse_peers
from vidprism import complexity, methods
from vidprism.complexity import published
from vidprism.config import find_root, load_config

PEERS = [key for key in methods.available() if methods.says(key, "IS_PEER")]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in ("B16", "L14"):
        name = "mini_clip" if size == "B16" else "mini_clip_l"
        monkeypatch.setattr(rehearse_peers, size, {"clip": name, "viclip": name})


@pytest.mark.slow
@pytest.mark.parametrize("method", PEERS)
def test_a_peer_makes_one_update(small: None, method: str) -> None:
    found = rehearse_peers.rehearse(load_config("paper"), method)
    assert found["loss"] > 0 and 0 < found["moved"] <= found["tensors"]
    assert found["parameters"]["B/16"] < found["parameters"]["L/14"]


def test_a_wrong_formula_is_found(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearse_peers, "trained", lambda model: 1)
    with pytest.raises(RuntimeError, match="vifi_clip trains 1 parameters at B/16, by its formula"):
        rehearse_peers.rehearse(load_config("paper"), "vifi_clip")


def test_the_recipe_is_that_of_the_authors() -> None:
    config = load_config("paper")
    assert rehearse_peers.recipe_of(config, "x_clip").tuned.mix == "mixup_cutmix"
    assert rehearse_peers.recipe_of(config, "x_clip").lr == 0.00008
    assert rehearse_peers.recipe_of(config, "stan").lr == config.profile.search.lr[0]


def test_the_committed_rehearsal_is_of_every_peer_and_of_these_formulas() -> None:
    found = json.loads((find_root() / rehearse_peers.FILE).read_text(encoding="utf-8"))
    assert list(found) == PEERS
    for method, facts in found.items():
        key = rehearse_peers.ON.get(method, "clip")
        for size, parameters in facts["parameters"].items():
            name = (rehearse_peers.B16 if size == "B/16" else rehearse_peers.L14)[key]
            options = methods.resolve(method, load_config("paper").methods.get(method, {}), rehearse_peers.FRAMES)
            counted = complexity.count(method, name, 8, n_classes=rehearse_peers.CLASSES, options=options, key=key)
            assert counted.trainable_parameters == parameters, (method, size)
    assert published.TOWERS["B/16"] == rehearse_peers.B16["clip"]
