-- Makers of rows, the same for every release: jsonb_populate_record takes of each object the keys that this
-- release's table has as columns and leaves the others out.

CREATE OR REPLACE FUNCTION bench_uuid7(moment timestamptz, seed text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT (lpad(to_hex((extract(epoch FROM moment) * 1000)::bigint), 12, '0')
          || '7' || substr(md5(seed), 1, 3) || '8' || substr(md5(seed), 4, 15))::uuid
$$;

-- A DAG's id by its number.
CREATE OR REPLACE FUNCTION bench_dag(number bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT 'bench_' || lpad(number::text, 4, '0')
$$;

CREATE OR REPLACE FUNCTION bench_run_id(moment timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT 'scheduled__' || to_char(moment AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"')
$$;

CREATE OR REPLACE FUNCTION bench_run(dag text, version uuid, began timestamptz, ended timestamptz, state text)
RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', nextval('dag_run_id_seq'), 'dag_id', dag, 'run_id', bench_run_id(began), 'run_type', 'scheduled',
    'state', state, 'queued_at', began, 'start_date', began + interval '1 s', 'end_date', ended,
    'logical_date', began, 'execution_date', began, 'run_after', began,
    'data_interval_start', began - interval '2 h', 'data_interval_end', began, 'external_trigger', false,
    'triggered_by', 'TIMETABLE', 'created_at', began, 'updated_at', coalesce(ended, now()),
    'last_scheduling_decision', coalesce(ended, now()), 'log_template_id', (SELECT max(id) FROM log_template),
    'clear_number', 0, 'span_status', 'not_started', 'created_dag_version_id', version)
$$;

-- `extra` has the last word.
CREATE OR REPLACE FUNCTION bench_task(dag text, version uuid, run text, number bigint, created timestamptz, extra jsonb)
RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', bench_uuid7(created, dag || run || number), 'dag_id', dag, 'run_id', run, 'task_id', 'task_' || number,
    'task_display_name', 'task_' || number, 'map_index', -1, 'try_number', 0, 'max_tries', 2,
    'pool', (ARRAY['default_pool', 'cpu', 'io'])[1 + number % 3], 'pool_slots', 1, 'queue', 'default',
    'priority_weight', 10 - number, 'operator', 'BashOperator', 'custom_operator_name', 'BashOperator',
    'unixname', 'airflow', 'hostname', '', 'executor_config', '\x80057d942e', 'context_carrier', NULL,
    'span_status', 'not_started', 'dag_version_id', version, 'updated_at', created) || extra
$$;

CREATE OR REPLACE FUNCTION bench_try(attempt int, began timestamptz, ended timestamptz, state text)
RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'try_number', attempt, 'state', state, 'scheduled_dttm', began - interval '3 s',
    'queued_dttm', began - interval '2 s', 'start_date', began, 'end_date', ended,
    'duration', extract(epoch FROM ended - began), 'hostname', 'worker-1.example.org',
    'pid', 1000 + (extract(epoch FROM began))::bigint % 30000, 'external_executor_id', md5(began::text),
    'queued_by_job_id', 1, 'updated_at', coalesce(ended, began), 'last_heartbeat_at', coalesce(ended, began))
$$;

CREATE OR REPLACE FUNCTION bench_log(event text, moment timestamptz, dag text, run text, task text, attempt int)
RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', nextval('log_id_seq'), 'dttm', moment, 'dag_id', dag, 'task_id', task, 'map_index', -1, 'event', event,
    'run_id', run, 'owner', 'bench', 'try_number', attempt, 'extra', NULL)
$$;
