"""The metadata database: connections, transactions, locks, the server, Airflow's tables and statements."""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import ANY_IS_BAD, NEUTRAL, Query, rising
from grafana.boards.kit.promql import age, one, pick, rate
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import COMMON
from grafana.boards.rows.database_tables import STATEMENTS, TABLES

NO_DATABASE = "needs --database.url-file"
CONNECTIONS = f"max by(component, state) ({pick('airflow_database_connections')})"
CRITICAL_SECTION = {"purpose": "critical_section"}
INFO = f"max by(product, version) ({pick('airflow_database_server_info')})"
START = pick("airflow_database_server_start_timestamp_seconds")
REPLICAS = pick("airflow_database_replicas")
WAITING = "component, blocked_by, table"

NOW = Row(
    "Now",
    [
        Stat(
            "Used connections",
            "Connections divided by what the server accepts, those of other applications included. At 100 % it refuses"
            " new ones. Source: database.",
            f"sum({CONNECTIONS}) / (max({pick('airflow_database_connection_limit')}) > 0)",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.7, 0.85))
        .no_value(NO_DATABASE),
        Stat(
            "Sessions that wait for a lock",
            "If it stays above 0: see Who blocks whom. Source: database.",
            f"sum(max by({WAITING}) ({pick('airflow_database_blocked_sessions')}))"
            f" or 0 * max({pick('airflow_database_connection_limit')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(ANY_IS_BAD)
        .no_value(NO_DATABASE),
        Stat(
            "Longest idle transaction",
            "For how long a session has had an open transaction without sending a statement; it keeps locks, and vacuum"
            " waits for it. Source: database.",
            age(f"time() - min({pick('airflow_database_oldest_idle_transaction_timestamp_seconds')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(300, 900))
        .no_value("none"),
        Stat(
            "Critical section",
            "How long a statement takes by which the scheduler chooses tasks, on average. Above a second, the database"
            " holds up the scheduler. Source: database.",
            f"sum({rate('airflow_database_statement_seconds_total', **CRITICAL_SECTION)})"
            f" / (sum({rate('airflow_database_statement_calls_total', **CRITICAL_SECTION)}) > 0)",
        )
        .unit("s")
        .thresholds(rising(0.5, 1))
        .no_value("not run, or no statistics"),
        Stat(
            "Response time",
            "How long SELECT 1 takes over the open connection. Source: database.",
            f"max({pick('airflow_database_response_seconds')})",
        )
        .unit("s")
        .thresholds(rising(0.1, 1))
        .no_value(NO_DATABASE),
        Stat(
            "Size",
            "Airflow's database on disk; see Tables for what is large. Source: database.",
            f"max({pick('airflow_database_size_bytes')})",
        )
        .unit("bytes")
        .thresholds(NEUTRAL)
        .no_value(NO_DATABASE),
    ],
)
SESSIONS = Row(
    "Connections and transactions",
    [
        TimeSeries(
            "Connections by component",
            "Who holds connections, and how many the server accepts. Each process opens up to sql_alchemy_pool_size +"
            " sql_alchemy_max_overflow; known processes: what the main processes of all components may open together."
            " Sources: API, host, database.",
            Query(f"sum by(component) ({CONNECTIONS})", "{{component}}"),
            Query(f"max({pick('airflow_database_connection_limit')})", "limit"),
            Query(f"max({pick('airflow:database_connections_wanted:max')})", "known processes"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .limit_line("limit")
        .limit_line("known processes")
        .no_value(NO_DATABASE),
        TimeSeries(
            "Connections by state",
            "What connections do. Most are idle where pools are large: lower sql_alchemy_pool_size or use PgBouncer."
            " Source: database.",
            Query(f"sum by(state) ({CONNECTIONS})", "{{state}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .no_value(NO_DATABASE),
        TimeSeries(
            "Longest transaction by component",
            "Vacuum removes no row that was deleted after the oldest transaction began. Source: database.",
            Query(
                "clamp_min(time() - min by(component)"
                f" ({pick('airflow_database_oldest_transaction_timestamp_seconds')}), 0)",
                "{{component}}",
            ),
        )
        .unit("s")
        .no_value("no open transaction"),
        TimeSeries(
            "Longest idle transaction by component",
            "Above a quarter of an hour it is a mistake: end the session. Source: database.",
            Query(
                "clamp_min(time() - min by(component)"
                f" ({pick('airflow_database_oldest_idle_transaction_timestamp_seconds')}), 0)",
                "{{component}}",
            ),
        )
        .unit("s")
        .no_value("no idle transaction"),
    ],
)
LOCKS = Row(
    "Locks",
    [
        Table(
            "Who blocks whom",
            "Sessions that wait for a lock now, and the component that holds up all of them in the end."
            " Source: database.",
            {"component": Key("Waiting"), "blocked_by": Key("Blocked by"), "table": Key("Table")},
            [
                Column(
                    "Sessions",
                    f"max by({WAITING}) ({pick('airflow_database_blocked_sessions')})",
                    decimals=0,
                    width=100,
                ),
                Column(
                    "Waits for",
                    f"clamp_min(time() - min by({WAITING})"
                    f" ({pick('airflow_database_oldest_lock_wait_timestamp_seconds')}), 0)",
                    "s",
                    thresholds=rising(10, 60),
                    width=130,
                ),
            ],
        ).no_value("no session waits"),
        TimeSeries(
            "Waiting sessions, deadlocks",
            "Sessions that wait for a lock, and deadlocks per minute: the database aborts one of those that wait for"
            " each other. Source: database.",
            Query(
                f"sum by(component) (max by({WAITING}) ({pick('airflow_database_blocked_sessions')}))", "{{component}}"
            ),
            Query(f"60 * sum({rate('airflow_database_deadlocks_total')})", "deadlocks per minute"),
        )
        .unit("short")
        .no_value("nothing waits"),
    ],
)
SERVER = Row(
    "Server",
    [
        TimeSeries(
            "Transactions per second",
            "Commits and rollbacks; many rollbacks are failing statements. Source: database.",
            Query(f"sum({rate('airflow_database_commits_total')})", "commits"),
            Query(f"sum({rate('airflow_database_rollbacks_total')})", "rollbacks"),
        )
        .unit("short")
        .no_value(NO_DATABASE),
        TimeSeries(
            "Cache hits",
            "Pages that were found in the database's own cache. If it falls, give the server more memory."
            " Source: database.",
            Query(
                f"sum({rate('airflow_database_cache_hits_total')}) / (sum({rate('airflow_database_cache_hits_total')})"
                f" + sum({rate('airflow_database_cache_misses_total')}) > 0)",
                "hits",
            ),
        )
        .unit("percentunit")
        .maximum(1)
        .hide_legend()
        .no_value(NO_DATABASE),
        TimeSeries(
            "Temporary data",
            "Bytes per second that statements wrote to disk because their memory was too small: raise work_mem."
            " Source: database.",
            Query(f"sum({rate('airflow_database_temporary_bytes_total')})", "bytes"),
        )
        .unit("Bps")
        .size(width=6)
        .no_value("none, or MySQL"),
        TimeSeries(
            "Temporary files",
            "Files (MySQL: tables on disk) per minute that statements needed besides their memory. Source: database.",
            Query(f"60 * sum({rate('airflow_database_temporary_files_total')})", "files"),
        )
        .unit("short")
        .size(width=6)
        .no_value(NO_DATABASE),
        TimeSeries(
            "Replication delay",
            "How far the slowest replica is behind. Source: database.",
            Query(one("airflow_database_replication_delay_seconds"), "delay"),
        )
        .unit("s")
        .size(width=6)
        .no_value("no replica, or MySQL"),
        TimeSeries(
            "Log to be replayed",
            "Log that the slowest replica has not replayed yet. Source: database.",
            Query(one("airflow_database_replication_delay_bytes"), "log"),
        )
        .unit("bytes")
        .size(width=6)
        .no_value("no replica, or MySQL"),
        Table(
            "Server",
            "Product and version, for how long it has run, and how many replicas are connected. Source: database.",
            {"product": Key("Product"), "version": Key("Version")},
            [
                Column("Runs for", f"{INFO} * on() group_left() clamp_min(time() - max({START}), 0)", "s", width=150),
                Column("Replicas", f"{INFO} * on() group_left() max({REPLICAS})", decimals=0, width=100),
            ],
        )
        .size(width=24, height=5)
        .no_value(NO_DATABASE),
    ],
)
DASHBOARD = Dashboard(
    "airflow-database",
    "Airflow / Metadata database",
    "Connections, locks, transactions, tables and statements of Airflow's metadata database.",
    COMMON,
    [NOW, SESSIONS, LOCKS, SERVER, TABLES, STATEMENTS],
    CHANGES,
)
