"""The setting of a table in words, for its caption."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from vidprism import paper
from vidprism.config import Config, Profile
from vidprism.config.rows import Row, rows
from vidprism.report.tables import identity
from vidprism.report.tables.layout import heading

TRACKS = {"frozen": "frozen (cached frame features)", "tuned": "tuned (the whole model trains)"}
GROUP_OF_TABLE = {1: "closed_set", 2: "few_shot", 3: "ablations", 4: "ablations", 5: "ablations"}


def setting(config: Config, number: int) -> tuple[tuple[str, str], ...]:
    """(name, value) pairs that say what the measured numbers of table `number` were measured in."""
    group = GROUP_OF_TABLE[number]
    return describe_setting(
        config, [row for row in rows(config, group).values() if row.track == config.profile.protocol.track]
    )


def describe_setting(config: Config, chosen: list[Row]) -> tuple[tuple[str, str], ...]:
    """The setting that the chosen rows share, as (name, value) pairs; several values are joined."""
    p = config.profile
    if not chosen:
        return (("Profile", p.name), ("Measured", "nothing: this profile has no rows here"))
    place = "in the place of " if p.generated else ""
    backbones = [f"{name} ({place}ViT-{p.backbones[name].size})" for name in _values(chosen, "backbone")]
    training = f"{_join(_values(chosen, 'updates'))} updates, batch {_join(_values(chosen, 'batch_size'))}"
    shots = [training_videos(k) for row in chosen for k in row.shots]
    repeats = max((row.repeats for row in chosen), key=len, default=())
    rate = source_of("learning rate", chosen[0].group, chosen[0].track, p.protocol.track)
    drawn = any(k is not None for row in chosen for k in row.shots)
    return (
        ("Profile", f"{p.name}{', generated data' if p.generated else ''}"),
        ("Backbone", _join(backbones)),
        ("Track", TRACKS[p.protocol.track]),
        *_of_the_paper(config, chosen),
        ("Frames", _join(_values(chosen, "frames"))),
        ("Training videos per class", _join(shots)),
        ("Split", f"{split(p, chosen)}, tested on its test list"),
        ("Views", f"{views_in_words(p.protocol.n_clips, p.protocol.n_crops)}, mean of {p.analysis.fusion}"),
        ("Repeats", f"{len(repeats)} ({'seed i on draw i' if drawn else 'seeds'}: {_join(repeats)})"),
        ("Training", f"{training}, last update taken; {rate}"),
    )


def _of_the_paper(config: Config, chosen: list[Row]) -> list[tuple[str, str]]:
    """The methods that the paper tunes as a whole, with the parts of them that were trained here."""
    trained = [identity.of(config, row) for row in chosen]
    found = [f"{paper.tuned()[t.head]} {t.setting or 'tuned as a whole'}" for t in trained if t.head in paper.tuned()]
    return [("Methods that the paper tunes as a whole", _join(found))] if found else []


def split(profile: Profile, chosen: list[Row]) -> str:
    """The official split of the rows' datasets: one number, or the split of each dataset if they differ."""
    by_dataset = {d: profile.protocol.split_of(d) for row in chosen for d in row.datasets}
    if len(set(by_dataset.values())) == 1:
        return str(*set(by_dataset.values()))
    return ", ".join(f"{heading(profile, dataset)} {number}" for dataset, number in by_dataset.items())


def training_videos(shots: int | None) -> str:
    """The training videos of a cell in words: `K=4`, or the list without the dev pool."""
    return "training list without the dev pool" if shots is None else f"K={shots}"


def source_of(what: str, group: str, track: str, searched_track: str) -> str:
    """The source of `what` a row got from a search, its learning rate or penalty. A method is searched with its options
    in `methods` on the profile's own track, and once more on another track that has rows of it.
    """
    if group == "ablations":
        return f"{what} found for the default row"
    own = f", on the {track} track" if track != searched_track else ""
    return f"{what} from the search on the dev pool{own}"


def views_in_words(n_clips: int, n_crops: int) -> str:
    """`2 clips × 1 crop`."""
    return f"{n_clips} clip{'s' if n_clips != 1 else ''} × {n_crops} crop{'s' if n_crops != 1 else ''}"


def _values(chosen: list[Row], name: str) -> list[Any]:
    return [getattr(row, name) for row in chosen]


def _join(values: Iterable[object]) -> str:
    return ", ".join(dict.fromkeys(map(str, values))) or "none"
