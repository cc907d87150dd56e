"""Tables on disk, opened as they stand: CSV or Excel, cells as text, columns found by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dfer.errors import DferError


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """A published CSV or Excel table as it stands.

    Args:
        path: the file.
        **options: of `pandas.read_csv` or `pandas.read_excel`, whichever reads it.

    Raises:
        DferError: it cannot be read.
    """
    try:
        table: pd.DataFrame = (pd.read_excel if path.suffix.lower() == ".xlsx" else pd.read_csv)(path, **options)
        return table
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        raise DferError(f"{path} cannot be read as a table: {error!r:.200}; get it again") from error


def open_table(path: Path, expected: str) -> pd.DataFrame:
    """A user's own table, every cell as it was typed; cells of CSV are parted by commas, semicolons or tabs.

    Args:
        path: .csv or .xlsx.
        expected: what it should hold, for messages.

    Raises:
        DferError: it cannot be read, or its rows have more cells than its header.
    """
    try:
        if path.suffix.lower() == ".xlsx":
            return pd.read_excel(path, dtype=object, keep_default_na=False, na_values=[""])
        with path.open(encoding="utf-8-sig") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        table = pd.read_csv(path, dtype=str, sep=separator, encoding="utf-8-sig", keep_default_na=False, na_values=[""])
    except UnicodeDecodeError as error:
        raise DferError(f"{path} is not in UTF-8; save it anew as CSV in UTF-8") from error
    except pd.errors.EmptyDataError as error:
        raise DferError(f"{path} is empty; expected {expected}") from error
    except Exception as error:  # openpyxl raises whatever a damaged archive makes it stumble over
        told = str(error).strip() or repr(error)
        raise DferError(f"{path} cannot be read as a table ({told:.200}); expected {expected}") from error
    if not len(table):
        raise DferError(f"{path} has a header and no row; expected {expected}")
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first column for names of rows
        raise DferError(f"{path} has more cells in its rows than names in its header; is there a delimiter too many?")
    return table


def cell_text(value: object) -> str:
    """A cell as text, "" if it is empty."""
    if value is None or value is pd.NA or (isinstance(value, float) and np.isnan(value)):
        return ""
    return str(value).strip()


def find_column(table: pd.DataFrame, names: tuple[str, ...]) -> Any:
    """The table's own name of the first column that is called one of `names`, or None."""
    own = {str(name).strip().lower(): name for name in reversed(table.columns)}
    return next((own[name] for name in names if name in own), None)
