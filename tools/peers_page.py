"""Write docs/peers.md: what the suite knows about each peer, from the methods' files, their formulas and the results.

python -m tools.peers_page
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import textwrap
from functools import cache
from pathlib import Path

from vidprism import methods, paper
from vidprism.complexity import count, published
from vidprism.config import Config, find_root, load_config
from vidprism.config.rows import GROUPS, row
from vidprism.evaluation import results
from vidprism.records.record import MEASURED

PAGE = Path("docs/peers.md")
B16, FRAMES = published.TOWERS["B/16"], 16  # of the counts
TOP = f"""# Peers: the published methods that the suite implements

`python -m tools.peers_page` writes this page. Each method is one file of `vidprism/methods/`, written from its
publication; no code of others is part of it. Repositories are named as sources of facts.

Parameters and multiply-adds (10^9) are those of ViT-B/16, {FRAMES} frames and 400 classes, by the formulas of
`vidprism/complexity/`, which tests compare with the modules. "Trained" counts everything that the method trains on the
tuned track, in millions. "Starts as backbone": before the first update, the clip's feature is that of the untouched
backbone. "Blind to order": reversed clips get the same scores. Printed are the multiply-adds of the paper's Table 1 at
other sizes and lengths beside the suite's count. "Test clips played backwards": trained rows answer them too, where a
method that is blind to the order gives the same answers.

"""


def peers() -> list[str]:
    """Keys of the methods that are other publications', in the order of their names in the tables."""
    found = [key for key in methods.available() if methods.says(key, "IS_PEER")]
    return sorted(found, key=lambda key: methods.load_method(key).LABEL.lower())


def source(key: str) -> str:
    """The words of a method's docstring that name its source; they end with a licence in brackets.

    Raises:
        ValueError: there are none.
    """
    found = re.search(r"Source: (.*?\))[.:] ", _text(key))
    if not found:
        raise ValueError(f"the docstring of {key} has no `Source: ... (licence).`")
    return found[1]


def choices(key: str) -> list[str]:
    """The sentences of a method's docstring that name a choice of the suite, or what is left out."""
    sentences = re.split(r"(?<=[a-z)`\d])\.\s+(?=[A-Z`\"])", _text(key))
    return [s.strip().rstrip(".") + "." for s in sentences if re.search(r"choice of this suite|left out|not public", s)]


def _text(key: str) -> str:
    return " ".join((inspect.getdoc(methods.load_method(key)) or "").split())


def costs(key: str) -> tuple[str, str]:
    """Trained parameters in millions and multiply-adds of a view in 10^9."""
    found = count(key, B16, FRAMES)
    return f"{found.trainable_parameters / 1e6:.2f}", f"{found.gmacs:.1f}"


def printed(key: str) -> str:
    """The printed costs of the paper's Table 1 beside the counts."""
    found = []
    for printed_row in paper.load_published(1):
        if printed_row.run == key:
            check = published.check_published(printed_row)
            said = "–" if check.printed is None else f"{check.printed:g}"
            where = f"{printed_row.labels['size']}, {printed_row.labels['frames']} frames"
            found.append(f"{where}: {said} against {check.text} ({check.verdict})")
    return "; ".join(found) or "no row"


def rates(key: str) -> str:
    """The searched rates with their dev accuracies in percent, of the profiles whose results are kept in git."""
    found = []
    for config in kept():
        for path in sorted((config.root_dir / "reports" / "search" / config.profile.name).glob(f"{key}*.json")):
            content = results.read_json(path)
            if content["method"] == key:
                dev = content["trials"][str(content["chosen"])]
                found.append(f"{config.profile.name} ({content['track']}): {content['chosen']}, dev {dev:.1f}")
    return "; ".join(found) or "not yet"


