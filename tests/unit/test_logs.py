"""Log lines: their form, what repeats, what must not be in them, and what a cycle captures."""

from __future__ import annotations

import io
import json
import logging
import re
import threading
from collections.abc import Iterator

import pytest

from exporter import logs, redaction
from exporter.logs import (
    MAX_CAPTURED_LENGTH,
    MAX_CAPTURED_LINES,
    MAX_WATCHED_MESSAGES,
    REPEAT_WINDOW,
    capture,
    configure,
    hide,
    redact,
)
from exporter.redaction import MASK

log = logging.getLogger("exporter.sources.airflow")


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Leave logging as it was found."""
    names = ("", "exporter", "uvicorn")
    levels = {name: logging.getLogger(name).level for name in names}
    root = logging.getLogger()
    handlers, secrets = list(root.handlers), dict(redaction.known_secrets)
    yield
    for handler in set(root.handlers) - set(handlers):
        root.removeHandler(handler)
    logging.captureWarnings(capture=False)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    redaction.known_secrets.clear()
    redaction.known_secrets.update(secrets)


def fail(error: Exception) -> None:
    raise error


class Console(io.StringIO):
    """A stand-in for stderr."""

    @property
    def lines(self) -> list[str]:
        """The lines without their times."""
        return [re.sub(r"^ts=\S+ ", "", line) for line in self.getvalue().splitlines()]


def start(level: str = "info", form: str = "logfmt") -> Console:
    console = Console()
    configure(level, form, console)
    return console


def start_with_clock() -> tuple[Console, list[float]]:
    """The log and its clock: a list of one number, the monotonic seconds."""
    console, clock = start(), [100.0]
    (handler,) = (known for known in logging.getLogger().handlers if isinstance(known, logs.LogOutput))
    handler._clock = lambda: clock[0]
    return console, clock


class TestLogfmt:
    """`key=value`, one line a message."""

    def test_has_time_level_logger_message_and_fields(self) -> None:
        console = start()
        log.info("read %d runs", 3, extra={"reader": "runs", "seconds": 0.25, "complete": True})
        (line,) = console.getvalue().splitlines()
        assert re.match(r"ts=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info ", line)
        assert line.endswith('logger=sources.airflow msg="read 3 runs" reader=runs seconds=0.25 complete=true')

    @pytest.mark.parametrize(
        ("message", "written"),
        [
            ("plain", "plain"),
            ("", '""'),
            ("two words", '"two words"'),
            ("a=b", '"a=b"'),
            ('say "no"', r'"say \"no\""'),
            ("first\nlevel=error msg=forged", r'"first\nlevel=error msg=forged"'),
            ("\x1b[31mred", r'"\u001b[31mred"'),
            ("naïve", "naïve"),
        ],
    )
    def test_quotes_what_would_be_ambiguous(self, message: str, written: str) -> None:
        console = start()
        log.info("%s", message)
        assert console.lines == [f"level=info logger=sources.airflow msg={written}"]

    def test_an_exception_stays_on_its_line(self) -> None:
        console = start()
        try:
            fail(RuntimeError("broken\nin two"))
        except RuntimeError:
            log.exception("a fault")
        (line,) = console.lines
        assert 'msg="a fault" err="RuntimeError: broken\\nin two" trace="Traceback' in line


def test_json_has_the_same_fields() -> None:
    console = start(form="json")
    log.warning("slow", extra={"reader": "runs"})
    found = json.loads(console.getvalue())
    assert re.match(r"\d{4}-.*Z$", found.pop("ts"))
    assert found == {"level": "warn", "logger": "sources.airflow", "msg": "slow", "reader": "runs"}


class TestLevels:
    """What is shown."""

    @pytest.mark.parametrize(
        ("level", "shown"),
        [
            ("debug", "dbg inf wrn err"),
            ("info", "inf wrn err"),
            ("warn", "wrn err"),
            ("warning", "wrn err"),
            ("error", "err"),
        ],
    )
    def test_the_chosen_one_and_above(self, level: str, shown: str) -> None:
        console = start(level)
        for method, word in ((log.debug, "dbg"), (log.info, "inf"), (log.warning, "wrn"), (log.error, "err")):
            method(word)
        assert re.findall(r"msg=(\w+)", console.getvalue()) == shown.split()

    def test_others_loggers_too(self) -> None:
        console = start()
        logging.getLogger("urllib3").debug("hidden")
        logging.getLogger("urllib3").warning("shown")
        assert console.lines == ["level=warn logger=urllib3 msg=shown"]

    def test_what_the_http_server_says_of_itself_is_left_out_but_its_faults_are_not(self) -> None:
        console = start()
        logging.getLogger("uvicorn.error").info("Started server process")
        logging.getLogger("uvicorn.error").error("Exception in ASGI application\n")
        assert console.lines == ['level=error logger=uvicorn.error msg="Exception in ASGI application"']

    def test_setting_up_again_replaces_what_was_there(self) -> None:
        first = start()
        second = start("error")
        log.error("once")
        log.info("hidden")
        assert (len(first.lines), len(second.lines)) == (0, 1)


class TestRepetitions:
    """The same message again is counted, not shown."""

    def test_are_shown_once_and_summed_up_when_the_time_is_over(self) -> None:
        console, clock = start_with_clock()
        for _ in range(5):
            log.warning("no answer", extra={"reader": "runs"})
        clock[0] += REPEAT_WINDOW
        log.info("something else")
        assert console.lines == [
            'level=warn logger=sources.airflow msg="no answer" reader=runs',
            'level=warn logger=sources.airflow msg="no answer" reader=runs repeated=4',
            'level=info logger=sources.airflow msg="something else"',
        ]

    def test_that_come_later_are_shown_again(self) -> None:
        console, clock = start_with_clock()
        log.warning("no answer")
        clock[0] += REPEAT_WINDOW
        log.warning("no answer")
        assert len(console.lines) == 2

    def test_are_told_apart_by_logger_level_message_and_fields(self) -> None:
        console, _ = start_with_clock()
        log.warning("no answer")
        log.error("no answer")
        log.warning("no answer", extra={"reader": "runs"})
        log.warning("no answer at all")
        logging.getLogger("exporter.web.server").warning("no answer")
        assert len(console.lines) == 5

    def test_of_debug_messages_are_all_shown(self) -> None:
        console = start("debug")
        for _ in range(3):
            log.debug("asked")
        assert len(console.lines) == 3

    def test_are_summed_up_at_the_end(self) -> None:
        console = start()
        log.warning("no answer")
        log.warning("no answer")
        start()
        assert console.lines[-1].endswith("repeated=1")

    def test_are_watched_for_a_bounded_number_of_messages(self) -> None:
        console, _ = start_with_clock()
        for number in range(MAX_WATCHED_MESSAGES + 1):
            log.info("message %d", number)
        log.info("message 0")
        assert len(console.lines) == MAX_WATCHED_MESSAGES + 2


class TestSecrets:
    """What must never be in a log."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("GET https://user:hunter2@airflow/api/v2", f"GET https://{MASK}@airflow/api/v2"),
            ("Authorization: Bearer abcdefghijklmnop.q", f"Authorization: Bearer {MASK}"),
            ("Authorization: Basic dXNlcjpwYXNz", f"Authorization: Basic {MASK}"),
            ("token eyJhbGciOi.eyJzdWIi.c2ln expired", f"token {MASK} expired"),
            ("username=a&password=hunter2&x=1", f"username=a&password={MASK}&x=1"),
            ("basic authentication with a bearer token", "basic authentication with a bearer token"),
            ("http://airflow:8080/api", "http://airflow:8080/api"),
        ],
    )
    def test_what_looks_like_one(self, text: str, shown: str) -> None:
        assert redact(text) == shown

    def test_what_was_named_as_one_wherever_it_appears(self) -> None:
        hide('pass "word"')
        console = start("debug")
        try:
            fail(ValueError('pass "word" was wrong'))
        except ValueError:
            log.exception('sent pass "word"', extra={"field": 'pass "word"'})
        with capture() as lines:
            log.info('sent pass "word"')
        assert "word" not in console.getvalue()
        assert lines[0].endswith(f"sent {MASK}")

    def test_a_secret_within_another_leaves_nothing_of_it(self) -> None:
        hide("huntsman")
        hide("huntsman2")
        assert redact("huntsman2") == MASK

    def test_too_short_to_be_told_from_text_is_not_searched_for(self) -> None:
        hide("airflow")
        assert redact("airflow works") == "airflow works"

    def test_the_oldest_are_forgotten_where_there_are_ever_new_ones(self) -> None:
        for number in range(redaction.MAX_SECRETS + 1):
            hide(f"token number {number:06}")
        assert redact("token number 000001") == MASK
        assert len(redaction.known_secrets) == redaction.MAX_SECRETS


