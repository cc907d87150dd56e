"""Pages and tables for people: the report, the comparison and the robustness page, their charts and sentences."""

from dfer.reports.comparison_page import write_comparison
from dfer.reports.contents import Cell, Curve, DataSet, Report, Training
from dfer.reports.report import build_report, write_report

__all__ = [
    "Cell",
    "Curve",
    "DataSet",
    "Report",
    "Training",
    "build_report",
    "write_comparison",
    "write_report",
]
