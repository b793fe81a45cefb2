"""What is generated, compared with the files that there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path


def list_outdated(wanted: Mapping[Path, str], present: Iterable[Path]) -> Iterator[tuple[Path, str | None]]:
    """Yield each file that is out of date, with its new text; None if it must be deleted."""
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text
    yield from ((path, None) for path in sorted(present) if path not in wanted)


def update(outdated: Iterable[tuple[Path, str | None]], arguments: Iterable[str], command: str, root: Path) -> int:
    """Write what is out of date, or with `--check` name it, beside the command that writes. Returns the exit code."""
    changes = list(outdated)
    if "--check" in arguments:
        for path, _ in changes:
            print(f"{path.relative_to(root)} is out of date; run {command}")
        return 1 if changes else 0
    for path, text in changes:
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 0