class TestCapture:
    """What a reader logs, for the page of its last cycles."""

    def test_is_everything_of_this_thread_in_short(self) -> None:
        start()
        with capture() as lines:
            log.debug("asked", extra={"pages": 3})
            log.warning("no answer")
        log.warning("after")
        assert [re.sub(r"^[\d:.]{12} ", "", line) for line in lines] == ["debug asked pages=3", "warn no answer"]

    def test_has_debug_lines_although_the_log_does_not_show_them(self) -> None:
        console = start("error")
        with capture() as lines:
            log.debug("asked")
        assert (len(lines), len(console.lines)) == (1, 0)

    def test_has_nothing_of_other_threads(self) -> None:
        start()
        with capture() as lines:
            other = threading.Thread(target=log.warning, args=("elsewhere",))
            other.start()
            other.join()
        assert lines == []

    def test_within_another_takes_over(self) -> None:
        start()
        with capture() as outer:
            with capture() as inner:
                log.info("inner")
            log.info("outer")
        assert (len(outer), len(inner)) == (1, 1)

    def test_ends_with_its_block_whatever_happens(self) -> None:
        start()
        with pytest.raises(ValueError, match="broken"), capture() as lines:
            fail(ValueError("broken"))
        log.info("after")
        assert lines == []

    def test_is_bounded(self) -> None:
        start()
        with capture() as lines:
            for number in range(MAX_CAPTURED_LINES + 50):
                log.info("%d %s", number, "x" * 10_000)
        assert len(lines) == MAX_CAPTURED_LINES + 1
        assert lines[-1] == "… further lines are not kept"
        assert max(map(len, lines)) <= MAX_CAPTURED_LENGTH

    def test_leaves_out_tracebacks(self) -> None:
        start()
        with capture() as lines:
            try:
                fail(ValueError("broken"))
            except ValueError:
                log.exception("a fault")
        assert lines[0].endswith('error a fault err="ValueError: broken"')


def test_an_error_that_ends_a_thread_is_a_log_line_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    stream = io.StringIO()
    configure(stream=stream)
    hide("correct horse battery")
    thread = threading.Thread(target=fail, args=(RuntimeError("correct horse battery"),), name="lonely")
    thread.start()
    thread.join()
    assert "level=error" in stream.getvalue()
    assert "the thread lonely ended" in stream.getvalue()
    assert "RuntimeError" in stream.getvalue()
    assert "correct horse" not in stream.getvalue()
