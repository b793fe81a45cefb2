"""The end of the log of one try: read as a stream, within limits of size and time. Nothing of it is kept."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.api.objects.task_instances import LIST
from exporter.sources.airflow.api.paging import read_one_page
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import AnswerError, Identity, check_reply, leads_to_login
from exporter.sources.airflow.http.reply import Reply, TailLimits
from exporter.sources.airflow.http.transport import Call

LOG = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}/logs"
TASK_LOGS = Resource(
    "logs",
    "Task Logs",
    v1=f"{LOG}/{{try_number}}",
    v2=f"{LOG}/{{try_number}}",
    operation="TaskInstanceApi.get_log",
)
MAX_READ = 4 << 20
"""Bytes of a log after which reading stops: what stands at its end is then not known."""
KEPT = 64 << 10
"""Bytes of the end of a log that are looked at."""
STREAM_TYPES = {2: "text/plain", 3: "application/x-ndjson"}
"""The media types in which Airflow sends a log as a stream, by its major version."""
OLDER_TYPE = "application/json"
"""What an Airflow 3 takes that does not know `application/x-ndjson`."""
GONE_WORDS = (
    "Could not read served logs",
    "Could not read remote logs",
    "Log file not found on worker",
    "No logs found",
    "No logs available",
    "Remote log path",
    "task log handler does not support read logs",
)
"""What Airflow writes in place of a log that it cannot read."""
HANG_WORDS = ("timed out", "Timeout")
"""What that says where the worker or the store of logs did not answer in time."""
SHORT = 4_000
"""Bytes up to which a log may be nothing else than Airflow's report that there is none."""


class LogOutcome(StrEnum):
    """What came of reading a log: the values of the label `outcome`."""

    READ = "read"
    GONE = "gone"
    FORBIDDEN = "forbidden"
    TIMEOUT = "timeout"
    OVER_BUDGET = "over_budget"
    TOO_LONG = "too_long"
    ERROR = "error"


class LogTail(NamedTuple):
    """The end of a log; its text is empty where there is none."""

    outcome: LogOutcome
    text: str = ""

    def __repr__(self) -> str:
        return f"LogTail({self.outcome}, {len(self.text)} characters)"


def read_log_tail(
    api: ApiBase, dag_id: str, run_id: str, task_id: str, map_index: int, try_number: int, seconds: float
) -> LogTail:
    """The end of the log of a try, or why there is none. Raises ReaderError if Airflow itself cannot be reached."""
    names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id, "try_number": try_number}
    call = Call(
        TASK_LOGS.get_endpoint(api.major),
        names,
        {"map_index": map_index, "full_content": False},
        STREAM_TYPES[3 if api.major >= 3 else 2],
        TailLimits(MAX_READ, KEPT, seconds),
    )
    try:
        reply = api.client.ask(call, patient=False)
        if reply.status == 406:
            reply = api.client.ask(Call(call.endpoint, names, call.query, OLDER_TYPE, call.tail), patient=False)
        return judge(call, reply)
    except ReaderError as error:
        return LogTail(explain_failure(error))


def judge(call: Call, reply: Reply) -> LogTail:
    """What a reply is. Raises ReaderError for one that is no log."""
    if reply.status != 200:
        check_reply(call.endpoint, reply, Identity("this user"))
    if leads_to_login(reply):
        raise AnswerError("unauthorized", "logs: a login page", reply.status)
    text = reply.body.decode("utf-8", "replace")
    if not reply.is_complete:
        return LogTail(LogOutcome.TOO_LONG, text)
    if len(reply.body) < SHORT and any(words in text for words in GONE_WORDS):
        return LogTail(LogOutcome.TIMEOUT if any(words in text for words in HANG_WORDS) else LogOutcome.GONE, text)
    return LogTail(LogOutcome.READ if text.strip() else LogOutcome.GONE, text)


def explain_failure(error: ReaderError) -> LogOutcome:
    """The outcome that an error stands for. Raises the error again where Airflow itself cannot be reached."""
    match error.reason:
        case "forbidden" | "unauthorized":
            return LogOutcome.FORBIDDEN
        case "not_found":
            return LogOutcome.GONE
        case "timeout":
            return LogOutcome.TIMEOUT
        case "unreachable" | "tls" | "deadline" | "rate_limited":
            raise error
    return LogOutcome.ERROR


def read_some_log(api: ApiBase) -> str | None:
    """Read the log of any try, to check the permission; None where no task has run. Raises ReaderError."""
    for row in api.read_list(LIST, lambda fetch: read_one_page(fetch, {"limit": 50}), ordered=False):
        if row.try_number and row.hostname:
            tail = read_log_tail(api, row.dag_id, row.run_id, row.task_id, row.map_index, row.try_number, 10.0)
            if tail.outcome is LogOutcome.FORBIDDEN:
                raise ReaderError("forbidden", "logs: failed tries have no class without “can read on Task Logs”")
            return f"the log of a try: {tail.outcome}"
    return None


CHECKS = (CheckStep("logs of failed tries", TASK_LOGS, read_some_log, str, optional=True),)
