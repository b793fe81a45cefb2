"""The statements for MySQL 8 and MariaDB 10.6 and later. They read system views only; EXPLAIN executes nothing."""

SESSIONS = """
SELECT
    p.id, {program}, p.user, p.db = database(), p.command, p.host, p.time, p.state,
    UNIX_TIMESTAMP(t.trx_started), UNIX_TIMESTAMP(NOW(6)), p.id = connection_id()
FROM information_schema.processlist p
LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id
{attributes}
"""
PROGRAM = "coalesce(a.attr_value, '')"
ATTRIBUTES = """
LEFT JOIN performance_schema.session_connect_attrs a ON a.processlist_id = p.id AND a.attr_name = 'program_name'
"""
SETTINGS = "SELECT @@max_connections, @@performance_schema, version()"
NEEDS_PROCESS = "SELECT 1 FROM information_schema.innodb_trx LIMIT 1"
NEEDS_SCHEMA = "SELECT 1 FROM performance_schema.threads LIMIT 1"
MARIADB_WAITS = """
SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id, UNIX_TIMESTAMP(r.trx_wait_started), l.lock_table
FROM information_schema.innodb_lock_waits w
JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_trx_id
JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_trx_id
LEFT JOIN information_schema.innodb_locks l ON l.lock_id = w.requested_lock_id
"""
MYSQL_WAITS = """
SELECT r.trx_mysql_thread_id, b.trx_mysql_thread_id, UNIX_TIMESTAMP(r.trx_wait_started), l.object_name
FROM performance_schema.data_lock_waits w
JOIN information_schema.innodb_trx r ON r.trx_id = w.requesting_engine_transaction_id
JOIN information_schema.innodb_trx b ON b.trx_id = w.blocking_engine_transaction_id
LEFT JOIN performance_schema.data_locks l ON l.engine_lock_id = w.requesting_engine_lock_id
"""
METADATA_LOCKS = """
SELECT t.processlist_id, m.object_name, m.lock_type, m.lock_status
FROM performance_schema.metadata_locks m
JOIN performance_schema.threads t ON t.thread_id = m.owner_thread_id
WHERE m.object_type = 'TABLE' AND m.object_schema = database() AND t.processlist_id IS NOT NULL
"""
INSTRUMENT = """
SELECT 1 FROM performance_schema.setup_instruments WHERE name = 'wait/lock/metadata/sql/mdl' AND enabled = 'YES'
"""
PLUGIN = """
SELECT 1 FROM information_schema.plugins WHERE plugin_name = 'METADATA_LOCK_INFO' AND plugin_status = 'ACTIVE'
"""
# The plugin shows locks that are held, not those that are waited for: the statement that waits names its table. It is
# compared inside the database.
PLUGIN_LOCKS = r"""
SELECT p.id, m.thread_id, m.table_name
FROM information_schema.processlist p
JOIN information_schema.metadata_lock_info m
    ON m.thread_id <> p.id AND m.table_schema = database() AND p.info REGEXP concat('\\b', m.table_name, '\\b')
WHERE p.state = 'Waiting for table metadata lock'
"""
STATUS = """
SHOW GLOBAL STATUS WHERE variable_name IN (
    'Uptime', 'Com_commit', 'Com_rollback', 'Innodb_deadlocks', 'Innodb_buffer_pool_read_requests',
    'Innodb_buffer_pool_reads', 'Created_tmp_disk_tables')
"""
DEADLOCKS = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
NOW = "SELECT UNIX_TIMESTAMP(NOW(6))"
REPLICAS = "SELECT count(*) FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'"
DATABASE = "SELECT database()"
# InnoDB names a table by its folder and its file. "_" and "%" in the name of a database are no patterns.
TABLES = """
SELECT substring_index(name, '/', -1), clust_index_size * @@innodb_page_size, other_index_size * @@innodb_page_size,
    num_rows
FROM information_schema.{tablestats}
WHERE substring_index(name, '/', 1) IN (database(), :folder)
"""
SEQUENTIAL = """
SELECT object_name, count_fetch
FROM performance_schema.table_io_waits_summary_by_index_usage
WHERE object_schema = database() AND index_name IS NULL
"""
INDICES = """
SELECT substring_index(t.name, '/', -1), i.index_id, f.name
FROM information_schema.{tables} t
JOIN information_schema.{indexes} i ON i.table_id = t.table_id
JOIN information_schema.{fields} f ON f.index_id = i.index_id
WHERE substring_index(t.name, '/', 1) IN (database(), :folder)
ORDER BY i.index_id, f.pos
"""
# Shown are columns that the user may read. Without an index the optimizer would guess.
READABLE = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = database()
"""
# MySQL's default may be a tree.
EXPLAIN = "EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM `{table}` WHERE `{column}` < '{before}'"
IDENTITY = """
SHOW GLOBAL VARIABLES WHERE variable_name IN ('hostname', 'port', 'server_id', 'server_uuid')
"""
UPTIME = "SHOW GLOBAL STATUS WHERE variable_name = 'Uptime'"
STATEMENTS = """
SELECT digest, sum(count_star), sum(sum_timer_wait) / 1000000000000, sum(sum_rows_sent + sum_rows_affected)
FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = database() AND digest IS NOT NULL
GROUP BY digest
"""
TEXTS = """
SELECT digest, max(digest_text)
FROM performance_schema.events_statements_summary_by_digest
WHERE schema_name = database() AND digest IN :statements
GROUP BY digest
"""
GRANTS = "SHOW GRANTS"
