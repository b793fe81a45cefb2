"""The statements for PostgreSQL 13 and later. They read system views only; EXPLAIN executes nothing."""

SCHEMA = """
SELECT n.nspname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relname = 'dag_run' AND c.relkind IN ('r', 'p')
ORDER BY pg_catalog.pg_table_is_visible(c.oid) DESC, n.nspname
LIMIT 1
"""
SESSIONS = """
SELECT
    pid,
    coalesce(application_name, ''),
    coalesce(usename, ''),
    coalesce(datname = current_database(), false),
    CASE WHEN backend_type IS NULL THEN datname IS NOT NULL ELSE backend_type = 'client backend' END,
    coalesce(pg_catalog.host(client_addr), ''),
    coalesce(client_port, 0),
    coalesce(state, ''),
    extract(epoch FROM xact_start),
    CASE WHEN state LIKE 'idle in transaction%' THEN extract(epoch FROM state_change) END,
    pid = pg_catalog.pg_backend_pid()
FROM pg_catalog.pg_stat_activity
WHERE backend_type IS NULL OR backend_type <> 'parallel worker'
"""
LIMIT = """
SELECT current_setting('max_connections')::int
    - current_setting('superuser_reserved_connections')::int
    - coalesce(current_setting('reserved_connections', true)::int, 0)
"""
# A session that waits for a row waits for the transaction which changed it, and holds the lock on the row's table.
# Tables of other databases are not in our catalogue; those of a copy have the same identifiers as ours.
WAITS = """
WITH locks AS MATERIALIZED (
    SELECT pid, locktype, CASE WHEN database IN (0, d.oid) THEN relation END AS relation, granted, {waitstart} AS since
    FROM pg_catalog.pg_locks, (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) d
)
SELECT w.pid, pg_catalog.pg_blocking_pids(w.pid), extract(epoch FROM coalesce(w.since, a.query_start)), c.relname
FROM locks w
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = w.pid
LEFT JOIN LATERAL (
    SELECT t.relation FROM locks t WHERE t.pid = w.pid AND t.granted AND t.locktype = 'tuple' LIMIT 1
) t ON w.locktype = 'transactionid'
LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(w.relation, t.relation)
WHERE NOT w.granted
"""
SERVER = """
SELECT
    current_setting('server_version'),
    extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
    pg_catalog.pg_database_size(d.datid),
    d.xact_commit,
    d.xact_rollback,
    d.deadlocks,
    d.blks_hit,
    d.blks_read,
    d.temp_bytes,
    d.temp_files
FROM pg_catalog.pg_stat_database d
WHERE d.datname = current_database()
"""
# A replica that has replayed everything reports no lag.
REPLICATION = """
SELECT
    count(*),
    max(CASE WHEN replay_lsn IS NULL THEN NULL ELSE coalesce(extract(epoch FROM replay_lag), 0) END),
    max(pg_catalog.pg_wal_lsn_diff(
        CASE WHEN pg_catalog.pg_is_in_recovery()
            THEN pg_catalog.pg_last_wal_receive_lsn() ELSE pg_catalog.pg_current_wal_lsn() END,
        replay_lsn))
FROM pg_catalog.pg_stat_replication
"""
TABLES = """
SELECT
    relname,
    n_live_tup,
    n_dead_tup,
    extract(epoch FROM greatest(last_autovacuum, last_vacuum)),
    extract(epoch FROM greatest(last_autoanalyze, last_analyze)),
    seq_scan,
    seq_tup_read
FROM pg_catalog.pg_stat_all_tables
WHERE schemaname = :schema AND relname = ANY(:tables)
"""
SIZES = """
SELECT relname, pg_catalog.pg_table_size(relid), pg_catalog.pg_indexes_size(relid)
FROM pg_catalog.pg_stat_all_tables
WHERE schemaname = :schema AND relname = ANY(:tables)
"""
INDICES = """
SELECT t.relname, array(
    SELECT a.attname::text
    FROM unnest(i.indkey) WITH ORDINALITY k (number, place)
    JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
    ORDER BY k.place)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = :schema AND t.relname = ANY(:tables) AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
"""
# pg_stats shows columns that the user may read. Without statistics the planner would guess.
ESTIMABLE = """
SELECT s.tablename, s.attname
FROM pg_catalog.pg_stats s
WHERE s.schemaname = :schema AND s.tablename = ANY(:tables) AND s.attname = ANY(:columns) AND NOT s.inherited
"""
MAY_READ = """
SELECT pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
WHERE n.nspname = :schema AND c.relname = :table AND a.attname = :column
"""
EXPLAIN = "EXPLAIN (FORMAT JSON) SELECT 1 FROM {table} WHERE {column} < '{before}'"
EXTENSION = """
SELECT quote_ident(n.nspname)
FROM pg_catalog.pg_extension e
JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
WHERE e.extname = 'pg_stat_statements'
"""
# Through a proxy it is still the address of the server itself; that of a Unix socket is empty.
IDENTITY = """
SELECT
    coalesce(pg_catalog.host(pg_catalog.inet_server_addr()), '') || ' ' || coalesce(pg_catalog.inet_server_port(), 0),
    extract(epoch FROM pg_catalog.pg_postmaster_start_time()),
    extract(epoch FROM pg_catalog.clock_timestamp())
"""
STATEMENTS = """
SELECT s.queryid::text, sum(s.calls), sum(s.total_exec_time) / 1000, sum(s.rows)
FROM {schema}.pg_stat_statements(false) s
WHERE s.dbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND s.queryid IS NOT NULL
GROUP BY s.queryid
"""
TEXTS = """
SELECT DISTINCT ON (s.queryid) s.queryid::text, left(s.query, 20000)
FROM {schema}.pg_stat_statements(true) s
WHERE s.queryid = ANY(:statements)
"""
RIGHTS = """
SELECT
    pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
    pg_catalog.pg_is_in_recovery(),
    (SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user)
"""
