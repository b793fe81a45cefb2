"""An Airflow DAG whose one busy task does all that a dashboard of tasks can show."""

from __future__ import annotations

import os
import tempfile
import time
from datetime import UTC, datetime, timedelta

from e2e_compat import EVERY_MINUTE, QUICK_RETRY, current_try, declare, get_current_context, task

try:
    from airflow.sdk.observability import stats
except ImportError:  # before 3.3
    from airflow.stats import Stats as stats  # noqa: N813 - the name that it has since 3.3

try:
    from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference

    # Of deadlines that count from a run's queuing, Airflow 3.3.2 answers 500 to whoever clears the run.
    DEADLINE = {
        "deadline": [
            DeadlineAlert(
                reference=DeadlineReference.FIXED_DATETIME(datetime(year, 1, 1, tzinfo=UTC)),
                interval=timedelta(0),
                callback=AsyncCallback("asyncio.sleep", {"delay": 0}),
            )
            for year in (2020, 2100)  # one is missed, one is kept
        ]
    }
except ImportError:  # before 3.1
    DEADLINE = {}

MEBIBYTE = 2**20


def burn(seconds):
    """Keep a CPU busy for so long."""
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass


with declare("everything", schedule=EVERY_MINUTE, max_active_runs=2, tags=["critical", "slo:6h"], **DEADLINE) as dag:

    @task(retries=1, retry_delay=QUICK_RETRY)
    def work():
        """Fails for good in every third run and once in the others; before that it uses CPU, memory and disk."""
        memory = bytearray(os.urandom(64 * MEBIBYTE))
        with tempfile.TemporaryFile() as file:
            file.write(memory[: 16 * MEBIBYTE])
            file.flush()
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # so that it is read from the disk
            file.seek(0)
            file.read()
        burn(2)
        time.sleep(14)
        stats.incr("records_processed", count=1000, tags={"dag_id": "everything", "task_id": "work"})
        hopeless = get_current_context()["dag_run"].run_after.minute % 3 == 0
        if hopeless or current_try() == 1:
            raise RuntimeError("on purpose")

    @task
    def follow():
        """Does not run where work() failed for good."""

    work() >> follow()
