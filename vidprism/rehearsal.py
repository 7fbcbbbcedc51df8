"""The rehearsal's page: what ran on random weights, and every row of the paper profile built without memory and counted.

A row is built on torch's meta device, where tensors have shapes and no values, so that a ViT-L/14 with its head
costs nothing; its parameters are held against the formula of `vidprism.complexity`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import nn

from vidprism import methods, paths, results
from vidprism.complexity import count, has_formula
from vidprism.config import Config
from vidprism.record import REHEARSED
from vidprism.report import CODE_VERSION_INPUTS, report_version
from vidprism.report.render import render
from vidprism.rows import GROUPS, Row, rows
from vidprism.tables.layout import real_name


@dataclass(frozen=True)
class Planned:
    """A row of the paper profile: what it would run, and what it costs. Parameters built and by formula, in millions;
    `gmacs` of one view.
    """

    group: str
    row: str
    method: str
    backbone: str
    frames: int
    cells: str
    built: float
    counted: float | None
    gmacs: float | None
    status: str

    @property
    def agrees(self) -> bool:
        """Whether the formula gives the parameters that were built."""
        return self.counted is None or round(self.built, 6) == round(self.counted, 6)
