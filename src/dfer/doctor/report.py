"""The examination as JSON, for other programs: every finding with all its culprits, and all figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dfer.doctor.checks import Examination
from dfer.files import write_text
from dfer.version import __version__

FORMAT = "dfer.doctor/1"


def report(examination: Examination, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Ready for JSON.

    Args:
        examination: of `examine`.
        figures: of `statistics`.

    Returns:
        "format", "version", "source", "sound", "left_out", "findings" (each "check", "verdict", "found", "advice" and
        "clips", the ids of all culprits), "figures".
    """
    manifest = examination.case.manifest
    return {
        "format": FORMAT, "version": __version__, "source": manifest.source, "sound": examination.sound,
        "left_out": dict(manifest.left_out),
        "findings": [
            {
                "check": finding.check, "verdict": finding.verdict, "found": finding.found,
                "advice": finding.advice, "clips": list(finding.clips),
            }
            for finding in examination.findings
        ],
        "figures": dict(figures),
    }  # fmt: skip


def as_json(examination: Examination, figures: Mapping[str, Any]) -> str:
    """`report` as text; names of files that are no valid Unicode are escapes."""
    return json.dumps(report(examination, figures), indent=1, allow_nan=False) + "\n"


def write_report(path: Path, examination: Examination, figures: Mapping[str, Any]) -> None:
    """Write it in one go.

    Raises:
        DferError: it cannot be written.
    """
    write_text(path, as_json(examination, figures))
