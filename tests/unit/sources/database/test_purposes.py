from __future__ import annotations

import pytest

from exporter.metrics.catalogue.database_names import PURPOSES
from exporter.sources.database.purposes import BY_PREFIX, BY_TABLE, BY_VERB, find_purpose

STATEMENTS = {
    "BEGIN": "transaction",
    "COMMIT;": "transaction",
    "SELECT 1": "transaction",
    "SELECT $1": "transaction",
    "SELECT ?": "transaction",
    "VACUUM ANALYZE log": "maintenance",
    "ALTER TABLE job ADD COLUMN x integer": "migration",
    "SELECT alembic_version.version_num FROM alembic_version": "migration",
    "SELECT pid FROM pg_catalog.pg_stat_activity": "monitoring",
    "SELECT count(*) FROM information_schema.processlist": "monitoring",
    "EXPLAIN SELECT 1 FROM log": "monitoring",
    "DELETE FROM xcom WHERE xcom.dag_run_id = $1": "deletion",
    "SELECT slot_pool.id FROM slot_pool FOR UPDATE NOWAIT": "critical_section",
    "SELECT slot_pool.id FROM slot_pool": "pools",
    "SELECT task_instance.id, task_instance.priority_weight FROM task_instance JOIN dag_run ON 1 = 1 "
    "WHERE dag_run.state = $1 ORDER BY -task_instance.priority_weight, dag_run.logical_date LIMIT $2 "
    "FOR UPDATE OF task_instance SKIP LOCKED": "critical_section",
    "SELECT `task_instance` . `id` FROM `airflow` . `task_instance` ORDER BY - `task_instance` . `priority_weight` "
    "LIMIT ? FOR UPDATE": "critical_section",
    "SELECT task_instance.priority_weight FROM task_instance WHERE state = $1 FOR UPDATE": "task_state",
    "SELECT count(*) AS count_1 FROM (SELECT task_instance.id FROM task_instance) AS anon_1": "task_instance_list",
    "UPDATE task_instance SET last_heartbeat_at=$1 WHERE task_instance.id = $2": "task_heartbeat",
    "UPDATE task_instance SET state=$1 WHERE task_instance.id = $2": "task_state",
    "INSERT INTO task_instance (id) VALUES ($1)": "task_state",
    "UPDATE job SET latest_heartbeat=$1 WHERE job.id = $2": "job_heartbeat",
    "SELECT dag_run.id FROM dag_run WHERE dag_run.state = $1 FOR UPDATE OF dag_run SKIP LOCKED": "dag_run_scheduling",
    "SELECT dag_run.id, (SELECT max(x) FROM task_instance) FROM dag_run": "dag_run_list",
    "UPDATE dag_run SET state=$1": "dag_run_state",
    "SELECT dag.dag_id FROM dag": "dag_list",
    "UPDATE dag SET last_parsed_time=$1": "dag_serialization",
    "SELECT dag.dag_id FROM dag WHERE dag.next_dagrun_create_after <= now() FOR UPDATE OF dag": "dag_run_scheduling",
    "INSERT INTO log (dttm) VALUES ($1)": "audit_log",
    'SELECT "xcom".value FROM "public"."xcom"': "xcom",
    "SELECT asset_event.id FROM asset_event": "assets",
    "SELECT dagrun_asset_event.dag_run_id, asset_event.id FROM dagrun_asset_event": "assets",
    "SELECT current_setting($1)": "monitoring",
    "SELECT dataset.id FROM dataset": "assets",
    "SELECT ab_user.id FROM ab_user": "login_sessions",
    "INSERT INTO rendered_task_instance_fields VALUES ($1)": "rendered_fields",
    "SELECT variable.val FROM variable": "variables_and_connections",
    "SELECT t.x FROM unknown_table t": "other",
    "<insufficient privilege>": "other",
    "": "other",
}


@pytest.mark.parametrize(("statement", "purpose"), STATEMENTS.items())
def test_purpose(statement: str, purpose: str) -> None:
    assert find_purpose(statement) == purpose


def test_every_purpose_is_declared() -> None:
    named = {*STATEMENTS.values(), *BY_TABLE.values(), *BY_VERB.values(), *(purpose for _, purpose in BY_PREFIX)}
    assert named == set(PURPOSES) - {"exporter"}


def test_a_text_that_was_cut_still_has_a_purpose() -> None:
    assert find_purpose("SELECT dag_run.id FROM dag_run WHERE dag_run.id IN ($1, $2, (") == "dag_run_list"
