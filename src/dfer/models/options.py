"""The options that networks share, with the range of each: no recipe and no card can ask for a network beyond it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

MOST_WEIGHTS = 10**9
"""4 GB of numbers; the largest network of the field's that we know has a tenth of that."""

Width = Annotated[int, Field(ge=1, le=4_096)]
"""Channels of a layer."""
Share = Annotated[float, Field(ge=0, lt=1)]
"""A probability of dropout."""
