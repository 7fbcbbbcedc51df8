"""The arithmetic of what the paper profile costs, against sums written out by hand."""

import pytest

from benchmarks import paper_cost
from vidprism import methods
from vidprism.complexity import count
from vidprism.config import Config, load_config
from vidprism.config.rows import GROUPS, row, rows

B16 = "ViT-B-16-quickgelu"


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config("paper")


def test_a_trained_cell(config: Config) -> None:
    found = paper_cost.cell(config, row(config, "closed_set", "mean_pool-clip_b16-8f"), "kinetics400", None)
    macs = count("mean_pool", B16, 8, n_classes=400, options={}).macs
    clips = 3 * 20000 * 64  # repeats, updates, batch
    assert found.training == clips * 2 * macs * 4  # forward, backward as two, checkpointing
    assert found.scoring == 3 * 19881 * 4 * 3 * 2 * macs
    assert found.decoding_ms == pytest.approx(clips * 82 + (1 + 3) * 19881 * (82 + 0.31 * 8 * 3))
    head = 2 * 512 + 512 * 400 + 400  # norm and classifier
    assert found.bytes == 4 * (3 * head + 3 * 19881 * 12 * 400)


def test_what_is_not_trained_is_scored_once(config: Config) -> None:
    found = paper_cost.cell(config, row(config, "few_shot", "clip_zeroshot"), "hmdb51", 2)
    macs = count("clip_zeroshot", B16, 32, n_classes=51, options={}).macs
    assert found.training == 0 and found.scoring == 1530 * 12 * 2 * macs


def test_epochs_of_the_authors_are_passes_over_the_clips_of_the_cell(config: Config) -> None:
    table1, table2 = row(config, "closed_set", "vifi_clip-clip_b16-8f"), row(config, "few_shot", "vifi_clip")
    assert paper_cost.clips_of(table1, "kinetics400", None) == 30 * 240_436
    assert paper_cost.clips_of(table2, "hmdb51", 16) == 50 * 16 * 51
    assert paper_cost.clips_of(row(config, "few_shot", "a5"), "hmdb51", 16) == 2000 * 64  # its authors give no epochs
    stan = row(config, "few_shot", "stan")
    assert paper_cost.clips_of(stan, "hmdb51", 16) == stan.updates * stan.batch_size


def test_every_row_that_runs_is_counted_once(config: Config) -> None:
    running = [r for group in GROUPS for r in rows(config, group).values() if not r.off]
    costs = paper_cost.of_tables(config)
    assert sum(n for n, _, _ in costs.values()) == len(running)
    trained = [r for r in running if methods.is_trained(r.method)]
    assert sum(n for _, n, _ in costs.values()) == sum(len(r.cells) * len(r.repeats) for r in trained)
    assert {"Table 1", "Table 2", "Table 3", "Table 4", "Table 5"} < set(costs)


def test_the_search_is_counted(config: Config) -> None:
    n_methods, n_trained, cost = paper_cost.searched(config)
    # all but A5, OST, Text4Vis, ViFi-CLIP and X-CLIP, whose rows have the rates of their authors
    assert (n_methods, n_trained) == (15, 14 * 4 * 3 * 4)  # trained methods, rates, draws, datasets
    assert cost.decoding_ms > n_trained / 4 * 500 * 64 * sum(data.clip_ms for data in paper_cost.DATA.values())


def test_a_gpu_twice_as_fast_needs_twice_the_cores(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    before = paper_cost.rates(config)
    assert {(b, f) for b, f, *_ in before} == {(b, f) for b in ("clip_b16", "clip_l14") for f in (8, 16, 32)}
    monkeypatch.setattr(paper_cost, "SUSTAINED", 2 * paper_cost.SUSTAINED)
    after = paper_cost.rates(config)
    assert [r[4] for r in after] == pytest.approx([2 * r[4] for r in before])


def test_every_dataset_of_the_profile_has_its_numbers(config: Config) -> None:
    assert set(config.profile.datasets) == set(paper_cost.DATA)


def test_states_of_a_repeat(config: Config) -> None:
    trained = count("vidprism_c", B16, 32, n_classes=400).trainable_parameters
    assert paper_cost.states(config)["clip_b16"] == 12 * trained
