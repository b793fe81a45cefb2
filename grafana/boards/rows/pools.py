"""Pools: their slots, what holds them and what waits for them."""

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
            "Pools now",
            "Slots of each pool: how many, in use, and how many are waited for and since when. Deferred: slots of"
            " deferred tasks, whether or not the pool counts them. Left over: tasks that the newest loop of a"
            " scheduler left for want of a slot. Both need StatsD.",
            {"pool": Key("Pool", [link.POOL_OF_ROW])},
            [
                Column("Slots", pick("airflow_pool:slots:max", **POOLS), decimals=0, width=90),
                Column("In use", pick("airflow_pool:occupied_slots:sum", **POOLS), decimals=0, width=90),
                Column(
                    "Use",
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
                    "Left over",
                    f"max by(pool) ({pick('airflow_pool_starving_tasks', **POOLS)})",
                    decimals=0,
                    width=95,
                ),
                Column(
                    "Waited for",
                    pick("airflow_pool:waiting_slots:max", **POOLS),
                    decimals=0,
                    width=110,
                    thresholds=((None, "text"), (1, ORANGE)),
                ),
                Column(
                    "Waiting since",
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
        .sort_by("Use")
        .size(24, 6)
        .no_value("no pool is known"),
        TimeSeries(
            "Slots in use",
            "Slots that queued, running and, where the pool counts them, deferred task instances hold.",
            Query(pick("airflow_pool:occupied_slots:sum", **POOLS), "{{pool}}"),
        )
        .unit("short")
        .decimals(0),
        TimeSeries(
            "Slots waited for",
            "Slots that scheduled task instances wait for.",
            Query(pick("airflow_pool:waiting_slots:max", **POOLS), "{{pool}}"),
        )
        .unit("short")
        .decimals(0),
        TimeSeries(
            "Waits for a slot or limit, by pool",
            "95 of 100 tries of the hour before waited no longer than this from scheduled to queued.",
            Query(pick("airflow_pool:task_scheduled_seconds:quantile1h", quantile="0.95", **POOLS), "{{pool}}"),
        )
        .unit("s")
        .no_value("nothing ended, or Airflow 2"),
        TimeSeries(
            "Waits for a worker, by queue",
            "95 of 100 tries of the hour before waited no longer than this from queued to running.",
            Query(pick("airflow_queue:task_queued_seconds:quantile1h", quantile="0.95"), "{{queue}}"),
        )
        .unit("s")
        .no_value("nothing ended"),
    ],
)
