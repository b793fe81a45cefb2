"""Long commands with a line of progress every few seconds."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

Say = Callable[[str], None]

HEARTBEAT_SECONDS = 5.0
TAIL_LINES = 15


class CommandError(Exception):
    """A command of the set-up failed; the message says which, why and where its whole output lies."""


def say(message: str) -> None:
    """Progress goes to stderr, so that stdout can hold an answer."""
    print(message, file=sys.stderr, flush=True)


def last_line(text: str) -> str:
    """The newest line that says something, cut to the width of a terminal."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:80] if lines else ""


def run(
    command: Sequence[str],
    *,
    label: str,
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
    report: Say = say,
) -> None:
    """Run it to its end with the output in a log file, and print its progress every few seconds."""
    began = time.monotonic()
    with log.open("ab") as output:
        offset = output.tell()
        child = subprocess.Popen(
            command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            _watch(
                child, lambda: report(f"  {label}: {time.monotonic() - began:.0f} s  {last_line(_since(log, offset))}")
            )
        except BaseException:  # an interrupt: what we started must not go on without us
            child.kill()
            child.wait()
            raise
    if child.returncode:
        tail = "\n    ".join(_since(log, offset).splitlines()[-TAIL_LINES:])
        raise CommandError(f"{label} failed (exit {child.returncode}); the end of {log}:\n    {tail}")


def _watch(child: subprocess.Popen[bytes], beat: Callable[[], None]) -> None:
    while True:
        try:
            child.wait(HEARTBEAT_SECONDS)
        except subprocess.TimeoutExpired:
            beat()
        else:
            return


def _since(log: Path, offset: int) -> str:
    with log.open("rb") as text:
        text.seek(offset)
        return text.read().decode(errors="replace")


def main(words: Sequence[str]) -> int:
    """`python -m demo.progress LABEL LOG COMMAND ...`, for the Makefile."""
    label, log, *command = words
    try:
        run(command, label=label, log=Path(log))
    except CommandError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
