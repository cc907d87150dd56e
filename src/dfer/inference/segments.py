"""From rows of probabilities to what a person reads: smoothed curves, segments, and one answer for the whole.

Conventions: `times (T,)` seconds, increasing; `probs (T, K)`, a row of NaN where there is no face. A row holds until
the next one, the last one until `end_s`. What is not seen stays NaN: nothing is filled in.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from dfer.inference.doubts import Doubts, verdict_of
from dfer.inference.spans import SHORTEST_S, pieces, runs

Floats = npt.NDArray[np.float64]

SMOOTHING_S = 0.15
"""Standard deviation of the Gaussian that curves are smoothed with, seconds; cut off at `CUT` of them."""
CUT = 3
"""Standard deviations."""
RISE, FALL = 0.5, 0.35
"""A segment reaches the one probability, and goes on as long as the other one is kept."""


@dataclass(frozen=True)
class Segment:
    """A stretch of time in which an emotion shows.

    Attributes:
        start_s: onset, seconds.
        apex_s: when its probability is highest, seconds.
        end_s: offset, seconds.
        emotion: its name.
        score: its probability at the apex, 0..1.
        mixed: the mean of the score of that name, see `dfer.inference.doubts`; None: not known.
        cannot_tell: likewise.
        doubt: what is said instead of the emotion: "mixed: sad/neutral" or "cannot tell"; "": the emotion is named.
    """

    start_s: float
    apex_s: float
    end_s: float
    emotion: str
    score: float
    mixed: float | None = None
    cannot_tell: float | None = None
    doubt: str = ""

    @property
    def says(self) -> str:
        """The emotion, or why none is named."""
        return self.doubt or self.emotion


def smooth(times: Floats, probs: Floats, sigma_s: float = SMOOTHING_S) -> Floats:
    """The mean of each row and its neighbours in time, weighted by a Gaussian of their distance; (T, K).

    Rows of NaN count for nothing and stay as they are. 0: no smoothing.

    >>> smooth(np.array([0.0, 0.1]), np.array([[1.0, 0.0], [0.0, 1.0]]), 0.1).round(3).tolist()
    [[0.622, 0.378], [0.378, 0.622]]
    """
    seen = ~np.isnan(probs[:, :1])
    values = np.where(seen, probs, 0.0)
    total, weight = values.copy(), seen.astype(np.float64)
    reach_s = CUT * sigma_s + 1e-6  # differences of times are not exact
    for offset in range(1, len(times) if sigma_s else 0):
        apart = times[offset:] - times[:-offset]
        if apart.min() > reach_s:
            break
        kernel = np.where(apart <= reach_s, np.exp(-0.5 * (apart / sigma_s) ** 2), 0.0)[:, None]
        for former, latter in (
            (slice(None, -offset), slice(offset, None)),
            (slice(offset, None), slice(None, -offset)),
        ):
            total[latter] += kernel * values[former]
            weight[latter] += kernel * seen[former]
    return np.where(seen, total / np.where(seen, weight, 1.0), np.nan)


def find_segments(
    times: Floats, probs: Floats, emotions: tuple[str, ...], *, end_s: float, doubts: Doubts | None = None
) -> tuple[Segment, ...]:
    """The segments of all emotions in the order of their onsets.

    An emotion's segment begins where its probability comes to stay at `FALL` or above, provided that it reaches `RISE`
    before it falls below again, and lasts for `SHORTEST_S`. It ends where its last row does. Segments of two emotions
    may overlap; where no emotion is likely there is none. `doubts` are those of the rows.
    """
    found = []
    ends = np.append(times[1:], end_s)
    for piece in pieces(times, ends, ~np.isnan(probs[:, 0])):
        for k, emotion in enumerate(emotions):
            curve = probs[piece, k]
            for start, end in runs(curve >= FALL):
                apex = start + int(curve[start:end].argmax())
                onset, offset = float(times[piece[start]]), float(ends[piece[end - 1]])
                # A clock in thousandths of a second makes 0.3 s a little less.
                if curve[apex] >= RISE and offset - onset >= SHORTEST_S - 0.001:
                    segment = Segment(onset, float(times[piece[apex]]), offset, emotion, float(curve[apex]))
                    rows = piece[start:end]
                    if doubts is not None:
                        verdict = verdict_of(doubts.at(rows), probs[rows], (ends - times)[rows], emotions)
                        segment = replace(
                            segment, mixed=verdict.mixed, cannot_tell=verdict.cannot_tell, doubt=verdict.says
                        )
                    found.append(segment)
    return tuple(sorted(found, key=lambda segment: (segment.start_s, segment.end_s)))


def overall(times: Floats, probs: Floats, weights: Floats, *, end_s: float) -> Floats:
    """The mean of the rows, (K,), each weighted by `weights (T,)` and the time for which it holds.

    NaN where no row has a face.
    """
    seen = ~np.isnan(probs[:, 0])
    shares = weights * np.diff(times, append=end_s)
    if not seen.any():
        return np.full(probs.shape[1], np.nan)
    if not shares[seen].any():  # a single picture
        shares = weights
    return np.average(probs[seen], axis=0, weights=shares[seen])
