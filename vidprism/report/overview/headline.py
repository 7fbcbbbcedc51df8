"""The first screen in words: does VidPrism help, how sure is that, and what the ablations and the data say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vidprism.config import Config
from vidprism.report import readings_page
from vidprism.report.charts import Effect
from vidprism.report.overview.contests import Contest, Match
from vidprism.report.render import signed
from vidprism.report.tables import families
from vidprism.report.tables.layout import Line, Table

NAMED = 4  # opponents that a sentence names; the cards have all of them


@dataclass(frozen=True)
class AblationEffects:
    """Effects of Tables 3 to 5 and of the readings against the default row: how many there are, and how many are
    separable from zero; of those in the tables, how many have the paper's sign and how many the opposite one.
    `by_table`: (page, title, finding) of each page.
    """

    n_effects: int
    n_separable: int
    n_agreeing: int
    n_opposite: int
    by_table: tuple[tuple[str, str, str], ...]


def short_answer(contests: Sequence[Contest]) -> str:
    """Whether VidPrism helps, in a few words, from its matches with methods that are not VidPrism."""
    matches = [m for contest in contests for m in contest.matches if not m.opponent.is_vidprism]
    if not matches:
        return "It cannot be said yet: no other method is measured in a cell that VidPrism has."
    better = [m.count("better") for m in matches]
    worse = [m.count("worse") for m in matches]
    if not any(better) and not any(worse):
        return "These data cannot tell: no difference is separable from zero."
    if not any(worse):
        in_most = all(2 * b > len(m.effects) for b, m in zip(better, matches, strict=True))
        return f"{'Yes: it is better in most' if in_most else 'In part: it is better in some'} cells and worse in none."
    if not any(better):
        return "No: it is worse in some cells and better in none."
    return "It depends: it is better in some cells and worse in others."


def sentence(contest: Contest) -> str:
    """How often VidPrism is better and worse than the methods that are not VidPrism, and in how many comparisons the
    data cannot tell; "" if there are none.
    """
    matches = [m for m in contest.matches if not m.opponent.is_vidprism]
    if not matches:
        return ""
    subject = matches[0].subject.label
    if all(len(m.effects) == 1 for m in matches):
        return f"{subject} in the one cell that is measured: {'; '.join(_single(m) for m in matches[:NAMED])}."
    parts = [_part(m) for m in matches[:NAMED]]
    if len(matches) > NAMED:
        parts.append(f"{len(matches) - NAMED} more methods are below")
    same, total = sum(m.count("same") for m in matches), sum(len(m.effects) for m in matches)
    rest = f" In {same} of these {total} comparisons the difference cannot be told from zero." if same else ""
    return f"{subject} is better {'; '.join(parts)}.{rest}"


def extremes(contest: Contest) -> list[str]:
    """The largest separable gain and loss over methods that are not VidPrism, in words."""
    if all(len(m.effects) == 1 for m in contest.matches):
        return []
    found = [(e, m) for m in contest.matches if not m.opponent.is_vidprism for e in m.effects if e.verdict != "same"]
    gains = [pair for pair in found if pair[0].difference > 0]
    losses = [pair for pair in found if pair[0].difference < 0]
    said = []
    if gains:
        said.append(f"The largest gain: {_effect(*max(gains, key=lambda pair: pair[0].difference))}.")
    if losses:
        said.append(f"The largest loss: {_effect(*min(losses, key=lambda pair: pair[0].difference))}.")
    return said


def count_ablations(config: Config, built: Sequence[Table]) -> AblationEffects:
    """The effects of the profile's tables (`built`) and of its readings.

    Raises:
        ResultsError: a results file that cannot be read.
    """
    verdicts: list[str] = []
    said: list[tuple[str, str, str]] = []
    for table in built:
        here = [e.change.verdict for line in table.lines for e in line.entries if e.change]
        finding = _signs(here) if any(block.with_changes for block in table.blocks) else _rows(table.lines)
        said.append((f"table{table.number}.html", f"Table {table.number}: {table.title}", finding))
        verdicts += here
    readings = readings_page.build_readings(config)
    changes = [*(c for s in readings.switches for c in s.changes), *readings.preset]
    changes += [change for _, found in readings.others for change in found]
    told = [change.separable for change in changes if change.comparison]
    said.append(("readings.html", "Readings: the paper's text and its released code", _separable(len(told), sum(told))))
    separable = [verdict for verdict in verdicts if verdict != families.NOT_SEPARABLE]
    return AblationEffects(
        len(verdicts) + len(told),
        len(separable) + sum(told),
        separable.count("agrees"),
        separable.count("opposite"),
        tuple(said),
    )


def _part(match: Match) -> str:
    n, better, worse = len(match.effects), match.count("better"), match.count("worse")
    worse_too = f" (worse in {worse})" if worse else ""
    return f"than {match.opponent.label} in {better or 'none'} of {n} cells{worse_too}"


def _single(match: Match) -> str:
    verdict = "" if match.count("same") == 0 else ", not separable from zero"
    return f"{_effect(match.effects[0], match)}{verdict}"


def _effect(effect: Effect, match: Match) -> str:
    interval = f"[{signed(effect.low)}, {signed(effect.high)}]"
    return f"{signed(effect.difference)} points {interval} against {match.opponent.label} on {effect.label}"


def _signs(verdicts: list[str]) -> str:
    told = [verdict for verdict in verdicts if verdict != families.NOT_SEPARABLE]
    if not told:
        return _separable(len(verdicts), 0)
    agree = f"{told.count('agrees')} with the paper's sign, {told.count('opposite')} with the opposite one"
    return f"{_separable(len(verdicts), len(told))}: {agree}"


def _separable(n: int, told: int) -> str:
    return f"{told} of {n} effects separable from zero" if n else "no effect measured yet"


def _rows(lines: Sequence[Line]) -> str:
    measured = [line for line in lines if line.status == "measured"]
    cells = sum(entry.status == "measured" for line in measured for entry in line.entries)
    return f"{len(measured)} rows measured, {cells} numbers" if measured else "no row measured yet"
