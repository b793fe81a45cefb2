"""What the end of a log says of a failure: Airflow 3's structured messages, and the text of Airflow 2."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from exporter.diagnosis.evidence import Evidence, RaisedError, find_exit_code
from exporter.sources.airflow.failing.tracebacks import find_chains, make_error

FAILED_EVENT = "Task failed with exception"
"""Beginning of the message with which Airflow logs the exception that ended a try."""
EXITED = "Task exited"
"""The message of Airflow 3 of a try that ended by `sys.exit`."""
BAD_LEVELS = ("error", "critical")
STDERR = "task.stderr"
"""The logger of what programs write to their error stream, which Airflow 3 calls errors."""
MAX_COMPLAINTS, MAX_SAID = 10, 60
"""Last lines that are looked at: errors, and all."""
MAX_COMMAND = 4_000
"""Characters of a command that are looked at."""
MAX_LINE = 500
"""Characters of a line that are looked at."""
MAX_ERRORS = 20
"""Exceptions of a chain that are looked at."""
LINE = re.compile(r"^\[[^\]]{10,40}\] (?:\{(?P<origin>[^}]{1,200})\} )?(?P<level>[A-Z]{4,8}) - (?P<text>.*)$")
AIRFLOWS_OWN = re.compile(
    r"(?:taskinstance|(?:standard_task|local_task_job|task)_runner|task_command|dagbag|manager)\.py\b|task\Z|airflow\.(?!task\b|providers\b)"
)
"""Files (2.x) and loggers (3.x) of messages by Airflow itself, which name DAGs and tasks but no cause."""
COMMAND = re.compile(r"(?:Running command|Spark-Submit cmd|Executing cmd): ")
"""Beginning of the message that holds the command that is run."""
START = re.compile("::group::Pre|Dependencies all met|DAG bundles loaded")
"""Messages with which Airflow begins: a try, and again after each time that it was deferred or rescheduled."""
END = re.compile(
    rf"{FAILED_EVENT}|{EXITED}|Process (?:exited|terminated)|::group::Post|Marking task as|\W*Received SIG|"
    "Task killed|Server indicated|Detected (?:a )?zombie|.*heartbeat timeout|DagRun finished with failed state|"
    "Dag [Rr]un already exists|Trigger (?:.* )?fired"
)
"""Messages with which Airflow ends the log of a try, whatever ended it."""
POST = "::group::Post"
LAST_LINE = "::endgroup::"
"""What Airflow writes last, after what callbacks write, which may be long."""
TRIGGER_FAILED = "Trigger failed:"
"""The message that has the traceback of the trigger of a deferred task, before the exception that says no more."""
OUTLIVED = re.compile(r"heartbeat|zombie|shouldn't be running|[Tt]ask killed|externally|SIGTERM")
"""Error messages after which no exception of before explains the end of a try."""
SEVERAL_LINES = re.compile(r"\\n")


class Message(NamedTuple):
    """One message of a log, of either release."""

    text: str
    level: str
    origin: str = ""
    """The file (2.x) or the logger (3.x) that wrote it."""
    more: Sequence[str] = ()
    """The lines that follow it without a heading: a traceback."""
    errors: Sequence[RaisedError] = ()
    """The exceptions that it carries as data."""
    exit_code: int | None = None


def read_evidence(tail: str, major: int) -> Evidence:
    """What the end of the log of a failed try says."""
    messages = list(parse_json(tail)) if major >= 3 else list(parse_text(tail))
    said = list(list_said(messages))
    complaints = [
        line for message in messages if message.level in BAD_LEVELS for line in (message.text, *message.more[-3:])
    ]
    code = find_code(messages)
    chain, output = find_chain(messages, code), next(iter(reversed(find_chains(said))), ())
    if not chain and code in (None, 0, 1):
        # A log format of the users' own, in which levels cannot be recognized.
        chain = output[:MAX_ERRORS]
    return Evidence(
        chain,
        code,
        join(complaints[-MAX_COMPLAINTS:]),
        join(said[-MAX_SAID:]),
        find_command(messages),
        output,
        stops=stops_amid_work(messages),
    )


def stops_amid_work(messages: Sequence[Message]) -> bool:
    """Whether a log whose messages can be read lacks its end, after the task began or went on last."""
    begun = [place for place, message in enumerate(messages) if START.match(message.text)]
    last = messages[begun[-1] if begun else 0 :]
    if not begun and last and last[-1].text == LAST_LINE:
        return False
    return any(message.level for message in messages) and not any(END.match(message.text) for message in last)


def list_said(messages: Iterable[Message]) -> Iterator[str]:
    """What the task and its commands wrote, without errors and without what Airflow says of itself."""
    for message in messages:
        if (
            (message.level in BAD_LEVELS and message.origin != STDERR)
            or AIRFLOWS_OWN.match(message.origin)
            or COMMAND.match(message.text)
        ):
            continue
        yield from (message.text, *message.more)


def find_command(messages: Sequence[Message]) -> str:
    """The command that was run last."""
    for message in reversed(messages):
        if COMMAND.match(message.text) and not AIRFLOWS_OWN.match(message.origin):
            return join((message.text, *message.more))[:MAX_COMMAND]
    return ""


def join(lines: Iterable[str]) -> str:
    """The lines as one text, each shortened."""
    return "\n".join(line[:MAX_LINE] for line in lines)


def find_chain(messages: Sequence[Message], code: int | None) -> Sequence[RaisedError]:
    """The exceptions that ended the try: those that Airflow logged with it, else the last that were logged.

    The latter do not explain a signal, nor a try that went on and was ended from outside.
    """
    ending = [one for one in messages if one.level in BAD_LEVELS and one.text.startswith(FAILED_EVENT)]
    bad = [one for one in (messages if ending else leave_out_start(messages)) if one.level in BAD_LEVELS]
    if not ending and ((code is not None and code < 0) or stops_amid_work(messages)):
        return ()
    for message in reversed(ending or bad):
        if chain := get_errors(message):
            return (find_trigger_errors(bad, chain[0]) or chain)[:MAX_ERRORS]
        if not ending and OUTLIVED.search(message.text):
            return ()
    return ()


def leave_out_start(messages: Sequence[Message]) -> Sequence[Message]:
    """The messages without those before the task itself began: a task that began got over what failed until then."""
    begun = [place for place, message in enumerate(messages) if START.match(message.text)]
    for place in range(begun[-1] if begun else len(messages), len(messages) - 1):
        if messages[place].text.startswith(POST):
            break
        if messages[place].text == LAST_LINE:
            return messages[place:]
    return messages


def get_errors(message: Message) -> Sequence[RaisedError]:
    """The exceptions of one message, the one that was raised last first."""
    return message.errors or next(iter(reversed(find_chains(message.more, whole=True))), ())


def find_trigger_errors(bad: Sequence[Message], raised: RaisedError) -> Sequence[RaisedError]:
    """What made the trigger fail, where the exception that ended the try says only that it did."""
    if raised.name != "TaskDeferralError":
        return ()
    failed = [message for message in bad if message.text.startswith(TRIGGER_FAILED)]
    return get_errors(failed[-1]) if failed else ()


def find_code(messages: Sequence[Message]) -> int | None:
    """The exit code of the task's process, a signal as a negative number."""
    for message in reversed(messages):
        if message.exit_code is not None:
            return message.exit_code
        if message.text.startswith("Task exited with return code"):
            return find_exit_code(message.text)
    return None


