"""Where reports go, and how progress is told."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
HERE = Path(__file__).resolve().parent


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(f"{time.strftime('%T')} {message}", file=sys.__stderr__, flush=True)
