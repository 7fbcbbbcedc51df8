"""Tables 1 and 2: one line per printed method, then the methods of the suite that the paper does not have."""

from __future__ import annotations

from dataclasses import replace

from vidprism import paper, results
from vidprism.complexity import published
from vidprism.config import Config
from vidprism.paper import PublishedRow
from vidprism.record import NOT_RUN, Record
from vidprism.rows import Row, rows
from vidprism.tables import clip_encoders, cost, entries
from vidprism.tables.layout import REPORTED, Block, Column, Entry, Line, heading, real_name
from vidprism.tables.setting import learning_rate

PRINTED_DATASET = "kinetics400"  # of Table 1; its columns do not name it, unlike those of Tables 2 to 5
EXTRA_SECTION = "Measured by the suite, not in the paper"


def table1(config: Config) -> list[Block]:
    """One line per method, backbone size and number of frames; bold within a backbone size, as in the
    paper.
    """
    p, dataset = config.profile, config.profile.closed_set.dataset
    columns = tuple(
        Column(dataset, None, m, heading(p, dataset), h, m) for m, h in (("top1", "Top-1 (%)"), ("top5", "Top-5 (%)"))
    )
    records, expected = results.load(config, "closed_set"), rows(config, "closed_set")
    claimed, lines = set(), []
    for printed in paper.load(1):
        wanted = (printed.run, printed.labels["size"], int(printed.labels["frames"]))
        row = next((r for r in expected.values() if _identity(config, r) == wanted), None)
        claimed |= {row.key} if row else set()
        lines.append(_table1_line(config, columns, printed, row, records))
    lines += [_table1_line(config, columns, None, row, records) for key, row in expected.items() if key not in claimed]
    sizes = list(dict.fromkeys(line.contest for line in lines))
    lines.sort(key=lambda line: sizes.index(line.contest))
    headings = tuple(("Kinetics-400", h) for h in ("Top-1", "Top-5", "GFLOPs"))
    return [
        Block(
            "",
            ("Method", "Inputs"),
            columns,
            headings,
            tuple(lines),
            cost.MEASURED_HEADINGS,
            cost.CHECK_HEADINGS,
        )
    ]


def _identity(config: Config, row: Row) -> tuple[str, str, int]:
    return row.method, config.profile.backbones[row.backbone].size, row.frames


def _table1_line(
    config: Config,
    columns: tuple[Column, ...],
    printed: PublishedRow | None,
    row: Row | None,
    records: dict[str, Record],
) -> Line:
    size = printed.labels["size"] if printed else config.profile.backbones[row.backbone].size
    comparable = columns[0].dataset == PRINTED_DATASET
    line = _line(config, columns, printed, row, records, ["top1", "top5", "gflops"], comparable)
    section = f"{size}: {printed.labels['section'] if printed else EXTRA_SECTION}"
    inputs = "×".join(printed.labels[k] for k in ("frames", "crops", "clips")) if printed else f"{row.frames} frames"
    return replace(
        line,
        section=section,
        contest=size,
        labels=(*line.labels, inputs),
        facts=_facts(config, line.record, columns[0].dataset),
        cost=published.check(printed) if printed else None,
    )


def _facts(config: Config, record: Record | None, dataset: str) -> tuple[str, ...]:
    """Views and cost behind a line of Table 1; empty where nothing was measured."""
    cell = results.find_cell(record, dataset, None) if record else None
    return cost.measured_with(config.profile, record, cell) if cell else ("",) * len(cost.MEASURED_HEADINGS)


def table2(config: Config) -> list[Block]:
    """One line per method over datasets x K on the profile's own track and first backbone, VidPrism-M on the first
    encoder of clips; other backbones and the other track stand in blocks of their own.
    """
    p, printed_rows = config.profile, paper.load(2)
    records, expected = results.load(config, "few_shot"), rows(config, "few_shot")
    columns = tuple(
        Column(dataset, shots, "top1", heading(p, dataset), f"K={shots}", f"{dataset}_k{shots}")
        for dataset in p.few_shot.datasets
        for shots in p.few_shot.shots
    )
    own = [row for row in expected.values() if row.track == p.protocol.track]
    known = {printed.run for printed in printed_rows}
    main = {row.method: row for row in own if row.backbone == p.few_shot.backbone}
    video = [row for row in own if row.backbone in p.few_shot.video.backbones]
    main |= {r.method: r for r in reversed(video) if r.method in known and r.method not in main}
    lines = [
        replace(_line(config, columns, printed, main.get(printed.run), records), section=printed.labels["section"])
        for printed in printed_rows
    ]
    lines += [
        replace(_line(config, columns, None, row, records), section=EXTRA_SECTION)
        for method, row in main.items()
        if method not in known
    ]
    on_clips = [row.backbone for row in main.values() if row in video]
    note = " ".join(filter(None, (_bold_elsewhere(on_clips), clip_encoders.note(on_clips, records))))
    blocks = [Block("", ("Method",), columns, _panel(columns), tuple(lines), note=note)]
    printed_of = {printed.run: printed for printed in printed_rows if printed.run}
    blocks += [_other_backbone(config, columns, name, own, records, printed_of) for name in p.few_shot.more.backbones]
    beside = [row for row in video if row is not main.get(row.method)]
    blocks += [
        _on_clips(config, columns, name, [row for row in beside if row.backbone == name], records, printed_of)
        for name in dict.fromkeys(row.backbone for row in beside)
    ]
    others = [row for row in expected.values() if row.track != p.protocol.track]
    if others:
        blocks.append(_other_track(config, others, records, printed_of))
    return blocks


