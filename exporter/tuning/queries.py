"""What advice is computed from: the questions to Prometheus, most of them to series of prometheus/rules/tuning.yml.

Nothing here asks: it is data for the client, for the PromQL that each finding shows, and for the tests of the rules.
"""

from __future__ import annotations

from exporter.tuning.query import MINUTE, DataOrigin, SeriesQuery, at_end, changed, hourly, over_time, summed

RUNNING = over_time("running", "airflow:running_tasks:mean5m", "running tasks", DataOrigin.RULES)
WAITING = over_time("waiting", "airflow:waiting_tasks:mean5m", "waiting tasks that could run", DataOrigin.RULES)
WORK = over_time("work", "airflow:task_work_seconds:rate5m", "seconds of work done per second", DataOrigin.RULES)
STRETCH = over_time(
    "stretch", "airflow:task_stretch:ratio5m", "duration of tries over that with little load", DataOrigin.RULES
)
SLOTS = over_time("slots", "airflow:parallelism_slots:max", "parallelism over all schedulers", DataOrigin.API)
CPU_PER_TASK = over_time(
    "cpu_per_task", "airflow:running_task_cpus:mean5m", "CPUs used by a running task", DataOrigin.HOST
)
TASK_CPUS = over_time(
    "task_cpus", "airflow_host:task_cpu_seconds:rate5m", "CPUs used by tasks, by machine", DataOrigin.HOST
)
TASK_MEMORY = over_time(
    "task_memory", "airflow_host:task_memory_bytes:mean5m", "memory of running tasks, by machine", DataOrigin.HOST
)
HOST_CPU = over_time(
    "host_cpu", "airflow_host:cpu_used:ratio_rate5m", "share of the CPUs used, by machine", DataOrigin.HOST
)
HOST_MEMORY = over_time(
    "host_memory", "airflow_host:memory_used:ratio", "share of memory used, by machine", DataOrigin.HOST
)
PRESSURE = over_time(
    "pressure",
    "airflow_host:pressure_waiting:ratio_rate5m",
    "share of time in which something waits for the resource (PSI), by machine",
    DataOrigin.HOST,
)
API_SECONDS = over_time(
    "api_seconds", "airflow:api_request_seconds:quantile5m", "p95 of requests to the API, s", DataOrigin.API
)
CRITICAL_SECTION = over_time(
    "critical_section",
    "airflow:critical_section_seconds:quantile5m",
    "p95 of the critical section, s",
    DataOrigin.STATSD,
)
WAITED = over_time("waited", "airflow:waited_seconds:rate5m", "waiting tasks by reason", DataOrigin.RULES)
OBJECT_WAITED = over_time(
    "object_waited", "airflow_object:waited_seconds:rate5m", "waiting tasks by reason and object", DataOrigin.RULES
)
WAITING_RUNS = over_time(
    "waiting_runs", "airflow_object:waiting_dag_runs:mean5m", "waiting runs by reason and object", DataOrigin.RULES
)
POOL_SLOTS = over_time("pool_slots", "airflow_pool:slots:max", "slots of the pool", DataOrigin.API)
POOL_USED = over_time("pool_used", "airflow_pool:occupied_slots:sum", "occupied slots of the pool", DataOrigin.API)
POOL_WANTED = over_time(
    "pool_wanted", "airflow_pool:wanted_slots:sum", "occupied and wanted slots of the pool", DataOrigin.RULES
)
DUE = SeriesQuery(
    "due",
    'airflow:dag_runs_due:count1m{airflow="$airflow"} offset -59998ms',
    "runs due in the next minute",
    DataOrigin.RULES,
    MINUTE,
)
"""Rules are evaluated at any second of a minute. So the end of each minute is looked at: what was counted then is due
in the next one. 2 ms less, and VictoriaMetrics finds what was recorded at the beginning of a minute."""

