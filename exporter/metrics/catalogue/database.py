"""Airflow's metadata database, read from the system views of PostgreSQL, MySQL or MariaDB."""

from functools import partial

from exporter.metrics.catalogue.database_names import CLEANED, COMPONENTS, LOCKED, PURPOSES, STATES, TABLES
from exporter.metrics.family import Family, Kind

BY_COMPONENT = {"component": COMPONENTS}
BY_TABLE = {"table": TABLES}
BLOCKED = {"component": COMPONENTS, "blocked_by": COMPONENTS, "table": LOCKED}

sessions = partial(Family, kind=Kind.GAUGE, source="database", reader="sessions")
server = partial(Family, kind=Kind.GAUGE, source="database", reader="server")
server_counter = partial(Family, kind=Kind.COUNTER, source="database", reader="server")
tables = partial(
    Family,
    kind=Kind.GAUGE,
    source="database",
    reader="tables",
    labels=("table",),
    closed=BY_TABLE,
)
statements = partial(
    Family,
    kind=Kind.COUNTER,
    source="database",
    reader="statements",
    labels=("purpose",),
    closed={"purpose": PURPOSES},
)
top = partial(statements, labels=("statement", "purpose"), cap=10)

CONNECTIONS = sessions(
    "airflow_database_connections",
    help="Number of connections to the database server, by component of Airflow and state; the sum counts against "
    "the limit",
    labels=("component", "state"),
    closed={**BY_COMPONENT, "state": STATES},
    origin="PostgreSQL: pg_stat_activity; MySQL: information_schema.processlist",
)
CONNECTION_LIMIT = sessions(
    "airflow_database_connection_limit",
    help="Most connections that the database server accepts from users without special rights",
    origin="PostgreSQL: max_connections less those reserved; MySQL: max_connections",
)
OLDEST_TRANSACTION = sessions(
    "airflow_database_oldest_transaction_timestamp_seconds",
    help="Time when the oldest open transaction of a component began; absent if it has none",
    labels=("component",),
    closed=BY_COMPONENT,
    origin="PostgreSQL: pg_stat_activity.xact_start; MySQL: information_schema.innodb_trx",
)
OLDEST_IDLE_TRANSACTION = sessions(
    "airflow_database_oldest_idle_transaction_timestamp_seconds",
    help="Time of the last statement of that open transaction of a component which is idle for longest; absent if "
    "none is idle",
    labels=("component",),
    closed=BY_COMPONENT,
    origin="PostgreSQL: pg_stat_activity.state_change; MySQL: processlist.time",
)
BLOCKED_SESSIONS = sessions(
    "airflow_database_blocked_sessions",
    help="Number of sessions of a component that wait for a lock, by the component whose session they wait for in the "
    "end, and the table",
    labels=("component", "blocked_by", "table"),
    closed=BLOCKED,
    origin="PostgreSQL: pg_blocking_pids, pg_locks; MySQL: performance_schema.data_lock_waits; "
    "MariaDB: information_schema.innodb_lock_waits",
)
OLDEST_BLOCKED = sessions(
    "airflow_database_oldest_lock_wait_timestamp_seconds",
    help="Time when the session of a component that waits longest for a lock began to wait; absent if none waits",
    labels=("component", "blocked_by", "table"),
    closed=BLOCKED,
    origin="PostgreSQL: pg_locks.waitstart (before 14: query_start); MySQL: innodb_trx.trx_wait_started",
)
SERVER_INFO = server(
    "airflow_database_server_info",
    help="Product (postgresql, mysql or mariadb) and version of the database server",
    labels=("product", "version"),
    origin="PostgreSQL: server_version; MySQL: version()",
)
SERVER_START = server(
    "airflow_database_server_start_timestamp_seconds",
    help="Time when the database server started",
    origin="PostgreSQL: pg_postmaster_start_time; MySQL: Uptime",
)
RESPONSE = server(
    "airflow_database_response_seconds",
    help="Time that the database took to answer a simple statement over the open connection",
    origin="SELECT 1",
)
SIZE = server(
    "airflow_database_size_bytes",
    help="Size of Airflow's database on disk",
    origin="PostgreSQL: pg_database_size; MySQL: information_schema.tables",
)
COMMITS = server_counter(
    "airflow_database_commits_total",
    help="Transactions of Airflow's database that were committed; on MySQL those of the whole server",
    origin="PostgreSQL: pg_stat_database.xact_commit; MySQL: Com_commit",
)
ROLLBACKS = server_counter(
    "airflow_database_rollbacks_total",
    help="Transactions of Airflow's database that were rolled back; on MySQL those of the whole server",
    origin="PostgreSQL: pg_stat_database.xact_rollback; MySQL: Com_rollback",
)
DEADLOCKS = server_counter(
    "airflow_database_deadlocks_total",
    help="Deadlocks: the database aborted one of the transactions that waited for each other",
    origin="PostgreSQL: pg_stat_database.deadlocks; MySQL: innodb_metrics.lock_deadlocks; MariaDB: Innodb_deadlocks",
)
CACHE_HITS = server_counter(
    "airflow_database_cache_hits_total",
    help="Pages that were found in the database's own cache",
    origin="PostgreSQL: pg_stat_database.blks_hit; MySQL: Innodb_buffer_pool_read_requests less the reads",
)
CACHE_MISSES = server_counter(
    "airflow_database_cache_misses_total",
    help="Pages that were not in the database's own cache and were read from the operating system or the disk",
    origin="PostgreSQL: pg_stat_database.blks_read; MySQL: Innodb_buffer_pool_reads",
)
TEMPORARY_BYTES = server_counter(
    "airflow_database_temporary_bytes_total",
    help="Bytes that statements wrote to temporary files because their memory was too small; absent on MySQL",
    origin="PostgreSQL: pg_stat_database.temp_bytes",
)
TEMPORARY_FILES = server_counter(
    "airflow_database_temporary_files_total",
    help="Temporary files (MySQL: temporary tables on disk) that statements needed because their memory was too small",
    origin="PostgreSQL: pg_stat_database.temp_files; MySQL: Created_tmp_disk_tables",
)
REPLICAS = server(
    "airflow_database_replicas",
    help="Number of replicas that are connected to the database server",
    origin="PostgreSQL: pg_stat_replication; MySQL: threads that send the binary log",
)
REPLICATION_DELAY = server(
    "airflow_database_replication_delay_seconds",
    help="How far the slowest replica is behind; absent if there is none, and on MySQL, whose primary does not know it",
    origin="PostgreSQL: pg_stat_replication.replay_lag",
)
REPLICATION_BYTES = server(
    "airflow_database_replication_delay_bytes",
    help="Log that the slowest replica has not replayed yet; absent if there is none, and on MySQL",
    origin="PostgreSQL: pg_stat_replication.replay_lsn",
)
TABLE_BYTES = tables(
    "airflow_database_table_bytes",
    help="Size of a table of Airflow on disk, without its indices",
    origin="PostgreSQL: pg_table_size; MySQL: information_schema.tables.data_length",
)
INDEX_BYTES = tables(
    "airflow_database_table_index_bytes",
    help="Size of the indices of a table of Airflow on disk",
    origin="PostgreSQL: pg_indexes_size; MySQL: information_schema.tables.index_length",
)
LIVE_ROWS = tables(
    "airflow_database_table_live_rows",
    help="Rows of a table of Airflow, as the database estimates",
    origin="PostgreSQL: pg_stat_user_tables.n_live_tup; MySQL: information_schema.tables.table_rows",
)
DEAD_ROWS = tables(
    "airflow_database_table_dead_rows",
    help="Deleted or replaced rows of a table of Airflow that still take space until the next vacuum, as the database "
    "estimates; absent on MySQL",
    origin="PostgreSQL: pg_stat_user_tables.n_dead_tup",
)
LAST_VACUUM = tables(
    "airflow_database_table_last_vacuum_timestamp_seconds",
    help="Time of the last vacuum of a table of Airflow, automatic or not; absent if there was none, and on MySQL",
    origin="PostgreSQL: pg_stat_user_tables.last_autovacuum, last_vacuum",
)
LAST_ANALYZE = tables(
    "airflow_database_table_last_analyze_timestamp_seconds",
    help="Time when the statistics of a table, from which statements are planned, were last collected; absent if "
    "never, and on MySQL",
    origin="PostgreSQL: pg_stat_user_tables.last_autoanalyze, last_analyze",
)
SEQUENTIAL_SCANS = tables(
    "airflow_database_table_sequential_scans_total",
    kind=Kind.COUNTER,
    help="Scans of a whole table of Airflow, without an index; absent on MySQL",
    origin="PostgreSQL: pg_stat_user_tables.seq_scan",
)
SEQUENTIAL_ROWS = tables(
    "airflow_database_table_sequential_rows_total",
    kind=Kind.COUNTER,
    help="Rows of a table of Airflow that were read without an index",
    origin="PostgreSQL: pg_stat_user_tables.seq_tup_read; "
    "MySQL: performance_schema.table_io_waits_summary_by_index_usage",
)
INDEX_PRESENT = tables(
    "airflow_database_index_present",
    help="Whether a table of Airflow has a valid index that begins with these columns; only for indices that Airflow's "
    "own migrations create",
    labels=("table", "columns"),
    origin="PostgreSQL: pg_index; MySQL: information_schema.statistics",
)
CLEANABLE_ROWS = tables(
    "airflow_database_cleanable_rows",
    reader="cleanable",
    closed={"table": CLEANED},
    help="Rows of a table that are older than `database.retention`, which `airflow db clean` would remove or count, as "
    "the planner of the database estimates; absent where it has no statistics for it",
    origin="EXPLAIN, which reads no row",
)
STATEMENT_CALLS = statements(
    "airflow_database_statement_calls_total",
    help="Statements that the database executed, by what they are for",
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
)
STATEMENT_SECONDS = statements(
    "airflow_database_statement_seconds_total",
    help="Time that the database spent on executing statements, by what they are for; waits for locks are included",
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
)
TOP_SECONDS = top(
    "airflow_database_top_statement_seconds_total",
    help="Time that the database spent on each of the ten statements on which it lately spent most, as its own "
    "statistics count it",
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
)
TOP_CALLS = top(
    "airflow_database_top_statement_calls_total",
    help="How often each of the ten statements was executed on which the database lately spent most of its time",
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
)
TOP_INFO = top(
    "airflow_database_top_statement_info",
    kind=Kind.GAUGE,
    help="Text of each of these ten statements, without its values; absent without --database.statement-texts",
    labels=("statement", "purpose", "text"),
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
    audience="who asked for the texts with --database.statement-texts",
)
STATEMENT_ROWS = statements(
    "airflow_database_statement_rows_total",
    help="Rows that statements returned or changed, by what they are for",
    origin="PostgreSQL: pg_stat_statements; MySQL: performance_schema.events_statements_summary_by_digest",
)

FAMILIES = (
    CONNECTIONS,
    CONNECTION_LIMIT,
    OLDEST_TRANSACTION,
    OLDEST_IDLE_TRANSACTION,
    BLOCKED_SESSIONS,
    OLDEST_BLOCKED,
    SERVER_INFO,
    SERVER_START,
    RESPONSE,
    SIZE,
    COMMITS,
    ROLLBACKS,
    DEADLOCKS,
    CACHE_HITS,
    CACHE_MISSES,
    TEMPORARY_BYTES,
    TEMPORARY_FILES,
    REPLICAS,
    REPLICATION_DELAY,
    REPLICATION_BYTES,
    TABLE_BYTES,
    INDEX_BYTES,
    LIVE_ROWS,
    DEAD_ROWS,
    LAST_VACUUM,
    LAST_ANALYZE,
    SEQUENTIAL_SCANS,
    SEQUENTIAL_ROWS,
    INDEX_PRESENT,
    CLEANABLE_ROWS,
    STATEMENT_CALLS,
    STATEMENT_SECONDS,
    STATEMENT_ROWS,
    TOP_SECONDS,
    TOP_CALLS,
    TOP_INFO,
)
