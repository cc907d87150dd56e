"""Is a data set sound? Checks of a Manifest against files and published figures, and statistics of its votes."""

from __future__ import annotations

from dfer.doctor.checks import CHECKS, Examination, examine
from dfer.doctor.findings import Case, Finding

__all__ = ["CHECKS", "Case", "Examination", "Finding", "examine"]
