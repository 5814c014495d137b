"""The report of a run: one HTML file that opens offline."""

from nascence.report.cell import draw_cell
from nascence.report.contents import (
    CandidatePoint,
    Compared,
    Curve,
    Mistake,
    NetworkRow,
    ReportContents,
    StageTime,
)
from nascence.report.page import render, write

__all__ = [
    "CandidatePoint",
    "Compared",
    "Curve",
    "Mistake",
    "NetworkRow",
    "ReportContents",
    "StageTime",
    "draw_cell",
    "render",
    "write",
]
