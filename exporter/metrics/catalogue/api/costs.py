"""What a DAG costs beside its work: starting tasks, sensors, skipped runs and intervals; from the API."""

from functools import partial

from exporter.metrics.family import Family, Kind

ORIGIN = "computed from ended task instances and runs: see docs/diagnosis.md"
counter = partial(
    Family, kind=Kind.COUNTER, source="airflow", reader="costs", labels=("dag_id",), origin=ORIGIN, cap=10_000
)

PHASES = ("queued", "running")
LEAST_OVERHEAD = Family(
    "airflow_task_least_overhead_seconds",
    kind=Kind.GAUGE,
    help="What a try costs at least, whatever it does: queued is the time until it starts when nothing holds it up, "
    "running the duration of the quickest tries (absent if none ended within 1.5 s)",
    labels=("phase",),
    source="airflow",
    reader="costs",
    origin=ORIGIN,
    closed={"phase": PHASES},
    audience="the page /diagnosis, which compares tasks with it",
)
OVERHEAD_SECONDS = counter(
    "airflow_dag_overhead_seconds_total",
    help="Time that went into starting the DAG's tasks: from queued to running, up to the time that a start takes, "
    "and from the end of a task to the scheduling of the next one while nothing of the run was running",
)
SENSOR_MODES = ("poke", "reschedule", "deferred")
SENSOR_SECONDS = counter(
    "airflow_dag_sensor_seconds_total",
    help="Time for which the DAG's sensors held a slot: in mode poke all the time, in mode reschedule during a poke "
    "(pokes between two polls are missed), deferred before the deferral and after it",
    labels=("dag_id", "mode"),
    closed={"mode": SENSOR_MODES},
)
SHORT_TRIES = counter(
    "airflow_dag_short_tries_total",
    help="Total number of finished tries whose work was shorter than what starting them cost",
)
RUNS_ALL_SKIPPED = counter(
    "airflow_dag_runs_all_skipped_total",
    help="Total number of successful runs in which at least one task was skipped and none did more than decide or "
    "wait (branches, short circuits, sensors, empty tasks)",
)
SKIPPED_INTERVALS = counter(
    "airflow_dag_skipped_intervals_total",
    help="Total number of times in the DAG's schedule for which no run was made, between two scheduled runs of an "
    "unpaused DAG; counted only where the schedule leaves no doubt",
)

FAMILIES = (
    LEAST_OVERHEAD,
    OVERHEAD_SECONDS,
    SENSOR_SECONDS,
    SHORT_TRIES,
    RUNS_ALL_SKIPPED,
    SKIPPED_INTERVALS,
)
