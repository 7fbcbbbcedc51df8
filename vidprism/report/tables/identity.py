"""What a row trained, and which printed row it corresponds to, from its record or, before it has run, from params.yaml.

The key of a row is not used. A run corresponds to a printed row if its method, options, frames and kind of encoder
agree. The data do not count, and neither does the size of the backbone except in Table 1: the banner states them. Which
parts of the model were trained does not change the row; a note beside its name says so.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

from vidprism import complexity, paper
from vidprism.complexity import published
from vidprism.config import Config, ConfigError
from vidprism.config.rows import Row
from vidprism.model import readings
from vidprism.paper import PublishedRow
from vidprism.records.record import MEASURED, Record
from vidprism.report.tables.layout import Line

ENCODERS = {"vidprism_c": "clip", "vidprism_m": "videomae"}  # caption of Table 2: the encoders of VidPrism-C and -M
RATES = (2, 4, 8, 16)  # Sec. 4.1: 2, 4, 8 with 8 frames, all four with 32
LENGTHS = (8, 32)  # Sec. 4.1: frames of a clip
TUNING = {"frozen": "on a frozen backbone", "partial": "with a part of the backbone tuned", "full": ""}
FROZEN_FEATURES = "on frozen features"
WHOLE_MODEL = "published, whole model tuned"


@dataclass(frozen=True)
class Trained:
    """What a row trained: a method with its options (complete for VidPrism, otherwise as far as known), on clips of
    `frames` frames through a backbone of `size`, on clips changed as `augment` says, from the weights of the row
    `init_from` ("" for the profile's own ways). `not_built` is what its authors' recipe has and the row had not, None
    for a row with the profile's recipe. `encoder` is its file in vidprism/backbones. `tuning` is how much of the
    backbone trained on the tuned track. `label` is the method's own name, "" before the row has run.
    """

    method: str
    label: str
    options: dict[str, Any]
    frames: int
    encoder: str
    model: str
    size: str
    track: str
    tuning: str
    augment: str = ""
    init_from: str = ""
    not_built: str | None = None

    @property
    def otherwise(self) -> list[str]:
        """How the training differs from that of the other rows, in words."""
        augmented = [f"augmentation {self.augment}"] if self.augment else []
        return augmented + ([f"from {self.init_from}"] if self.init_from else [])

    @property
    def head(self) -> str:
        """The method that the head belongs to: a method that only has another preset is called by its name and
        `_released`.
        """
        return self.method.removesuffix("_released")

    @property
    def is_vidprism(self) -> bool:
        """Whether its options are the switches of `vidprism.model.readings`."""
        return self.head in ENCODERS

    @property
    def steps(self) -> int:
        """Features that the encoder makes of a clip.

        Raises:
            ConfigError: the kind of backbone has no file in vidprism/complexity.
        """
        return complexity.time_steps(self.encoder, self.model, self.frames)

    @property
    def setting(self) -> str:
        """How it differs from a method that the paper tunes as a whole, or that it has the recipe of its authors, and
        what is missing of that; "" for all others.
        """
        if self.not_built is not None:
            return f"authors' recipe without {self.not_built}" if self.not_built else "authors' recipe"
        if self.head not in paper.tuned():
            return ""
        return FROZEN_FEATURES if self.track == "frozen" else TUNING[self.tuning]


def of(config: Config, row: Row, record: Record | None = None) -> Trained:
    """What a row trained, from its record if it is measured, otherwise from params.yaml.

    Raises:
        ConfigError: params.yaml has a switch or a value that VidPrism does not know.
    """
    if record is not None and record["status"] == MEASURED:
        return from_record(record)
    spec = config.profile.backbones[row.backbone]
    asked = {name: value for name, value in row.options.items() if value is not None}
    tuning = config.profile.train.tuning
    not_built = None if row.own is None else row.own.not_built
    about = (row.frames, spec.key, spec.model, spec.size, row.track, tuning, row.augment, row.init_from, not_built)
    planned = Trained(row.method, "", asked, *about)
    try:
        return replace(planned, options=_complete(planned)) if planned.is_vidprism else planned
    except ValueError as error:
        raise ConfigError(f"params.yaml: row '{row.key}' of {row.group}: {error}") from error


def from_record(record: Record) -> Trained:
    """What was trained according to a measured record."""
    backbone, config = record["backbone"], record["config"]
    return Trained(
        record["method"],
        record["label"],
        config["options"],
        record["cells"][0]["frames"],
        backbone["key"],
        backbone["model"],
        backbone["size"],
        record["track"],
        config["train"].get("tuning", "full"),
        config.get("augment", ""),
        config.get("init_from", ""),
        config["own"]["not_built"] if "own" in config else None,
    )


def changed_options(trained: Trained, reading: str | None = None) -> dict[str, Any]:
    """Options that differ from VidPrism's preset of `reading` (by default the row's own) and from the rates of Sec.
    4.1. For other methods, which have no preset, all options.
    """
    if not trained.is_vidprism:
        return trained.options
    defaults = preset(trained, reading)
    return {k: v for k, v in trained.options.items() if k != "reading" and (k not in defaults or v != defaults[k])}


def preset(trained: Trained, reading: str | None = None) -> dict[str, Any]:
    """VidPrism's preset of `reading` (by default the row's own) with the rates of Sec. 4.1; empty for other methods."""
    if not trained.is_vidprism:
        return {}
    switches = readings.resolve_switches(reading or trained.options["reading"], {})
    return {**switches, "rates": paper_rates(trained.steps)}


def paper_rates(n_steps: int) -> list[int]:
    """The rates of Sec. 4.1 that divide a clip of `n_steps` features: the default of a method."""
    return [rate for rate in RATES if n_steps % rate == 0]


def is_row(printed: PublishedRow, trained: Trained) -> bool:
    """Whether a printed row corresponds to what was trained. Table 2 does not print its frames: there VidPrism may have
    those of Sec. 4.1, counted as frames or as time steps of the encoder.
    """
    frames, size = printed.labels.get("frames"), printed.labels.get("size")
    if trained.otherwise:
        return False
    if printed.run != trained.head or (size and size != trained.size) or (frames and int(frames) != trained.frames):
        return False
    if not trained.is_vidprism:
        if printed.encoder != "clip" and printed.labels["section"] == paper.TUNING and trained.track != "tuned":
            return False  # an ordinary head on a frozen encoder is not its publication's row
        known = all(trained.options.get(name) == value for name, value in printed.options.items())
        return known and trained.encoder == printed.encoder
    known = bool(frames) or _length_is_known(trained)
    return known and trained.encoder == ENCODERS[trained.head] and changed_options(trained, "paper") == printed.options


def arrange(printed_rows: list[PublishedRow], trained: dict[str, Trained]) -> list[tuple[PublishedRow | None, str]]:
    """Pairs of a printed row and the key of a run of it: first the printed rows in order, once for each of their runs
    (with "" if there is none), then None with each run that has no printed row.
    """
    found = {key: next((p for p in printed_rows if is_row(p, t)), None) for key, t in trained.items()}
    pairs = [(p, key) for p in printed_rows for key in [k for k, q in found.items() if q is p] or [""]]
    return pairs + [(None, key) for key, printed in found.items() if printed is None]


def name(trained: Trained) -> str:
    """What was trained, in a table of methods: the method and, if it has no printed row, how it differs."""
    if not trained.is_vidprism:
        usual = published.OPTIONS.get(trained.method, {})
        notes = [f"{o}={value}" for o, value in trained.options.items() if o not in usual or value != usual[o]]
        notes += [] if trained.encoder == "clip" else [f"on {trained.encoder}"]
        notes += trained.otherwise
        return noted(trained.label or trained.method, notes)
    reading = [] if trained.options["reading"] == "paper" else [f"{trained.options['reading']} reading"]
    notes = reading + [f"{option}={value}" for option, value in changed_options(trained).items()]
    notes += [] if _length_is_known(trained) else [f"{trained.frames} frames"]
    notes += [] if trained.encoder == ENCODERS[trained.head] else [f"on {trained.model}"]
    notes += trained.otherwise
    return noted(paper.tuned()[trained.head], notes)


def title(trained: Trained) -> str:
    """Name and setting together, as used on the other pages."""
    return f"{name(trained)} {trained.setting}".rstrip()


def variant(trained: Trained, frames: int = 32) -> tuple[list[int], list[str]]:
    """What was trained, in a table of ablations: its rates, and its other differences from the full model of the paper
    on `frames` frames (Sec. 4.3).
    """
    notes = [f"{k}={v}" for k, v in changed_options(trained).items() if k != "rates"]
    if trained.options["reading"] != "paper":
        notes.insert(0, f"reading={trained.options['reading']}")
    if trained.frames != frames:
        notes.append(f"{trained.frames} frames")
    if trained.head != "vidprism_c":
        notes.append(f"head of {paper.tuned()[trained.head]}")
    if trained.encoder != ENCODERS["vidprism_c"]:
        notes.append(f"on {trained.model}")
    return trained.options["rates"], notes


def noted(text: str, notes: list[str]) -> str:
    """`text (note, note)`."""
    return f"{text} ({', '.join(notes)})" if notes else text


def with_distinct_labels(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """The lines, with the key added to the label if two runs of a block would look the same."""
    seen = Counter((line.section, line.labels) for line in lines)
    return tuple(
        replace(line, labels=(*line.labels[:-1], f"{line.labels[-1]} [{line.run}]"))
        if line.run and seen[line.section, line.labels] > 1
        else line
        for line in lines
    )


def _length_is_known(trained: Trained) -> bool:
    return trained.frames in LENGTHS or trained.steps in LENGTHS


def _complete(planned: Trained) -> dict[str, Any]:
    switches = dict(planned.options)
    reading = switches.pop("reading", "released" if planned.method != planned.head else "paper")
    rates = switches.pop("rates", paper_rates(planned.steps))
    return {"reading": reading, "rates": rates, **readings.resolve_switches(reading, switches)}
