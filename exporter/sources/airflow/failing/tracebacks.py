"""Exceptions in the text of a log: Python's tracebacks, with what caused them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from exporter.diagnosis.evidence import RaisedError

START = re.compile(r"^\s*(?:\+ Exception Group )?Traceback \(most recent call last\):\s*$")
FRAME = re.compile(r'^\s+File "(?P<file>[^"]{1,1000})", line \d+')
RAISED = re.compile(r"^(?P<type>[A-Za-z_](?:[\w.]|<locals>){0,200})(?::\s?(?P<text>.*))?$")
"""The last line of a traceback. A type that is defined in a function has `<locals>` in its name."""
LINK = re.compile(
    r"^\s*(?:The above exception was the direct cause|(?P<handled>During handling of the above exception))"
)
MARGIN = re.compile(r"^(?:\s*(?:\||\+-)[ -]?|\[[a-z0-9][a-z0-9-]{0,62}\] ?)")
"""What Python draws beside the traceback of a group, or the container that wrote a line of a pod's log."""
PACKAGE = re.compile(r"(?:site|dist)-packages/(?P<path>[^.]+?)(?:/__init__)?\.(?:[^/]*\.)?(?:py|so)$")
STANDARD = re.compile(r"(?:lib/python3\.\d+/(?P<path>[\w/]+)\.py|<frozen (?P<frozen>[\w.]+)>)$")
HANDLED, CAUSED = "handled", "caused"
"""How an exception is linked to the one before: raised while that was handled, or because of it."""
MAX_TEXT = 4_000
"""Characters of the beginning of a message that are looked at, and of its end: a pod's whole state may be between."""
MAX_TEXT_LINES = 20
"""Lines of a message that are looked at where it is not known where it ends."""


def find_module(filename: str) -> str:
    """The module of an installed package or of the standard library whose file this is; empty for other files."""
    if found := PACKAGE.search(filename):
        return found["path"].replace("/", ".")
    if found := STANDARD.search(filename):
        return (found["frozen"] or found["path"]).replace("/", ".").removesuffix(".__init__")
    return ""


def make_error(type_name: str, text: str, filename: str = "") -> RaisedError:
    """An exception by the name of its type, which may have its module before it."""
    module, _, name = type_name.rpartition(".")
    origin = find_module(filename)
    short = text if len(text) <= 2 * MAX_TEXT else f"{text[:MAX_TEXT]}\n{text[-MAX_TEXT:]}"
    return RaisedError(name, module or origin, short, origin=origin)


def find_chains(lines: Iterable[str], *, whole: bool = False) -> list[Sequence[RaisedError]]:
    """Each traceback of a text; in each the exception that was raised last comes first, then what caused it.

    A `whole` text has nothing else after them: all that follows an exception is its message.
    """
    chains: list[list[RaisedError]] = []
    link = ""
    for kind, error in _read_parts(lines, whole=whole):
        if error is None:
            link = kind if chains else ""
        elif link:
            cause = chains[-1][0]
            chains[-1][:1] = [error, replace(cause, handled=link == HANDLED)]
            link = ""
        else:
            chains.append([error])
    return list(chains)


def _read_parts(lines: Iterable[str], *, whole: bool) -> Iterator[tuple[str, RaisedError | None]]:
    """The exceptions of a text in order, and how the next one is linked to the one before."""
    filename: str | None = None
    """Of the last frame; None outside of a traceback."""
    raised: re.Match[str] | None = None
    message: list[str] = []
    for line in (*map(_strip_margin, lines), None):
        if raised is not None:
            if line is not None and _goes_on(line, message, whole=whole):
                message.append(line)
                continue
            yield "error", make_error(raised["type"], "\n".join(message), filename or "")
            filename, raised = None, None
        if line is None:
            return
        if START.match(line):
            filename = ""
        elif found := LINK.match(line):
            yield HANDLED if found["handled"] else CAUSED, None
        elif filename is not None and (frame := FRAME.match(line)):
            filename = frame["file"]
        elif filename is not None and line[:1].strip() and (raised := RAISED.match(line)):
            message = [raised["text"] or ""]


def _goes_on(line: str, message: Sequence[str], *, whole: bool) -> bool:
    """Whether a line belongs to the message of the exception before it."""
    if START.match(line) or LINK.match(line):
        return False
    return whole or (line.strip() != "" and len(message) < MAX_TEXT_LINES)


def _strip_margin(line: str) -> str:
    """A line of a traceback without what stands before each of its lines."""
    return MARGIN.sub("", line)
