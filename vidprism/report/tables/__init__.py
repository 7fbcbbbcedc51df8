"""The paper's tables, filled with the suite's measurements: results and published numbers in, blocks of lines out.

Rows come from the paper's CSV and from the profile (`vidprism.config.rows`), never from the files on disk, so a row is
never dropped: it is measured, "not run" (the suite has or will have a run for it) or "reported" (only the paper has
it). The printed row that a run belongs to follows from what it trained (`identity`), not from its key.
"""

from __future__ import annotations

from dataclasses import replace

from vidprism import paper
from vidprism.config import Config
from vidprism.report.colours import method_colours
from vidprism.report.tables import ablations, comparison, families, figures, finding, identity, order
from vidprism.report.tables.layout import Block, Table
from vidprism.report.tables.setting import GROUP_OF_TABLE, setting
from vidprism.report.tables.to_csv import to_csv

__all__ = ["build_table", "to_csv"]

BLOCKS = {
    1: comparison.table1,
    2: comparison.table2,
    3: ablations.table3,
    4: ablations.table4,
    5: ablations.table5,
}


def build_table(config: Config, number: int) -> Table:
    """Table `number` (1 to 5) of the chosen profile.

    Raises:
        ValueError: the paper has no such table.
        ResultsError: a results file that cannot be read, or results that do not belong together.
    """
    number = paper.table_number(number)
    blocks, signs = families.verdicts([_distinct(block) for block in BLOCKS[number](config)])
    blocks, columns = families.bold(blocks)
    agreement = order.agreement(line for block in blocks for line in block.lines)
    p = config.profile
    return Table(
        number,
        paper.TITLES[number],
        p.name,
        p.generated,
        (*setting(config, number), *families.caption(blocks, signs, columns)),
        tuple(blocks),
        paper.remarks(number),
        finding.finding(number, blocks),
        (agreement,) if agreement else (),
        tuple(figures.draw(number, block, method_colours(config)) for block in blocks),
        GROUP_OF_TABLE[number],
    )


def _distinct(block: Block) -> Block:
    return replace(block, lines=identity.with_distinct_labels(block.lines))
