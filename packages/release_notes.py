"""Print the section of a release in CHANGELOG.md: `python packages/release_notes.py 1.2.0`.

Fails if there is no such section, or if it is empty. The release workflow makes the text of the release of it.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"
HEADING = re.compile(r"^## \[?(?P<version>[^\]\s]+)\]?(?: - (?P<date>\S+))?[ \t]*$", re.MULTILINE)
LINK = re.compile(r"^\[[^\]]+\]: \S+[ \t]*$\n?", re.MULTILINE)
"""Definitions of links at the end of the file."""


class NotesError(ValueError):
    """There is nothing to print."""


def extract(text: str, version: str) -> str:
    """The section of a version, without its heading. Raises NotesError."""
    headings = list(HEADING.finditer(text))
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if heading["version"] == version:
            notes = LINK.sub("", text[heading.end() : following.start() if following else len(text)]).strip()
            if notes:
                return f"{notes}\n"
            raise NotesError(f"the section of {version} is empty")
    known = ", ".join(heading["version"] for heading in headings)
    raise NotesError(f"there is no section of {version}; there are {known or 'none'}")


def main(arguments: list[str]) -> int:
    """Print the notes, or what is wrong."""
    if len(arguments) != 1:
        sys.stderr.write("usage: release_notes.py VERSION\n")
        return 2
    try:
        sys.stdout.write(extract(CHANGELOG.read_text(encoding="utf-8"), arguments[0].removeprefix("v")))
    except NotesError as error:
        sys.stderr.write(f"CHANGELOG.md: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
