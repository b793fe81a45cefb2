"""Runs the exporter, and writes how many memory blocks Python has allocated to the file that $SOAK_BLOCKS names.

python -m tests.e2e.soak.probe serve ...
"""

from __future__ import annotations

import os
import sys
import threading
import time
from pathlib import Path

from exporter.cli import main

PAUSE = 1.0


def report(path: Path) -> None:
    """Write the number of blocks again and again; the file is replaced, so that a reader never sees a part of it."""
    scratch = path.with_suffix(".new")
    while True:
        scratch.write_text(str(sys.getallocatedblocks()))
        scratch.replace(path)
        time.sleep(PAUSE)


if __name__ == "__main__":
    threading.Thread(target=report, args=(Path(os.environ["SOAK_BLOCKS"]),), name="probe", daemon=True).start()
    sys.exit(main())
