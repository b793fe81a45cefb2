"""Runs the exporter without a pause between polls, and writes how many memory blocks Python has allocated.

They are written to the file that $SOAK_BLOCKS names. What the exporter keeps for longer than a day is kept for a day
here, and of tries as many as end in a day, so that a run of some days shows whether it is removed.

python -m tests.e2e.soak.probe serve ...
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from unittest.mock import patch

from exporter.cli import main
from exporter.collect import pauses
from exporter.sources import directory
from exporter.sources.airflow.failing import account, retry_counts
from exporter.sources.airflow.readers import waits
from exporter.sources.airflow.waits import past

PAUSE = 1.0
DAY = 86_400.0
REAL_SECONDS_OF_A_DAY = 150.0
"""About how long a day of the fast clock takes: the monotonic clock, by which DAGs are forgotten, does not jump."""
TRIES_OF_A_DAY = 4_000


def keep_intervals(shares: Iterable[float], budget: float) -> float:
    """Let readers read all the time; usually slow reads make the interval longer."""
    return 0.0


def report(path: Path) -> None:
    """Write the number of blocks again and again; the file is replaced, so that a reader never sees a part of it."""
    scratch = path.with_suffix(".new")
    while True:
        scratch.write_text(str(sys.getallocatedblocks()))
        scratch.replace(path)
        time.sleep(PAUSE)


def shorten_retentions() -> None:
    """Keep for a day what is kept for 7 days (failed tries), 14 (counts of retries) or 30 (durations of tasks)."""
    retentions = (
        (account, "RETENTION"),
        (retry_counts, "RETENTION"),
        (waits, "PAST_RETENTION"),
        (past, "PAST_RETENTION"),
    )
    for module, name in retentions:
        patch.object(module, name, DAY).start()
    patch.object(directory, "DAG_LIFETIME", REAL_SECONDS_OF_A_DAY).start()
    patch.object(directory, "MAX_TRIES", TRIES_OF_A_DAY).start()


if __name__ == "__main__":
    pauses.compute_stretch = keep_intervals
    shorten_retentions()
    threading.Thread(target=report, args=(Path(os.environ["SOAK_BLOCKS"]),), name="probe", daemon=True).start()
    sys.exit(main())
