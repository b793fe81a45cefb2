"""Airflow's tables in the metadata database, and what its statements are for."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import GREEN, RED, Query, rising
from grafana.boards.kit.promql import increase, pick, rate
from grafana.boards.kit.table import Column, Key, Table

NO_STATISTICS = "needs pg_stat_statements"
NO_TABLES = "needs --database.url-file"


def of_table(family: str) -> str:
    """The value of each table, with replicas of the exporter reduced to one."""
    return f"max by(table) ({pick(family)})"


def since(family: str) -> str:
    """The time since this moment of each table."""
    return f"clamp_min(time() - {of_table(family)}, 0)"


DEAD, LIVE = of_table("airflow_database_table_dead_rows"), of_table("airflow_database_table_live_rows")
CLEANABLE = of_table("airflow_database_cleanable_rows")
SECONDS, CALLS = "airflow_database_statement_seconds_total", "airflow_database_statement_calls_total"
TABLES = Row(
    "Tables",
    [
        Table(
            "Tables of Airflow",
            "Size, rows and upkeep of each table; the rows are estimates. Mostly dead rows: vacuum. Mostly old rows:"
            " airflow db clean. Many rows read without an index: see Indices. Source: database.",
            {"table": Key("Table")},
            [
                Column("Size", of_table("airflow_database_table_bytes"), "bytes", width=100),
                Column("Indices", of_table("airflow_database_table_index_bytes"), "bytes", width=100),
                Column("Rows", LIVE, width=100),
                Column(
                    "Dead rows",
                    f"{DEAD} / ({DEAD} + {LIVE} > 0)",
                    "percentunit",
                    bar=True,
                    thresholds=rising(0.2, 0.5),
                    width=150,
                ),
                Column(
                    "Old rows",
                    f"clamp_max({CLEANABLE} / ({LIVE} > 0), 1)",
                    "percentunit",
                    bar=True,
                    thresholds=rising(0.3, 0.5),
                    width=150,
                ),
                Column("Last vacuum", since("airflow_database_table_last_vacuum_timestamp_seconds"), "s", width=120),
                Column("Last analyze", since("airflow_database_table_last_analyze_timestamp_seconds"), "s", width=120),
                Column(
                    "Full scans",
                    f"sum by(table) ({increase('airflow_database_table_sequential_scans_total')})",
                    decimals=0,
                    width=110,
                ),
                Column(
                    "Rows without index",
                    f"sum by(table) ({increase('airflow_database_table_sequential_rows_total')})",
                    decimals=0,
                    width=150,
                ),
            ],
        )
        .size(width=24, height=10)
        .no_value(NO_TABLES),
        TimeSeries(
            "Size of the largest tables",
            "Tables with their indices. What grows without end needs airflow db clean. Source: database.",
            Query(
                f"topk(10, {of_table('airflow_database_table_bytes')}"
                f" + on(table) {of_table('airflow_database_table_index_bytes')})",
                "{{table}}",
            ),
        )
        .unit("bytes")
        .stacked()
        .no_value(NO_TABLES),
        Table(
            "Indices",
            "Indices that Airflow's migrations create, those that are missing first: statements on the columns read the"
            " whole table. Source: database.",
            {"table": Key("Table"), "columns": Key("Columns")},
            [
                Column(
                    "Index",
                    f"max by(table, columns) ({pick('airflow_database_index_present')})",
                    mappings={"1": ("present", GREEN), "0": ("missing", RED)},
                    width=100,
                )
            ],
        )
        .sort_by("Index", ascending=True)
        .no_value(NO_TABLES),
    ],
)
TOP_SECONDS = "airflow_database_top_statement_seconds_total"
TOP_CALLS = "airflow_database_top_statement_calls_total"
STATEMENTS = Row(
    "Statements",
    [
        TimeSeries(
            "Database time by purpose",
            "Seconds that the database spends each second on what the statements are for, waits for locks included."
            " Source: database.",
            Query(f"topk(10, sum by(purpose) ({rate(SECONDS)}) > 0)", "{{purpose}}"),
        )
        .unit("s")
        .stacked()
        .no_value(NO_STATISTICS),
        Table(
            "Statements by purpose",
            "What the database did in the selected time range: time, number, mean duration, rows. Source: database.",
            {"purpose": Key("Purpose")},
            [
                Column("Time", f"sum by(purpose) ({increase(SECONDS)})", "s", width=110),
                Column("Statements", f"sum by(purpose) ({increase(CALLS)})", decimals=0, width=110),
                Column(
                    "Mean",
                    f"sum by(purpose) ({increase(SECONDS)}) / (sum by(purpose) ({increase(CALLS)}) > 0)",
                    "s",
                    thresholds=rising(0.5, 1),
                    width=110,
                ),
                Column(
                    "Rows",
                    f"sum by(purpose) ({increase('airflow_database_statement_rows_total')})",
                    decimals=0,
                    width=110,
                ),
            ],
        ).no_value(NO_STATISTICS),
        Table(
            "The most expensive statements",
            "The ten single statements on which the database lately spent most of its time, by the id it gives them"
            " (queryid, digest). Source: database.",
            {"statement": Key("Statement"), "purpose": Key("Purpose")},
            [
                Column("Time", f"sum by(statement, purpose) ({increase(TOP_SECONDS)})", "s", width=110),
                Column("Statements", f"sum by(statement, purpose) ({increase(TOP_CALLS)})", decimals=0, width=110),
                Column(
                    "Mean",
                    f"sum by(statement, purpose) ({increase(TOP_SECONDS)})"
                    f" / (sum by(statement, purpose) ({increase(TOP_CALLS)}) > 0)",
                    "s",
                    thresholds=rising(0.5, 1),
                    width=110,
                ),
            ],
        )
        .size(24)
        .no_value(NO_STATISTICS),
    ],
)
