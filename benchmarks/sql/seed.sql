-- The history: :dags DAGs, :runs ended runs of 10 task instances each, one run every 1 / :rate seconds until now.

\set ON_ERROR_STOP on
SET synchronous_commit = off;
SET client_min_messages = warning;
-- Foreign keys hold by construction, and checking a million of them one by one takes minutes.
SET session_replication_role = replica;
SET maintenance_work_mem = '256MB';
SET work_mem = '64MB';

-- So does keeping ten indexes in order: those without a constraint are made again at the end.
CREATE TEMP TABLE bench_indexes AS SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
  FROM pg_index i WHERE i.indrelid::regclass::text IN ('dag_run', 'task_instance', 'log', 'job')
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid);
SELECT 'DROP INDEX ' || name FROM bench_indexes \gexec

INSERT INTO slot_pool SELECT p.* FROM (VALUES ('cpu', 32), ('io', 64)) v (name, slots), LATERAL jsonb_populate_record(
  NULL::slot_pool, jsonb_build_object('id', nextval('slot_pool_id_seq'), 'pool', name, 'slots', slots,
  'description', '', 'include_deferred', false)) p;

CREATE UNLOGGED TABLE bench_dags AS
  SELECT n AS number, bench_dag(n) AS dag_id, bench_uuid7(now() - interval '30 d', bench_dag(n)) AS version
  FROM generate_series(0, :dags - 1) n;

INSERT INTO dag SELECT c.* FROM dag d, bench_dags b, LATERAL jsonb_populate_record(d, jsonb_build_object(
  'dag_id', b.dag_id, 'is_paused', false, 'last_parsed_time', now(), 'next_dagrun', now() + interval '1 h',
  'next_dagrun_create_after', now() + interval '2 h')) c WHERE d.dag_id = 'bench_template';
INSERT INTO dag_tag (name, dag_id) SELECT t.name, b.dag_id FROM dag_tag t, bench_dags b WHERE t.dag_id = 'bench_template';
INSERT INTO serialized_dag SELECT c.* FROM serialized_dag s, bench_dags b, LATERAL jsonb_populate_record(s,
  jsonb_build_object('id', md5('s' || b.dag_id)::uuid, 'dag_id', b.dag_id, 'dag_version_id', b.version,
  'dag_hash', md5(b.dag_id), 'data', replace(s.data::text, 'bench_template', b.dag_id)::jsonb)) c
  WHERE s.dag_id = 'bench_template';
\if :is_3
INSERT INTO dag_version SELECT c.* FROM dag_version v, bench_dags b, LATERAL jsonb_populate_record(v,
  jsonb_build_object('id', b.version, 'dag_id', b.dag_id)) c WHERE v.dag_id = 'bench_template';
INSERT INTO dag_code SELECT c.* FROM dag_code o, bench_dags b, LATERAL jsonb_populate_record(o,
  jsonb_build_object('id', md5('c' || b.dag_id)::uuid, 'dag_id', b.dag_id, 'dag_version_id', b.version)) c
  WHERE o.dag_id = 'bench_template';
\endif

-- Runs take 60 to 360 s; chance comes from hashes, so every seeding gives the same data.
CREATE UNLOGGED TABLE bench_runs AS
  SELECT r AS number, b.dag_id, b.version, m.began, bench_run_id(m.began) AS run_id,
         m.began + make_interval(secs => 60 + abs(hashint8(r)) % 300) AS ended
  FROM generate_series(1, :runs) r
  JOIN bench_dags b ON b.number = r % :dags,
  LATERAL (SELECT now() - interval '400 s' - make_interval(secs => (:runs - r) / :rate) AS began) m;

INSERT INTO dag_run SELECT d.* FROM bench_runs r, LATERAL jsonb_populate_record(NULL::dag_run,
  bench_run(dag_id, version, began, ended, CASE WHEN abs(hashint8(number)) % 100 < 5 THEN 'failed' ELSE 'success' END)) d
  ORDER BY number;

-- Of the task instances 2 % failed, 4 % needed a second try, 2 % were skipped, 2 % had a failure upstream.
CREATE UNLOGGED TABLE bench_tries AS
  SELECT v.*, CASE WHEN chance < 2 THEN 'failed' WHEN chance BETWEEN 6 AND 7 THEN 'skipped'
           WHEN chance BETWEEN 8 AND 9 THEN 'upstream_failed' ELSE 'success' END AS state,
         chance NOT BETWEEN 6 AND 9 AS ran, CASE WHEN chance BETWEEN 6 AND 9 THEN 0 WHEN chance BETWEEN 2 AND 5 THEN 2
           ELSE 1 END AS attempt
  FROM (SELECT r.number * 10 + n AS number, r.dag_id, r.version, r.run_id, n AS task, r.began AS created,
               r.began + (r.ended - r.began) * n / 10 AS began, r.began + (r.ended - r.began) * (n + 0.9) / 10 AS ended,
               abs(hashint8(r.number * 10 + n)) % 100 AS chance
        FROM bench_runs r, generate_series(0, 9) n) v;

