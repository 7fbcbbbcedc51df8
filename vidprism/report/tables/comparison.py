"""Tables 1 and 2: one line per printed method, then the methods of the suite that are not in the paper."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from vidprism import paper
from vidprism.complexity import published
from vidprism.config import Config
from vidprism.config.rows import Row, rows
from vidprism.evaluation import results
from vidprism.paper import PublishedRow
from vidprism.records.record import NOT_RUN, Record
from vidprism.report.tables import cells as entries
from vidprism.report.tables import cost, elsewhere, identity, video_encoders
from vidprism.report.tables.identity import Trained
from vidprism.report.tables.layout import REPORTED, Block, Column, Entry, Line, heading, real_name
from vidprism.report.tables.setting import source_of

PRINTED_DATASET = "kinetics400"  # the dataset of Table 1, which its columns do not name, unlike those of Tables 2 to 5
EXTRA_SECTION = "Measured by the suite, not in the paper"


def table1(config: Config) -> list[Block]:
    """One line per method, backbone size and number of frames; bold within a backbone size, as in the paper."""
    p, dataset = config.profile, config.profile.closed_set.dataset
    columns = tuple(
        Column(dataset, None, m, heading(p, dataset), h, m) for m, h in (("top1", "Top-1 (%)"), ("top5", "Top-5 (%)"))
    )
    records = results.load_results(config, "closed_set")
    trained = {key: identity.of(config, row, records[key]) for key, row in rows(config, "closed_set").items()}
    there = elsewhere.measured_elsewhere(config, "closed_set")
    lines = [
        _table1_line(config, columns, printed, trained.get(key), key, records, there)
        for printed, key in identity.arrange(paper.load_published(1), trained)
    ]
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
            note=_note_elsewhere(lines, there),
        )
    ]


def _note_elsewhere(lines: list[Line], there: list[Record]) -> str:
    shown = {line.elsewhere[1] for line in lines if line.elsewhere}
    return elsewhere.note_elsewhere([record for record in there if record["row"] in shown])


def _table1_line(
    config: Config,
    columns: tuple[Column, ...],
    printed: PublishedRow | None,
    trained: Trained | None,
    key: str,
    records: dict[str, Record],
    there: list[Record],
) -> Line:
    size = printed.labels["size"] if printed else trained.size
    comparable = columns[0].dataset == PRINTED_DATASET
    line = _line(config, columns, printed, trained, key, records, there, ["top1", "top5", "gflops"], comparable)
    section = f"{size}: {printed.labels['section'] if printed else EXTRA_SECTION}"
    inputs = (
        "×".join(printed.labels[k] for k in ("frames", "crops", "clips")) if printed else f"{trained.frames} frames"
    )
    return replace(
        line,
        section=section,
        contest=size,
        labels=(*line.labels, inputs),
        facts=_facts(line.record, columns[0].dataset),
        cost=published.check_published(printed) if printed else None,
    )


def _facts(record: Record | None, dataset: str) -> tuple[str, ...]:
    """Views and cost of a line of Table 1; empty if nothing was measured."""
    cell = results.find_cell(record, dataset, None) if record else None
    return cost.measured_with(record, cell) if cell else ("",) * len(cost.MEASURED_HEADINGS)


def table2(config: Config) -> list[Block]:
    """One line per method over datasets x K, on the profile's own track and first backbone; VidPrism-M is on the first
    video encoder. Other backbones and the other track have separate blocks.
    """
    p, printed_rows = config.profile, paper.load_published(2)
    records, expected = results.load_results(config, "few_shot"), rows(config, "few_shot")
    columns = tuple(
        Column(dataset, shots, "top1", heading(p, dataset), f"K={shots}", f"{dataset}_k{shots}")
        for dataset in p.few_shot.datasets
        for shots in p.few_shot.shots
    )
    trained = {key: identity.of(config, row, records[key]) for key, row in expected.items()}
    pairs = identity.arrange(printed_rows, trained)
    printed_of = {key: printed for printed, key in pairs if printed and key}
    own = [row for row in expected.values() if row.track == p.protocol.track]
    video = [row for row in own if row.backbone in p.few_shot.video.backbones]
    main = _main_rows(config, own, video, printed_of)
    there = elsewhere.measured_elsewhere(config, "few_shot")
    lines = [
        replace(
            _line(config, columns, printed, trained.get(key), key, records, there),
            section=printed.labels["section"] if printed else EXTRA_SECTION,
        )
        for printed, key in identity.arrange(printed_rows, {row.key: trained[row.key] for row in main})
    ]
    on_clips = list(dict.fromkeys(row.backbone for row in main if row in video))
    notes = (_bold_elsewhere(on_clips), video_encoders.note(on_clips, records), _note_elsewhere(lines, there))
    note = " ".join(filter(None, notes))
    blocks = [Block("", ("Method",), columns, _panel(columns), tuple(lines), note=note)]

    def lines_of(chosen: list[Row], columns: tuple[Column, ...] = columns) -> tuple[Line, ...]:
        return tuple(_line(config, columns, printed_of.get(r.key), trained[r.key], r.key, records) for r in chosen)

    for name in p.few_shot.more.backbones:
        blocks.append(_other_backbone(config, columns, name, lines_of([row for row in own if row.backbone == name])))
    beside = [row for row in video if row not in main]
    for name in dict.fromkeys(row.backbone for row in beside):
        chosen = [row for row in beside if row.backbone == name]
        blocks.append(_on_clips(config, columns, chosen, lines_of(chosen), records))
    others = [row for row in expected.values() if row.track != p.protocol.track]
    if others:
        columns = _tuned_columns(config)
        blocks.append(_other_track(config, columns, others[0].track, lines_of(others, columns)))
    return blocks


def _main_rows(config: Config, own: list[Row], video: list[Row], printed_of: dict[str, PublishedRow]) -> list[Row]:
    """The rows of the first block: those on the profile's first backbone, single ones, and for each printed row that is
    still without a run the first one on a video encoder.
    """
    few_shot = config.profile.few_shot
    backbones = {few_shot.backbone, *(row.backbone for row in few_shot.single)}
    found = [row for row in own if row.backbone in backbones]
    shown = [printed_of.get(row.key) for row in found]
    for row in video:
        printed = printed_of.get(row.key)
        if printed is not None and not any(printed is other for other in shown):
            found.append(row)
            shown.append(printed)
    return found


def _bold_elsewhere(on_clips: list[str]) -> str:
    """A note that a row on a video encoder competes for bold only with rows on that encoder, which are in another
    block.
    """
    if not on_clips:
        return ""
    return f"For bold, the row on {on_clips[0]} competes only with the other rows on {on_clips[0]}, in any block."


def _other_backbone(config: Config, columns: tuple[Column, ...], backbone: str, lines: tuple[Line, ...]) -> Block:
    size, first = (config.profile.backbones[name].size for name in (backbone, config.profile.few_shot.backbone))
    note = (
        f"The same cells on {backbone} (ViT-{size}); the block above is on ViT-{first}. The paper does not say which "
        "backbone its few-shot table uses, so its numbers are shown beside both."
    )
    return Block(f"ViT-{size}", ("Method",), columns, _panel(columns), lines, note=note)


def _on_clips(
    config: Config,
    columns: tuple[Column, ...],
    chosen: list[Row],
    lines: tuple[Line, ...],
    records: dict[str, Record],
) -> Block:
    backbone, frames = chosen[0].backbone, chosen[0].frames
    note = (
        f"The other rows on {backbone}, which encodes clips of {frames} frames and not single frames. "
        f"Compare VidPrism-M with these. {video_encoders.note([backbone], records)}"
    )
    title = f"On VideoMAE (ViT-{config.profile.backbones[backbone].size})"
    return Block(title, ("Method",), columns, _panel(columns), lines, note=note.rstrip())


def _tuned_columns(config: Config) -> tuple[Column, ...]:
    p = config.profile
    return tuple(
        Column(dataset, shots, "top1", heading(p, dataset), f"K={shots}", f"{dataset}_k{shots}")
        for dataset in p.tuned.datasets
        for shots in p.tuned.shots
    )


def _other_track(config: Config, columns: tuple[Column, ...], track: str, lines: tuple[Line, ...]) -> Block:
    p, t = config.profile, config.profile.tuned
    note = (
        f"{track.capitalize()} track: the backbone trains too. {t.frames} frames, {t.updates} updates of "
        f"{t.batch_size} videos; {source_of('learning rate', 'few_shot', track, p.protocol.track)}. "
        f"Not comparable with the {p.protocol.track} track above."
    )
    return Block(f"On the {track} track", ("Method",), columns, _panel(columns), lines, note=note)


def _panel(columns: tuple[Column, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((real_name(c.dataset), c.heading) for c in columns)


def _line(
    config: Config,
    columns: tuple[Column, ...],
    printed: PublishedRow | None,
    trained: Trained | None,
    key: str,
    records: dict[str, Record],
    there: Sequence[Record] = (),
    names: list[str] | None = None,
    comparable: bool = True,
) -> Line:
    """A line of Table 1 or 2 from its printed row, its run, or both. Without a run, one of the records `there`, of
    another profile, may have measured the row. `comparable` means that the printed row and its run use the same
    dataset.
    """
    record = records[key] if key else None
    found = None if record else elsewhere.of_printed(printed, there)
    if record:
        cells = tuple(entries.measured_entry(record, column) for column in columns)
    elif found:
        cells = tuple(elsewhere.entry_elsewhere(found, column) for column in columns)
    else:
        cells = (_unmeasured(printed),) * len(columns)
    names = names or [c.published for c in columns]
    return Line(
        labels=(printed.name if printed else identity.name(trained),),
        entries=cells,
        published=entries.published(printed, names, cells, config.profile.generated or not comparable),
        run=key,
        reference=printed.labels["reference"] if printed else "",
        mark=video_encoders.pretraining_mark(record),
        setting=trained.setting if trained else "",
        published_as=identity.WHOLE_MODEL if printed and printed.labels["section"] == paper.TUNING else "",
        extra=printed is None,
        elsewhere=(found["profile"], found["row"]) if found else None,
        record=record,
    )


def _unmeasured(printed: PublishedRow) -> Entry:
    """A printed row without a run in this profile: "not run" if the suite has a method for it, otherwise "reported"."""
    if not printed.run:
        return Entry(REPORTED)
    size = printed.labels.get("size")
    where = f" on ViT-{size} with these frames" if size else ""
    return Entry(NOT_RUN, f"no {printed.run}{where} and with the paper's options in this profile")