def _bold_elsewhere(on_clips: list[str]) -> str:
    """That a row on an encoder of clips competes for bold with its like, which stand in a block of their own."""
    if not on_clips:
        return ""
    return (
        f"For bold the row on {on_clips[0]} competes with the other rows on {on_clips[0]} alone, wherever they stand."
    )


def _other_backbone(
    config: Config,
    columns: tuple[Column, ...],
    backbone: str,
    own: list[Row],
    records: dict[str, Record],
    printed: dict[str, PublishedRow],
) -> Block:
    size, first = (config.profile.backbones[name].size for name in (backbone, config.profile.few_shot.backbone))
    lines = (_line(config, columns, printed.get(r.method), r, records) for r in own if r.backbone == backbone)
    note = (
        f"The same cells on {backbone} (ViT-{size}); the block above is on ViT-{first}. The paper does not say which "
        "backbone its few-shot table is of, so its numbers stand beside both."
    )
    return Block(f"ViT-{size}", ("Method",), columns, _panel(columns), tuple(lines), note=note)


def _on_clips(
    config: Config,
    columns: tuple[Column, ...],
    backbone: str,
    chosen: list[Row],
    records: dict[str, Record],
    printed: dict[str, PublishedRow],
) -> Block:
    spec = config.profile.backbones[backbone]
    lines = tuple(_line(config, columns, printed.get(row.method), row, records) for row in chosen)
    note = (
        f"The other rows on {backbone}, which encodes clips of {chosen[0].frames} frames and not single frames: what "
        f"VidPrism-M is to be compared with. {clip_encoders.note([backbone], records)}"
    )
    title = f"On VideoMAE (ViT-{spec.size})"
    return Block(title, ("Method",), columns, _panel(columns), lines, note=note.rstrip())


def _other_track(
    config: Config, others: list[Row], records: dict[str, Record], printed: dict[str, PublishedRow]
) -> Block:
    p, t = config.profile, config.profile.tuned
    group, published = heading(p, t.dataset), f"{t.dataset}_k{t.shots}"
    columns = (Column(t.dataset, t.shots, "top1", group, f"K={t.shots}", published),)
    lines = tuple(_line(config, columns, printed.get(row.method), row, records) for row in others)
    track = others[0].track
    note = (
        f"{track.capitalize()} track: the backbone trains too. {t.frames} frames, {t.updates} updates of "
        f"{t.batch_size} videos; {learning_rate('few_shot', track, p.protocol.track)}. "
        f"Not comparable with the {p.protocol.track} track above."
    )
    return Block(f"One cell on the {track} track", ("Method",), columns, _panel(columns), lines, note=note)


def _panel(columns: tuple[Column, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((real_name(c.dataset), c.heading) for c in columns)


def _line(
    config: Config,
    columns: tuple[Column, ...],
    printed: PublishedRow | None,
    row: Row | None,
    records: dict[str, Record],
    names: list[str] | None = None,
    comparable: bool = True,
) -> Line:
    """A line of Table 1 or 2 from its printed row, its run, or both; `comparable`: both are of one dataset."""
    record = records[row.key] if row else None
    if row:
        cells = tuple(entries.measured(record, column) for column in columns)
    else:
        cells = (_unmeasured(printed),) * len(columns)
    names = names or [c.published for c in columns]
    label = printed.name if printed else (record.get("label") or row.method)
    return Line(
        labels=(label,),
        entries=cells,
        published=entries.published(printed, names, cells, config.profile.generated or not comparable),
        run=row.key if row else "",
        reference=printed.labels["reference"] if printed else "",
        mark=clip_encoders.mark(record),
        extra=printed is None,
        record=record,
    )


def _unmeasured(printed: PublishedRow) -> Entry:
    """A printed row without a run in this profile: not run if the suite names a method for it, else only
    reported.
    """
    if not printed.run:
        return Entry(REPORTED)
    size = printed.labels.get("size")
    return Entry(NOT_RUN, f"no {printed.run}{f' on ViT-{size} with these frames' if size else ''} in this profile")
