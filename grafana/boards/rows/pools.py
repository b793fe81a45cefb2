"""Pools: their slots, used and requested."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import ORANGE, RED, YELLOW, Query, Thresholds, rising
from grafana.boards.kit.promql import age, pick
from grafana.boards.kit.table import Column, Key, Table

MINUTE = 60
FULL = rising(0.8, 1)
POOLS = {"pool": "~$pool"}
ATTENTION: Thresholds = ((None, "text"), (5 * MINUTE, YELLOW), (30 * MINUTE, RED))
POOLS_ROW = Row(
    "Pools",
    [
        Table(
            "Pools",
            "Slots of each pool: total, used and waited for. Deferred: slots of deferred tasks, whether or"
            " not the pool includes them. Starving: tasks that the newest scheduler loop held back because"
            " the pool was full. If tasks wait for a full pool, add slots. Sources: API, StatsD.",
            {"pool": Key("Pool", [link.POOL_OF_ROW])},
            [
                Column("Slots", pick("airflow_pool:slots:max", **POOLS), decimals=0, width=90),
                Column("Used", pick("airflow_pool:occupied_slots:sum", **POOLS), decimals=0, width=90),
                Column(
                    "Usage",
                    pick("airflow_pool:occupied_slots:ratio", **POOLS),
                    "percentunit",
                    thresholds=FULL,
                    bar=True,
                    width=220,
                ),
                Column(
                    "Deferred",
                    f"max by(pool) ({pick('airflow_pool_deferred_slots', **POOLS)})",
                    decimals=0,
                    width=95,
                ),
                Column(
                    "Starving",
                    f"max by(pool) ({pick('airflow_pool_starving_tasks', **POOLS)})",
                    decimals=0,
                    width=95,
                ),
                Column(
                    "Requested",
                    pick("airflow_pool:waiting_slots:max", **POOLS),
                    decimals=0,
                    width=110,
                    thresholds=((None, "text"), (1, ORANGE)),
                ),
                Column(
                    "Longest wait",
                    age(pick("airflow_pool:oldest_waiting:age_seconds", **POOLS)),
                    "s",
                    thresholds=ATTENTION,
                    width=130,
                    decimals=0,
                ),
                Column(
                    "Lowest priority",
                    f"max by(pool) ({pick('airflow_pool_waiting_priority_weight_min', **POOLS)})",
                    width=130,
                ),
                Column(
                    "Highest priority",
                    f"max by(pool) ({pick('airflow_pool_waiting_priority_weight_max', **POOLS)})",
                    width=130,
                ),
            ],
        )
        .sort_by("Usage")
        .size(24, 6)
        .no_value("no pool"),
        TimeSeries(
            "Used slots",
            "Slots held by queued and running task instances, and by deferred ones where the pool includes"
            " them. Sources: API, StatsD.",
            Query(pick("airflow_pool:occupied_slots:sum", **POOLS), "{{pool}}"),
        )
        .unit("short")
        .decimals(0),
        TimeSeries(
            "Requested slots",
            "Slots that scheduled task instances wait for. Sources: API, StatsD.",
            Query(pick("airflow_pool:waiting_slots:max", **POOLS), "{{pool}}"),
        )
        .unit("short")
        .decimals(0),
        TimeSeries(
            "Scheduled time (p95), by pool",
            "Time that attempts of the hour before each point waited for a slot or limit, from scheduled to"
            " queued. Sources: API, StatsD.",
            Query(pick("airflow_pool:task_scheduled_seconds:quantile1h", quantile="0.95", **POOLS), "{{pool}}"),
        )
        .unit("s")
        .no_value("nothing finished, or Airflow 2"),
        TimeSeries(
            "Queued time (p95), by queue",
            "Time that attempts of the hour before each point waited for a worker, from queued to running."
            " Sources: API, StatsD.",
            Query(pick("airflow_queue:task_queued_seconds:quantile1h", quantile="0.95"), "{{queue}}"),
        )
        .unit("s")
        .no_value("nothing finished"),
    ],
)