def recipe(key: str) -> str:
    """The recipes of the method's authors that the profile paper holds, and what it leaves out of them."""
    found = []
    for group, own in load_config("paper").profile.train.own.get(key, {}).items():
        said = {f.name: getattr(own, f.name) for f in dataclasses.fields(own) if getattr(own, f.name) != f.default}
        said.pop("not_built", None)
        left = f", without {own.not_built}" if own.not_built else ""
        found.append(f"{group}: {', '.join(f'{name} {value}' for name, value in said.items())}{left}")
    return "; ".join(found) or "none, its rows have the recipe of the profile"


def rehearsed(key: str) -> str:
    """What `python -m tools.rehearse_peers` found."""
    path = find_root() / "reports/rehearsal-peers.json"
    found = results.read_json(path).get(key) if path.is_file() else None
    if not found:
        return "not yet"
    built = ", ".join(f"{n / 1e6:.2f} M at {size}" for size, n in found["parameters"].items())
    return (
        f"one update at ViT-B/16 moved {found['moved']} of {found['tensors']} trained tensors; parameters that train, "
        f"as built and by formula, with 8 classes: {built}"
    )


def backwards(key: str) -> str:
    """What `python -m tools.reversed_clips` found for the measured rows of a method."""
    found = []
    for config in kept():
        path = config.root_dir / "reports/reversed" / f"{config.profile.name}.json"
        for name, facts in (results.read_json(path) if path.is_file() else {}).items():
            if row(config, *name.split("/")).method == key:
                cell = facts["dataset"] + (f" K={facts['shots']}" if facts["shots"] else "")
                found.append(
                    f"{config.profile.name}, {name}, {cell}: {facts['top1']:.1f} % right, {facts['reversed_top1']:.1f} "
                    f"% backwards, the same answer to {facts['same_answer']:.1f} % of the videos"
                )
    return "; ".join(found) or "not yet"


def rows(key: str) -> str:
    """The measured rows of the profiles whose results are kept in git."""
    found = []
    for config in kept():
        for group in GROUPS:
            measured = [
                name
                for name, record in results.load_results(config, group).items()
                if record.get("method") == key and record["status"] == MEASURED
            ]
            found += [f"{config.profile.name}, {group}: {', '.join(measured)}"] if measured else []
    return "; ".join(found) or "none yet"


@cache
def kept() -> list[Config]:
    """The profiles whose results are kept in git."""
    return [load_config(name) for name in load_config().published]


def page() -> str:
    """The whole page."""
    lines = ["| peer | sees | trained, M | GMACs | starts as backbone | blind to order |", "|---|---|---|---|---|---|"]
    for key in peers():
        trained, gmacs = costs(key)
        sees = "clips, inside the tower" if methods.says(key, "SEES") == "clips" else "frame features"
        flags = (
            "yes" if methods.says(key, "STARTS_AS_BACKBONE") else "no",
            "no" if methods.says(key, "TEMPORAL") else "yes",
        )
        lines.append(f"| {methods.load_method(key).LABEL} | {sees} | {trained} | {gmacs} | {' | '.join(flags)} |")
    return TOP + "\n".join(lines) + "\n" + "".join(map(_part, peers()))


def _part(key: str) -> str:
    """What is said about one peer."""
    said = "\n".join(_wrapped(f"- {choice}", "  ") for choice in choices(key)) or "- none"
    facts = _wrapped(
        f"Printed cost against the count: {printed(key)}. Recipe in the profile paper: {recipe(key)}. Rehearsed: "
        f"{rehearsed(key)}. Searched: {rates(key)}. Rows: {rows(key)}. Test clips played backwards: {backwards(key)}."
    )
    return (
        f"\n## {methods.load_method(key).LABEL}\n\n{_wrapped(f'`{key}`. {source(key)}.')}\n\n{facts}\n\n"
        f"Open choices and what is left out:\n\n{said}\n"
    )


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def main() -> int:
    """Write the page; exit status 0."""
    root = find_root()
    (root / PAGE).write_text(page(), encoding="utf-8")
    print(f"wrote {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