def parse_json(tail: str) -> Iterator[Message]:
    """The messages of Airflow 3: an object a line, or a list of them; the first may be cut off."""
    for row in read_objects(tail):
        first, *more = str(row.get("event") or "").strip().splitlines() or [""]
        yield Message(
            first,
            str(row.get("level") or "").lower(),
            str(row.get("logger") or ""),
            more,
            list(read_errors(row.get("error_detail"))),
            read_code(row),
        )


def read_objects(tail: str) -> Iterator[dict[str, Any]]:
    """Each JSON object of a text that has an event."""
    decoder = json.JSONDecoder()
    at = tail.find('{"')
    while at >= 0:
        try:
            row, end = decoder.raw_decode(tail, at)
        except (ValueError, RecursionError):
            at = tail.find('{"', at + 2)
            continue
        if isinstance(row, dict) and isinstance(row.get("content"), list):
            yield from (one for one in row["content"] if isinstance(one, dict))
        elif isinstance(row, dict) and "event" in row:
            yield row
        at = tail.find('{"', end)


def read_code(row: dict[str, Any]) -> int | None:
    """The signal (negative) or exit code that a message carries as data; `sys.exit` with a text means 1."""
    for name in ("signal", "exit_code"):
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return 1 if row.get("event") == EXITED and isinstance(row.get("exit_code"), str) else None


def read_errors(detail: object) -> Iterator[RaisedError]:
    """The exceptions in `error_detail`, the one that was raised last first; those of groups follow theirs."""
    for place, row in enumerate(detail if isinstance(detail, list) else ()):
        if not isinstance(row, dict):
            continue
        frames = row.get("frames")
        last = frames[-1] if isinstance(frames, list) and frames else None
        filename = str(last.get("filename") or "") if isinstance(last, dict) else ""
        found = make_error(str(row.get("exc_type") or "Exception"), str(row.get("exc_value") or ""), filename)
        yield replace(found, handled=place > 0 and row.get("is_cause") is False)
        groups = row.get("exceptions")
        for group in groups if isinstance(groups, list) else ():
            yield from read_errors(group)


def parse_text(tail: str) -> Iterator[Message]:
    """The messages of Airflow 2: a heading a line, and lines without one that belong to the message before."""
    text = tail if "\n" in tail.rstrip() else SEVERAL_LINES.sub("\n", tail)
    heading: re.Match[str] | None = None
    more: list[str] = []
    for line in text.splitlines():
        if found := LINE.match(line):
            if heading is not None or more:
                yield make_message(heading, more)
            heading, more = found, []
        else:
            more.append(line)
    if heading is not None or more:
        yield make_message(heading, more)


def make_message(heading: re.Match[str] | None, more: Sequence[str]) -> Message:
    """A message by its heading; None for what stands before the first one."""
    if heading is None:
        return Message("", "", "", more)
    return Message(heading["text"], heading["level"].lower(), heading["origin"] or "", more)
