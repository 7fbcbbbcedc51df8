"""The cost of the paper profile's tables on a GPU, computed from params.yaml; nothing was run.

`python -m benchmarks.paper_cost` prints the tables of docs/scaling.md. Multiply-adds and parameters are those of
`vidprism.complexity`. The assumptions are listed below and printed with the numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vidprism import methods
from vidprism.complexity import Count, count
from vidprism.config import Config, load_config
from vidprism.config.rows import GROUPS, Row, rows
from vidprism.report.tables import ablations, identity
from vidprism.search.search import rates_of_authors
from vidprism.search.trials import setting_of, values_to_try

# Assumptions. A multiply-add is two operations; the backward pass costs two forward passes, checkpointing one more.
SUSTAINED = 125e12  # operations a second: 40 % of the 312e12 that an A100 is sold with in bfloat16. Not measured
BACKWARD, RECOMPUTED = 2, 1
USAGE_CLIPS = 16  # training clips a class over which the use of experts is averaged (docs/protocol.md)
STATE_BYTES = 12  # a parameter's: weight and two moments of AdamW in float32


@dataclass(frozen=True)
class Data:
    """Classes, training and test videos of a split, and milliseconds of one core (docs/speed.md, this suite's machine)
    for a training clip: to read one video and make 32 frames of it.
    """

    classes: int
    train: int
    test: int
    clip_ms: float


# Kinetics: measured on 10 s of H.264, a key frame every 12. Something-Something: VP9 of 4 s, 32.5 ms, and 6 to resize.
# The avi files of the others were not measured: decord's 125 ms for 250 frames, by their number of frames.
DATA = {
    "ucf101": Data(101, 9_537, 3_783, 90),
    "hmdb51": Data(51, 3_570, 1_530, 48),
    "ssv2": Data(174, 168_913, 24_777, 39),
    "kinetics400": Data(400, 240_436, 19_881, 82),
}
FRAME_MS = 0.31  # RGB, resizing and cropping of one frame more


@dataclass(frozen=True)
class Cost:
    """Operations, milliseconds of decoding, and bytes of weights and scores; costs add up."""

    training: float = 0.0
    scoring: float = 0.0
    decoding_ms: float = 0.0
    bytes: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Cost(*(a + b for a, b in pairs))

    @property
    def gpu_hours(self) -> float:
        """Hours of one GPU at the assumed speed, without decoding."""
        return (self.training + self.scoring) / SUSTAINED / 3600

    @property
    def core_hours(self) -> float:
        """Of one core that decodes."""
        return self.decoding_ms / 3.6e6

    @property
    def cores_per_gpu(self) -> float:
        """Cores that must decode for one GPU to be busy all the time, on average."""
        return self.core_hours / self.gpu_hours


def step_factor(config: Config) -> int:
    """The cost of an update in forward passes."""
    return 1 + BACKWARD + (RECOMPUTED if config.profile.train.grad_checkpointing else 0)


def counted(config: Config, row: Row, dataset: str) -> Count:
    """Multiply-adds of one view and parameters of a row's model."""
    spec = config.profile.backbones[row.backbone]
    options = methods.resolve(row.method, row.options, row.frames)
    classes = DATA[dataset].classes
    return count(row.method, spec.model, row.frames, n_classes=classes, options=options, track=row.track, key=spec.key)


def clips_of(row: Row, dataset: str, shots: int | None) -> int:
    """Clips that the training of one repeat sees: updates times batch, or the epochs of its authors' recipe."""
    if not methods.is_trained(row.method):
        return 0
    if row.own is None or not row.own.epochs:
        return row.updates * row.batch_size
    return row.own.epochs * (DATA[dataset].train if shots is None else shots * DATA[dataset].classes)


def cell(config: Config, row: Row, dataset: str, shots: int | None) -> Cost:
    """One cell with all its repeats: training, scoring of every view, use of experts, and what stays on disk."""
    data, protocol = DATA[dataset], config.profile.protocol
    model = counted(config, row, dataset)
    trained = methods.is_trained(row.method)
    repeats, views = len(row.repeats) if trained else 1, protocol.n_clips * protocol.n_crops
    clips = repeats * clips_of(row, dataset, shots)
    used = repeats * USAGE_CLIPS * data.classes if row.method.startswith("vidprism") else 0
    decoded_test_ms = data.clip_ms + FRAME_MS * row.frames * (protocol.n_clips - 1)
    tower = _tower(config, row, dataset)
    # adapters train in a frozen tower; the text tower of the methods that train it is counted with the head
    head = model.trainable_parameters - (tower if model.trainable_parameters >= tower else 0) if trained else 0
    scores = len(row.repeats) * data.test * views * data.classes
    return Cost(
        training=2.0 * model.macs * clips * step_factor(config),
        scoring=2.0 * model.macs * (repeats * data.test * views + used),
        # test videos are tried once a cell, and decoded again for each repeat
        decoding_ms=(clips + used) * data.clip_ms + (1 + repeats) * data.test * decoded_test_ms,
        bytes=4.0 * (repeats * head + scores),
    )


def _tower(config: Config, row: Row, dataset: str) -> int:
    """Parameters of the backbone, from a method that learns nothing."""
    spec = config.profile.backbones[row.backbone]
    return count("clip_zeroshot", spec.model, row.frames, n_classes=DATA[dataset].classes, options={}).parameters


def searched(config: Config) -> tuple[int, int, Cost]:
    """Searches, models that they train and cost of all, on the first backbone, without rates that are added at an edge
    (at most two a search); dev pools have one view a video.
    """
    p, found, n_methods, n_trained = config.profile, Cost(), 0, 0
    for method in (m for ms in p.search.methods.values() for m in ms if not rates_of_authors(config, m)):
        setting, learns = setting_of(config, method, p.few_shot.backbone), methods.is_trained(method)
        n_models = len(values_to_try(config, method)[1]) * len(setting.draws)
        options = config.methods.get(method, {})
        row = Row("search", method, method, p.few_shot.backbone, setting.frames, (), (), (0,), options, "tuned", 0, 0)
        for dataset in setting.datasets:
            macs = counted(config, row, dataset).macs
            clips = setting.updates * setting.batch_size if learns else 0
            dev = p.protocol.dev_per_class * DATA[dataset].classes
            once = Cost(
                2.0 * macs * clips * step_factor(config), 2.0 * macs * dev, (clips + 2 * dev) * DATA[dataset].clip_ms
            )
            found += sum([once] * n_models, Cost())
            n_trained += n_models if learns else 0
        n_methods += 1
    return n_methods, n_trained, found


def parts(config: Config) -> Iterator[tuple[str, list[Row]]]:
    """The rows of each table; the default of the ablations stands in three of them and is trained once."""
    of_group = {group: [row for row in rows(config, group).values() if not row.off] for group in GROUPS}
    yield "Table 1", of_group["closed_set"]
    yield "Table 2", of_group["few_shot"]
    trained = ablations.runs(config, {})
    homes: dict[str, int | str] = {
        key: ablations.home(identity.changed_options(found))[0] for key, found in trained.items()
    }
    homes[ablations.default(config)] = "default row"
    names = {3: "Table 3", 4: "Table 4", 5: "Table 5", "default row": "default row of Tables 3 to 5", 0: "readings"}
    for where, name in names.items():
        yield name, [row for row in of_group["ablations"] if homes[row.key] == where]


def of_tables(config: Config) -> dict[str, tuple[int, int, Cost]]:
    """Table -> rows, trained models (cells times repeats), cost."""
    found = {}
    for name, chosen in parts(config):
        models = sum(len(r.cells) * len(r.repeats) for r in chosen if methods.is_trained(r.method))
        found[name] = len(chosen), models, sum((cell(config, r, d, k) for r in chosen for d, k in r.cells), Cost())
    return found


def rates(config: Config) -> list[tuple[str, int, str, float, float, float]]:
    """(backbone, frames, dataset, clips a second in training, cores that decode them, cores while scoring) of one GPU
    and VidPrism.
    """
    protocol = config.profile.protocol
    running = [row for group in GROUPS for row in rows(config, group).values() if not row.off]
    found = []
    for backbone, frames, dataset in sorted({(r.backbone, r.frames, d) for r in running for d in r.datasets}):
        row = Row("few_shot", "", "vidprism_c", backbone, frames, (), (), (0,), {}, "tuned", 0, 0)
        data, macs = DATA[dataset], counted(config, row, dataset).macs
        clips = SUSTAINED / (2.0 * macs * step_factor(config))
        videos = SUSTAINED / (2.0 * macs * protocol.n_clips * protocol.n_crops)
        video_ms = data.clip_ms + FRAME_MS * frames * (protocol.n_clips - 1)
        found.append((backbone, frames, dataset, clips, clips * data.clip_ms / 1e3, videos * video_ms / 1e3))
    return found


def states(config: Config) -> dict[str, float]:
    """Backbone -> bytes of the saved state of one repeat (VidPrism, the most classes)."""
    row = {"frames": 32, "datasets": (), "shots": (), "repeats": (0,), "options": {}, "track": "tuned"}
    found = {}
    for name, spec in config.profile.backbones.items():
        if spec.key == "clip":
            made = Row("few_shot", "", "vidprism_c", name, updates=0, batch_size=0, **row)
            found[name] = float(STATE_BYTES * counted(config, made, "kinetics400").trainable_parameters)
    return found


def run() -> dict[str, str]:
    """One line a table, for `python -m benchmarks`."""
    costs = of_tables(load_config("paper"))
    return {
        name: f"{n} rows, {cost.gpu_hours:,.0f} GPU hours, {cost.core_hours:,.0f} core hours of decoding"
        for name, (n, _, cost) in costs.items()
    }


def main() -> None:
    """Print the three tables in Markdown."""
    config = load_config("paper")
    print("| table | rows | trained models | GPU hours | of them scoring | core hours of decoding | cores a GPU | GB |")
    print("|---|---|---|---|---|---|---|---|")
    costs = {"search": searched(config), **of_tables(config)}
    costs["all"] = (*(sum(c[i] for c in costs.values()) for i in (0, 1)), sum((c[2] for c in costs.values()), Cost()))
    for name, (n_rows, models, cost) in costs.items():
        scoring = Cost(scoring=cost.scoring).gpu_hours
        print(
            f"| {name} | {n_rows} | {models} | {cost.gpu_hours:,.0f} | {scoring:,.0f} | {cost.core_hours:,.0f} "
            f"| {cost.cores_per_gpu:.1f} | {cost.bytes / 1e9:.1f} |"
        )
    print("\n| backbone | frames | dataset | clips a second | cores in training | cores in scoring |")
    print("|---|---|---|---|---|---|")
    for backbone, frames, dataset, clips, training, scoring in rates(config):
        print(f"| {backbone} | {frames} | {dataset} | {clips:.1f} | {training:.1f} | {scoring:.1f} |")
    print("\n| backbone | state of a repeat |\n|---|---|")
    for backbone, size in states(config).items():
        print(f"| {backbone} | {size / 1e9:.1f} GB |")


if __name__ == "__main__":
    main()