-- Only Airflow 3 has these columns.
\set more ''
\set more_values ''
\if :is_3
\set more ', id, scheduled_dttm, last_heartbeat_at, dag_version_id, span_status'
\set more_values ', bench_uuid7(CASE WHEN attempt = 2 THEN began ELSE created END, number::text), CASE WHEN ran THEN began - interval \'3 s\' END, CASE WHEN ran THEN ended END, version, \'not_started\''
\endif
INSERT INTO task_instance (dag_id, task_id, run_id, map_index, state, try_number, max_tries, start_date, end_date, duration,
    hostname, unixname, pool, pool_slots, queue, priority_weight, operator, custom_operator_name, queued_dttm,
    queued_by_job_id, pid, executor_config, updated_at, external_executor_id, task_display_name :more)
  SELECT dag_id, 'task_' || task, run_id, -1, state, attempt, 2, began, CASE WHEN ran THEN ended ELSE began END,
    extract(epoch FROM CASE WHEN ran THEN ended ELSE began END - began), CASE WHEN ran THEN 'worker-1.example.org' ELSE '' END,
    'airflow', (ARRAY['default_pool', 'cpu', 'io'])[1 + task % 3], 1, 'default', 10 - task, 'BashOperator', 'BashOperator',
    CASE WHEN ran THEN began - interval '2 s' END, 1, CASE WHEN ran THEN 1000 + number % 30000 END, '\x80057d942e',
    CASE WHEN ran THEN ended ELSE began END, md5(number::text), 'task_' || task :more_values
  FROM bench_tries ORDER BY number;

INSERT INTO task_instance_history SELECT t.* FROM bench_tries b, LATERAL jsonb_populate_record(NULL::task_instance_history,
  bench_task(dag_id, version, run_id, task, created, bench_try(1, created, began, 'failed'))
  || jsonb_build_object('task_instance_id', bench_uuid7(created, number::text))
  - 'id' || CASE WHEN :is_3 THEN '{}'::jsonb ELSE jsonb_build_object('id', number) END) t
  WHERE attempt = 2;

\if :is_3
\else
SELECT setval('task_instance_history_id_seq', max(id)) FROM task_instance_history \g /dev/null
\endif

-- Airflow keeps the rendered templates of the newest 30 runs of each task.
INSERT INTO rendered_task_instance_fields (dag_id, task_id, run_id, map_index, rendered_fields)
  SELECT dag_id, 'task_' || task, run_id, -1, '{"bash_command": "sleep 1", "env": null, "cwd": null}'
  FROM bench_tries WHERE ran AND number > (:runs - 30 * :dags) * 10;

INSERT INTO log (dttm, dag_id, task_id, map_index, event, run_id, owner, try_number)
  SELECT e.moment, dag_id, 'task_' || task, -1, e.event, run_id, 'bench', attempt
  FROM bench_tries b, LATERAL (VALUES ('running', began), (b.state, ended)) e (event, moment) WHERE ran
  ORDER BY b.number, e.moment;

-- Airflow 2 has a job for every try.
INSERT INTO job (id, job_type, state, start_date, end_date, latest_heartbeat, hostname, unixname)
  SELECT number, 'LocalTaskJob', 'success', began, ended, ended, 'worker-1.example.org', 'airflow'
  FROM bench_tries WHERE ran AND NOT :is_3;
INSERT INTO job SELECT j.* FROM unnest(ARRAY['SchedulerJob', 'TriggererJob', 'DagProcessorJob']) WITH ORDINALITY k (kind, n),
  LATERAL jsonb_populate_record(NULL::job, jsonb_build_object('id', 2000000000 + n, 'job_type', kind, 'state', 'running',
  'start_date', now(), 'latest_heartbeat', now(), 'hostname', 'scheduler.example.org', 'unixname', 'airflow')) j;

DROP TABLE bench_tries, bench_runs;
SELECT definition FROM bench_indexes \gexec

-- Nothing but the bench works while it measures; planning needs true statistics.
ALTER SYSTEM SET autovacuum = off;
SELECT pg_reload_conf() \g /dev/null
VACUUM (ANALYZE);
