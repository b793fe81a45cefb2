"""Airflow's clock, from the `Date` headers of its replies: an estimate that a few wrong ones cannot move far.

Counting reads what was touched after the estimate of the poll before. An estimate that is too late loses what is
touched until Airflow's clock gets there; one that is too early only reads some rows twice, which are known by their
keys. So the earliest of the recent headers counts, a header that is ahead of our own clock by a little is not believed,
and one that is far behind the others is left out.
"""

from __future__ import annotations

from collections import deque
from statistics import median

WINDOW = 1_800.0
"""Seconds for which a header counts: for so long one that is ahead of the others moves nothing."""
STEP = 60.0
"""Seconds: of each such step the lowest skew is kept."""
MAX_AHEAD = 600.0
"""Seconds that Airflow's clock may be ahead of ours before that is believed; less only makes polls overlap more."""
MAX_BEHIND = 600.0
"""Seconds that a header may be behind the median of the last ones before it is left out."""
COMPARED = 5
"""How many of the last headers a new one is compared with."""
MAX_LATENCY = 5.0
"""Seconds that a reply may take for its header to count, where there is another."""


class ServerClock:
    """How far Airflow's clock is ahead of ours. Times are Unix seconds on our clock; skews are in seconds."""

    def __init__(self) -> None:
        self.skew: float | None = None
        """By the last header, to half a second; None before the first."""
        self._last: deque[float] = deque(maxlen=COMPARED)
        self._lowest: deque[tuple[float, float]] = deque()
        """For each STEP, when it began and the lowest skew in it."""

    def record(self, date: float, began: float, ended: float) -> None:
        """Record the Date header of a reply (whole seconds, rounded down) and when its request began and ended."""
        lowest = date - (began + ended) / 2
        self.skew = lowest + 0.5
        if ended - began > MAX_LATENCY and self._lowest:
            return
        self._last.append(lowest)
        if lowest >= median(self._last) - MAX_BEHIND:
            self._keep(lowest, ended)

    def read(self, now: float) -> float:
        """The earliest time that Airflow's clock can show when ours shows `now`; `now` before the first header."""
        self._drop_old(now)
        skew = min((lowest for _, lowest in self._lowest), default=0.0)
        return now + (0.0 if 0.0 < skew <= MAX_AHEAD else skew)

    def _keep(self, lowest: float, now: float) -> None:
        self._drop_old(now)
        if self._lowest and 0 <= now - self._lowest[-1][0] < STEP:
            begun, before = self._lowest.pop()
            self._lowest.append((begun, min(before, lowest)))
        else:
            self._lowest.append((now, lowest))

    def _drop_old(self, now: float) -> None:
        """Drop samples older than WINDOW, except the last one, and samples later than now."""
        while len(self._lowest) > 1 and not 0 <= now - self._lowest[0][0] <= WINDOW:
            self._lowest.popleft()
