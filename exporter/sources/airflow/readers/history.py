"""What is remembered of each DAG's finished runs: the last state, the last success, failures in a row.

There is no query for it. At first the newest runs of all DAGs are read page by page, while a page shows the history of
several DAGs. The other DAGs are asked for once, slowly. All are then kept up to date by the runs that end.
Backfill runs say nothing of how a DAG fares today and are left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import msgspec

from exporter.metrics.catalogue.api import dags
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Memory, ReaderError, Reading
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import RUNS_ENDED, DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.counting.retry_later import RetryLater, is_object_error
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

SPACE = "dag_history"
MAX_RUNS_PER_DAG = 25
"""How many of its newest runs are read when a DAG is first seen."""
MIN_DAGS_FOR_PAGES = 20
"""If fewer DAGs are missing, each is asked for."""
MIN_DAGS_PER_PAGE = 5
"""Pages are read while each shows the history of at least this many DAGs: asking for so many costs more."""
MAX_OFFSET = 5_000
"""How many runs of all DAGs are read at most; a later page costs Airflow more than an early one."""
MAX_TIME_SHARE = 0.03
"""The share of its interval in which one read asks for DAGs."""
MAX_FAILURES_PER_POLL = 5
"""Failed DAGs after which a poll leaves the others to the next one."""

FAMILIES: Sequence[Family] = (
    dags.LAST_RUN_STATE,
    dags.LAST_RUN_END,
    dags.LAST_SUCCESS,
    dags.LAST_SUCCESS_DATA,
    dags.CONSECUTIVE_FAILED_RUNS,
)


class DagHistory(msgspec.Struct, frozen=True, array_like=True):
    """Times are Unix seconds; `asked` says that the runs before the first one seen are known too."""

    asked: bool = False
    last_state: str = ""
    last_end: float | None = None
    last_success: float | None = None
    last_success_data: float | None = None
    consecutive_failed: int = 0


def add_run(history: DagHistory, run: DagRun, *, failed_before: bool = False) -> DagHistory:
    """The history after one more run ended; `failed_before` says that it had failed already, and was cleared."""
    if run.run_type == "backfill" or run.end_date is None or run.state not in RUNS_ENDED:
        return history
    if (run.state, run.end_date) == (history.last_state, history.last_end):
        # It was among the newest runs that were asked for.
        return history
    newest = run.end_date >= (history.last_end or 0.0)
    failed = history.consecutive_failed
    if newest:
        history = msgspec.structs.replace(history, last_state=run.state, last_end=run.end_date)
        failed = 0 if run.state == "success" else max(1, failed + (not failed_before))
    if run.state != "success":
        return msgspec.structs.replace(history, consecutive_failed=failed)
    return msgspec.structs.replace(
        history,
        consecutive_failed=failed,
        last_success=latest(history.last_success, run.end_date),
        last_success_data=latest(history.last_success_data, run.data_interval_end),
    )


def latest(one: float | None, other: float | None) -> float | None:
    """The later of two times; None if both are unknown."""
    known = [moment for moment in (one, other) if moment is not None]
    return max(known, default=None)


def compute_history(runs: Iterable[DagRun]) -> DagHistory:
    """The history of some runs, which may come in any order."""
    history = DagHistory(asked=True)
    for run in sorted(runs, key=lambda run: run.end_date or 0.0):
        history = add_run(history, run)
    return history


def history_tables(
    histories: Mapping[str, DagHistory], known: Mapping[str, Dag] | None
) -> dict[Family, dict[Labels, float]]:
    """The families of the DAGs that are there; what is not known yet is absent, never 0."""
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in FAMILIES}
    for dag_id, history in histories.items():
        if known is not None and (dag_id not in known or known[dag_id].is_stale):
            continue
        if history.last_end is not None:
            tables[dags.LAST_RUN_STATE][(dag_id, history.last_state)] = 1
            tables[dags.LAST_RUN_END][(dag_id,)] = history.last_end
        if history.last_success is not None:
            tables[dags.LAST_SUCCESS][(dag_id,)] = history.last_success
        if history.last_success_data is not None:
            tables[dags.LAST_SUCCESS_DATA][(dag_id,)] = history.last_success_data
        if history.asked and history.last_end is not None:
            tables[dags.CONSECUTIVE_FAILED_RUNS][(dag_id,)] = history.consecutive_failed
    return tables


def recall_histories(memory: Memory) -> dict[str, DagHistory]:
    """Everything remembered, by DAG."""
    decode = msgspec.msgpack.Decoder(DagHistory).decode
    found = memory.recall_all(SPACE)
    readable = decode_all(memory, SPACE, {key: key for key in found}, bytes.decode)
    known = decode_all(memory, SPACE, {key: found[key] for key in readable}, decode)
    return {readable[key]: history for key, history in known.items()}


def write_histories(histories: Mapping[str, DagHistory]) -> dict[bytes, bytes | None]:
    """What to remember."""
    encode = msgspec.msgpack.Encoder().encode
    return {dag_id.encode(): encode(one) for dag_id, one in histories.items()}


class NewestRuns:
    """Reads the newest runs of all DAGs, page by page, as long as that pays.

    The history of a DAG is known when a success is among its runs: what came before does not matter.
    """

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        self._runs: dict[str, dict[str, DagRun]] = {}
        """The runs of DAGs whose success was not reached yet. A run may come twice: pages move on as runs begin."""
        self._offset = 0
        self._over = False

    def is_over(self) -> bool:
        """Whether asking for single DAGs is cheaper from now on."""
        return self._over

    def read_page(self, wanted: Collection[str]) -> dict[str, DagHistory]:
        """The histories of those of these DAGs that one more page shows. Raises ReaderError."""
        try:
            page = self._airflow.dag_runs_newest(self._offset)
        except ReaderError as error:
            self._over = is_object_error(error)
            if self._over:
                return {}
            raise
        found = {}
        for run in page:
            if run.dag_id in wanted:
                self._runs.setdefault(run.dag_id, {})[run.run_id] = run
        for dag_id in {run.dag_id for run in page} & set(self._runs):
            history = compute_history(self._runs[dag_id].values())
            if history.last_success is not None:
                found[dag_id] = history
                del self._runs[dag_id]
        self._offset += len(page)
        self._over = len(found) < MIN_DAGS_PER_PAGE or self._offset >= MAX_OFFSET
        if self._over:
            self._runs.clear()
        return found


class HistoryReader(ApiReader):
    """Asks for the newest runs of the DAGs that nothing is known of, a few at each read.

    A DAG whose runs Airflow answers with an error is passed over, and asked for again later.
    """

    name = "run_history"
    help = "Last success and state of each DAG from before the exporter saw it, asked once a DAG"
    families = ()
    needs = ("dags",)

    def __init__(
        self,
        airflow: Airflow,
        memory: Memory,
        shared: AirflowState,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._airflow = airflow
        self._memory = memory
        self._shared = shared
        self._clock = clock
        self._later: RetryLater = RetryLater(clock)
        self._newest = NewestRuns(airflow)

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> HistoryReader:
        """A reader for the Airflow that is connected now."""
        return cls(context.airflow, context.memory, context.shared, interval)

    def read(self) -> Reading:
        """Ask for one DAG at least, and for as many as there is time for. Raises ReaderError."""
        known = self._shared.dags
        if known is None:
            return Reading(notes=["waits for the DAGs to be read"])
        histories = recall_histories(self._memory)
        missing = [dag for dag in known.values() if not histories.get(dag.dag_id, DagHistory()).asked]
        missing.sort(key=lambda dag: (dag.is_stale, dag.is_paused))
        self._later.keep({dag.dag_id for dag in missing})
        found = self._read_pages([dag.dag_id for dag in missing])
        notes = [f"asked for {len(found)} DAGs, {len(missing) - len(found)} remain"] if missing else []
        return Reading(memories={SPACE: write_histories(found)}, notes=notes, unanswered=self._later.messages())

    def _read_pages(self, dag_ids: Sequence[str]) -> dict[str, DagHistory]:
        """The histories of some of these DAGs, as many as there is time for. Raises ReaderError."""
        if len(dag_ids) < MIN_DAGS_FOR_PAGES or self._newest.is_over():
            return self._ask_in_time(dag_ids)
        found: dict[str, DagHistory] = {}
        end = self._clock() + self.interval * MAX_TIME_SHARE
        while True:
            try:
                found.update(self._newest.read_page(set(dag_ids) - set(found)))
            except ReaderError:
                if not found:
                    raise
                return found
            if self._newest.is_over() or self._clock() >= end:
                return found or self._ask_in_time(dag_ids)

    def _ask_in_time(self, dag_ids: Iterable[str]) -> dict[str, DagHistory]:
        """The histories of the first of these, as many as there is time for. Raises ReaderError."""
        found: dict[str, DagHistory] = {}
        failures = 0
        end = self._clock() + self.interval * MAX_TIME_SHARE
        for dag_id in filter(self._later.is_due, dag_ids):
            try:
                found[dag_id] = self._ask(dag_id)
                self._later.succeed(dag_id)
            except ReaderError as error:
                failures += 1
                if not self._later.pass_over(dag_id, error):
                    if not found:
                        raise
                    break
            if self._clock() >= end or failures >= MAX_FAILURES_PER_POLL:
                break
        return found

    def _ask(self, dag_id: str) -> DagHistory:
        runs = list(self._airflow.dag_runs_recent(dag_id, limit=MAX_RUNS_PER_DAG))
        if len(runs) >= MAX_RUNS_PER_DAG and not any(
            run.state == "success" and run.run_type != "backfill" for run in runs
        ):
            runs += self._airflow.dag_runs_recent(dag_id, limit=1, state="success")
        return compute_history(runs)
