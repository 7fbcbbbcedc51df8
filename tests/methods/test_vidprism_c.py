"""VidPrism-C as a method: its options are the head's switches, its rates those of the paper."""

import pytest
import torch

from vidprism import methods
from vidprism.config import ConfigError
from vidprism.methods import vidprism_c
from vidprism.model import readings


@pytest.mark.parametrize(
    ("n_frames", "rates"), [(8, [2, 4, 8]), (32, [2, 4, 8, 16]), (16, [2, 4, 8, 16]), (12, [2, 4])]
)
def test_default_rates_are_those_of_section_4_1(n_frames: int, rates: list[int]) -> None:
    assert methods.resolve("vidprism_c", {}, n_frames)["rates"] == rates


def test_no_rate_divides_an_odd_length() -> None:
    with pytest.raises(ConfigError, match="rates"):
        vidprism_c.default_rates(7)


def test_rates_that_do_not_divide_the_frames_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[16\] do not divide clips of 8 time steps"):
        methods.resolve("vidprism_c", {"rates": [2, 16]}, 8)


@pytest.mark.parametrize("rates", [2, "2", [], {}, [2.0], [True], ["2"]])
@pytest.mark.parametrize("key", ["vidprism_c", "vidprism_c_released"])
def test_rates_must_be_a_list_of_whole_numbers(key: str, rates: object) -> None:
    with pytest.raises(ConfigError, match="rates must be a list of whole numbers"):
        methods.resolve(key, {"rates": rates}, 8)


def test_wrong_rates_of_a_length_without_default_rates_are_named() -> None:
    with pytest.raises(ConfigError, match=r"rates \[2\] do not divide clips of 7 time steps .*; choose from \[1, 7\]"):
        methods.resolve("vidprism_c", {"rates": [2]}, 7)


@pytest.mark.parametrize(("key", "reading"), [("vidprism_c", "paper"), ("vidprism_c_released", "released")])
def test_every_switch_is_resolved(key: str, reading: str) -> None:
    found = methods.resolve(key, {}, 8)
    assert found["reading"] == reading
    assert {k: v for k, v in found.items() if k not in ("reading", "rates")} == readings.resolve_switches(reading, {})


def test_the_two_readings_are_one_class() -> None:
    assert methods.resolve("vidprism_c", {"reading": "released"}, 8) == methods.resolve("vidprism_c_released", {}, 8)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"div": "expert_cos3"}, "expert_cos2"),
        ({"reading": "relased"}, "released"),
        ({"reading": ["paper"]}, "paper"),
        ({"tau": -1}, "tau"),
    ],
)
def test_a_wrong_value_is_refused_with_a_hint(options: dict, hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        methods.resolve("vidprism_c", options, 8)


def test_a_switch_reaches_the_head() -> None:
    task = methods.Task(16, 5, 8, torch.eye(5, 16))
    head = methods.build("vidprism_c", task, {"rates": [2, 4], "combination": "avg", "lambda_div": 0}, 0)
    assert (
        head.head.rates == (2, 4) and head.head.switches["combination"] == "avg" and head.head.loss_weights["div"] == 0
    )


def test_class_texts_enter_the_released_objective_only() -> None:
    task, x = methods.Task(16, 5, 8, torch.eye(5, 16)), torch.randn(4, 8, 16)
    terms = {
        key: set(head.objective(head(x), torch.arange(4)))
        for key in ("vidprism_c", "vidprism_c_released")
        for head in [methods.build(key, task, {}, 0)]
    }
    assert terms["vidprism_c_released"] - terms["vidprism_c"] == {"text"}


def test_the_released_reading_of_videomae_has_no_text_loss() -> None:
    options = methods.resolve("vidprism_m_released", {}, 8)
    assert (options["reading"], options["lambda_text"], options["act"]) == ("released", 0.0, "quickgelu")
    assert methods.resolve("vidprism_m", {"reading": "released"}, 8) == options
    head = methods.build("vidprism_m_released", methods.Task(16, 3, 8), {}, seed=0)
    output = head(torch.randn(4, 8, 16))
    assert torch.isfinite(head.objective(output, torch.arange(4) % 3)["total"])
    with pytest.raises(ConfigError, match="lambda_text needs class texts"):
        methods.build("vidprism_m", methods.Task(16, 3, 8), {"lambda_text": 0.01}, seed=0)