HOST_CPUS = at_end("host_cpus", 'airflow_host_cpus{airflow="$airflow"}', "CPUs of the machine", DataOrigin.HOST)
HOST_MEMORY_BYTES = at_end(
    "host_memory_bytes",
    'sum without (state) (airflow_host_memory_bytes{airflow="$airflow"})',
    "memory of the machine",
    DataOrigin.HOST,
)
EXECUTOR = at_end(
    "executor",
    'max by (executor) (airflow_executor_info{airflow="$airflow", default="true"})',
    "the executor",
    DataOrigin.API,
)
SCHEDULERS = at_end(
    "schedulers",
    'max by (airflow) (airflow_component_instances{airflow="$airflow", component="scheduler"})',
    "live schedulers",
    DataOrigin.API,
)
WORKER_CONCURRENCY = at_end(
    "worker_concurrency",
    'max by (airflow) (airflow_worker_concurrency{airflow="$airflow"})',
    "worker_concurrency as configured",
    DataOrigin.API,
)
WORKER_SLOTS = at_end(
    "worker_slots",
    'max by (worker) (airflow_celery_worker_slots{airflow="$airflow"})',
    "slots of each Celery worker",
    DataOrigin.CELERY,
)
TASKS_MAX = (
    'max by (dag_id) (airflow_dag_run_active_tasks_max{airflow="$airflow"}'
    ' or airflow_dag_max_active_tasks{airflow="$airflow"})'
)
RUNS_MAX = 'max by (dag_id) (airflow_dag_max_active_runs{airflow="$airflow"})'
WORKER_QUEUES = at_end(
    "worker_queues",
    'max by (worker, queue) (max_over_time(airflow_celery_worker_queue_info{airflow="$airflow"}[$window]))',
    "queues that each Celery worker consumed",
    DataOrigin.CELERY,
)
MAX_ACTIVE_TASKS = at_end("max_active_tasks", TASKS_MAX, "max_active_tasks of the DAG", DataOrigin.API)
MAX_ACTIVE_RUNS = at_end("max_active_runs", RUNS_MAX, "max_active_runs of the DAG", DataOrigin.API)
TASKS_MAX_CHANGED = changed("tasks_max_changed", TASKS_MAX, "max_active_tasks of DAGs that changed it", DataOrigin.API)
RUNS_MAX_CHANGED = changed("runs_max_changed", RUNS_MAX, "max_active_runs of DAGs that changed it", DataOrigin.API)
RUN_SECONDS_P95 = at_end(
    "run_seconds_p95",
    'max by (dag_id) (last_over_time(airflow_dag:dag_run_duration_seconds:quantile1w{airflow="$airflow"}[1d]))',
    "p95 of the duration of the DAG's runs in a week",
    DataOrigin.API,
)
NEXT_RUN = at_end(
    "next_run",
    'max by (dag_id) (airflow_dag_next_run_timestamp_seconds{airflow="$airflow"})'
    ' and on (dag_id) max by (dag_id) (airflow_dag_paused{airflow="$airflow"}) == 0',
    "when the next run of the DAG is due",
    DataOrigin.API,
)
SKIPPED = summed(
    "skipped",
    "airflow_dag:skipped_intervals:increase15m",
    "times of the DAG's schedule without a run",
    DataOrigin.RULES,
)
RETRIED = summed(
    "retried",
    "airflow_dag:task_tries_retried_by_class:increase15m",
    "retries by class of the failed try",
    DataOrigin.RULES,
)
RECOVERED = summed(
    "recovered",
    "airflow_dag:task_tries_recovered_by_class:increase15m",
    "retries that helped, by class",
    DataOrigin.RULES,
)
RETRY_DELAY = summed(
    "retry_delay",
    "airflow_dag:retry_delay_seconds_by_class:increase15m",
    "seconds that retries were delayed",
    DataOrigin.RULES,
)
SHORT_TRIES = summed(
    "short_tries", "airflow_dag:short_tries:increase15m", "tries that did less than their start costs", DataOrigin.RULES
)
TASK_SECONDS = summed(
    "task_seconds", "airflow_task:run_seconds:increase15m", "seconds that the task ran", DataOrigin.RULES
)
TASK_PEAK = at_end(
    "task_peak",
    'max_over_time(airflow_task:peak_memory_bytes:max{airflow="$airflow"}[$window])',
    "peak memory of the task's processes",
    DataOrigin.HOST,
)
PEAK_GROWTH = at_end(
    "peak_growth",
    'max by (dag_id, task_id) (airflow_task_peak_memory_growth_ratio{airflow="$airflow"})',
    "growth of the task's peak memory from its oldest to its newest tries",
    DataOrigin.HOST,
)
TRY_CPU = at_end(
    "try_cpu",
    'avg_over_time(airflow_dag:task_try_cpu_seconds:mean1h{airflow="$airflow"}[$window])',
    "CPU seconds of a try of the DAG",
    DataOrigin.HOST,
)
DAG_TRIES = hourly("dag_tries", "airflow_dag:task_tries:increase1h", "tries of the DAG", DataOrigin.API)
DAG_SECONDS = hourly(
    "dag_seconds", "airflow_dag:task_run_seconds:increase1h", "seconds that the DAG's tasks ran", DataOrigin.API
)
DAG_FAILED = hourly(
    "dag_failed", "airflow_dag:task_failed_seconds:increase1h", "seconds of the DAG's failed tries", DataOrigin.API
)
DAG_OVERHEAD = hourly(
    "dag_overhead", "airflow_dag:overhead_seconds:increase1h", "seconds of starting tasks", DataOrigin.API
)
DAG_POKED = hourly(
    "dag_poked",
    "airflow_dag:sensor_poke_seconds:increase1h",
    "seconds for which sensors held a slot by poking",
    DataOrigin.API,
)
HELD_TASKS = SeriesQuery(
    "held_tasks",
    'max by (queue) (airflow_celery_queue_held_tasks{airflow="$airflow"})',
    "tasks reserved by busy workers while others are free",
    DataOrigin.CELERY,
)
VISIBILITY_TIMEOUT = at_end(
    "visibility_timeout",
    'max by (airflow) (airflow_celery_visibility_timeout_seconds{airflow="$airflow"})',
    "visibility timeout of the broker",
    DataOrigin.CELERY,
)
DATABASE_CONNECTIONS = at_end(
    "database_connections",
    'max_over_time(sum(max by (component, state) (airflow_database_connections{airflow="$airflow"}))[$window:5m])',
    "most connections to the database",
    DataOrigin.DATABASE,
)
DATABASE_LIMIT = at_end(
    "database_limit",
    'max(airflow_database_connection_limit{airflow="$airflow"})',
    "connections that the database accepts",
    DataOrigin.DATABASE,
)
CLEANABLE_ROWS = at_end(
    "cleanable_rows",
    'max by (table) (airflow_database_cleanable_rows{airflow="$airflow"})',
    "rows that airflow db clean would remove",
    DataOrigin.DATABASE,
)
LONGEST_TRY = at_end(
    "longest_try",
    "max by (dag_id) (max_over_time("
    'airflow_dag:task_duration_seconds:quantile1h{airflow="$airflow", quantile="0.99"}[$window]))',
    "p99 of the duration of the DAG's tries",
    DataOrigin.API,
)

QUERIES = tuple(value for value in dict(globals()).values() if isinstance(value, SeriesQuery))
"""All questions, in the order above."""
