"""The git revision that this package was built from."""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).with_name("REVISION")
"""Written by the build (hatch_build.py); a checkout has none, since it changes with git."""
UNKNOWN = "unknown"


def read_revision(path: Path = FILE) -> str:
    """The commit, with `-dirty` for changed sources, or `unknown`."""
    try:
        return path.read_text(encoding="utf-8").strip() or UNKNOWN
    except OSError:
        return UNKNOWN


REVISION = read_revision()
