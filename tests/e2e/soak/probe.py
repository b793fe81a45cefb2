"""Runs the exporter without a pause between polls, and writes how many memory blocks Python has allocated.

They are written to the file that $SOAK_BLOCKS names.

python -m tests.e2e.soak.probe serve ...
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from exporter.cli import main
from exporter.collect import supervisor

PAUSE = 1.0
BUSY_RATIO = 0.9
"""The share of the time in which a reader may read; usually it is less, and slow polls make the interval longer."""


def report(path: Path) -> None:
    """Write the number of blocks again and again; the file is replaced, so that a reader never sees a part of it."""
    scratch = path.with_suffix(".new")
    while True:
        scratch.write_text(str(sys.getallocatedblocks()))
        scratch.replace(path)
        time.sleep(PAUSE)


if __name__ == "__main__":
    supervisor.MAX_BUSY_RATIO = BUSY_RATIO
    threading.Thread(target=report, args=(Path(os.environ["SOAK_BLOCKS"]),), name="probe", daemon=True).start()
    sys.exit(main())
