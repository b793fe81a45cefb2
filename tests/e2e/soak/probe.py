"""Runs the exporter without a pause between polls, and writes how many memory blocks Python has allocated.

They are written to the file that $SOAK_BLOCKS names.

python -m tests.e2e.soak.probe serve ...
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from exporter.cli import main
from exporter.collect import pauses

PAUSE = 1.0


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


if __name__ == "__main__":
    pauses.compute_stretch = keep_intervals
    threading.Thread(target=report, args=(Path(os.environ["SOAK_BLOCKS"]),), name="probe", daemon=True).start()
    sys.exit(main())
