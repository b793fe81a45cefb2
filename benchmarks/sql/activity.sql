-- What happens while the bench looks: about :rate * 10 tries end a second, :active_runs runs and :active_tasks
-- task instances are active, those that run send heartbeats. bench_tick() moves it all on by one second.

\set ON_ERROR_STOP on

CREATE TABLE bench_size AS SELECT :active_runs AS runs, :active_tasks AS tasks, :rate * 10 AS ended;
CREATE SEQUENCE bench_next MINVALUE 0;

CREATE OR REPLACE FUNCTION bench_add_run(began timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  turn bigint := nextval('bench_next') % (SELECT count(*) FROM bench_dags);
  chosen bench_dags;
BEGIN
  SELECT b.* INTO chosen FROM bench_dags b WHERE number = turn;
  INSERT INTO dag_run SELECT r.* FROM jsonb_populate_record(NULL::dag_run,
    bench_run(chosen.dag_id, chosen.version, began, NULL, 'running')) r;
  INSERT INTO task_instance SELECT t.* FROM generate_series(0, 9) n, LATERAL jsonb_populate_record(NULL::task_instance,
    bench_task(chosen.dag_id, chosen.version, bench_run_id(began), n, began, '{}')) t;
END $$;

-- Start one more task instance: of a run that has one left, or of a new run while there are too few. A run in which
-- nothing is active comes first, as a scheduler never leaves one alone for long.
CREATE OR REPLACE FUNCTION bench_start() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ready record;
BEGIN
  IF (SELECT count(*) FROM dag_run WHERE state = 'running') < (SELECT runs FROM bench_size) THEN
    PERFORM bench_add_run(clock_timestamp());
  END IF;
  SELECT t.dag_id, t.run_id, t.task_id INTO ready FROM (
    SELECT r.dag_id, r.run_id FROM dag_run r
    WHERE r.state = 'running' AND EXISTS (
      SELECT FROM task_instance t WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id AND t.state IS NULL)
    ORDER BY EXISTS (
      SELECT FROM task_instance t WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id
      AND t.state IN ('running', 'queued', 'up_for_retry')), random()
    LIMIT 1) one JOIN task_instance t USING (dag_id, run_id) WHERE t.state IS NULL LIMIT 1;
  IF ready IS NULL THEN
    PERFORM bench_add_run(clock_timestamp());
    PERFORM bench_start();
    RETURN;
  END IF;
  UPDATE task_instance t SET (try_number, state, queued_dttm, start_date, hostname, pid, updated_at)
    = (t.try_number + 1, CASE WHEN random() < 0.9 THEN 'running' ELSE 'queued' END, now(), now(), 'worker-1.example.org',
       1000, now())
    WHERE (t.dag_id, t.run_id, t.task_id) = (ready.dag_id, ready.run_id, ready.task_id);
  INSERT INTO log SELECT l.* FROM jsonb_populate_record(NULL::log,
    bench_log('running', clock_timestamp(), ready.dag_id, ready.run_id, ready.task_id, 1)) l;
END $$;

-- End one try, by chance as failure or for a retry, and its run with it if it was the last.
CREATE OR REPLACE FUNCTION bench_end() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  chosen record;
  outcome text := CASE WHEN random() < 0.03 THEN 'failed' WHEN random() < 0.02 THEN 'skipped' ELSE 'success' END;
BEGIN
  SELECT t.dag_id, t.run_id, t.task_id, t.try_number INTO chosen FROM task_instance t
    WHERE t.state IN ('running', 'queued') ORDER BY t.start_date + random() * interval '40 s' LIMIT 1;
  IF chosen.try_number = 1 AND random() < 0.03 THEN
    PERFORM bench_retry(chosen.dag_id, chosen.run_id, chosen.task_id);
    RETURN;
  END IF;
  UPDATE task_instance t SET state = outcome, end_date = now(), updated_at = now(),
    duration = extract(epoch FROM now() - start_date)
    WHERE (t.dag_id, t.run_id, t.task_id) = (chosen.dag_id, chosen.run_id, chosen.task_id);
  INSERT INTO log SELECT l.* FROM jsonb_populate_record(NULL::log,
    bench_log(outcome, clock_timestamp(), chosen.dag_id, chosen.run_id, chosen.task_id, chosen.try_number)) l;
  UPDATE dag_run r SET state = 'success', end_date = now(), updated_at = now()
    WHERE r.dag_id = chosen.dag_id AND r.run_id = chosen.run_id AND NOT EXISTS (
      SELECT FROM task_instance t WHERE t.dag_id = r.dag_id AND t.run_id = r.run_id
      AND coalesce(t.state, 'none') NOT IN ('success', 'failed', 'skipped', 'upstream_failed'));
END $$;

\if :is_3
-- Airflow 3 archives the try, gives the row a new id and writes heartbeats into it.
CREATE OR REPLACE FUNCTION bench_retry(dag text, run text, task text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO task_instance_history SELECT h.* FROM task_instance t, LATERAL jsonb_populate_record(
    NULL::task_instance_history, to_jsonb(t) || jsonb_build_object('task_instance_id', t.id, 'state', 'failed',
    'end_date', now(), 'updated_at', now())) h WHERE (t.dag_id, t.run_id, t.task_id) = (dag, run, task);
  UPDATE task_instance t SET state = 'up_for_retry', end_date = now(), updated_at = now(),
    id = bench_uuid7(now(), dag || run || task || now()) WHERE (t.dag_id, t.run_id, t.task_id) = (dag, run, task)
$$;
CREATE OR REPLACE FUNCTION bench_heartbeat() RETURNS void LANGUAGE sql AS $$
  UPDATE task_instance SET last_heartbeat_at = now(), updated_at = now()
    WHERE state = 'running' AND updated_at < now() - interval '5 s'
$$;
\else
CREATE OR REPLACE FUNCTION bench_retry(dag text, run text, task text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO task_instance_history SELECT h.* FROM task_instance t, LATERAL jsonb_populate_record(
    NULL::task_instance_history, to_jsonb(t) || jsonb_build_object('id', nextval('task_instance_history_id_seq'),
    'state', 'failed', 'end_date', now(), 'updated_at', now())) h WHERE (t.dag_id, t.run_id, t.task_id) = (dag, run, task);
  UPDATE task_instance t SET state = 'up_for_retry', end_date = now(), updated_at = now()
    WHERE (t.dag_id, t.run_id, t.task_id) = (dag, run, task)
$$;
-- Airflow 2 writes them into the job of the try, once in 5 s each.
CREATE OR REPLACE FUNCTION bench_heartbeat() RETURNS void LANGUAGE sql AS $$
  UPDATE job SET latest_heartbeat = now() WHERE id IN (SELECT id FROM job ORDER BY id DESC LIMIT 20)
$$;
\endif

CREATE OR REPLACE FUNCTION bench_tick() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  ends int := (SELECT floor(ended + random()) FROM bench_size);
  starts int;
BEGIN
  PERFORM bench_heartbeat();
  PERFORM bench_end() FROM generate_series(1, ends);
  UPDATE task_instance SET (state, try_number, start_date, updated_at) = ('running', try_number + 1, now(), now())
    WHERE state = 'up_for_retry' AND end_date < now() - interval '10 s';
  starts := (SELECT tasks FROM bench_size) - (SELECT count(*) FROM task_instance
    WHERE state IN ('running', 'queued', 'up_for_retry'));
  PERFORM bench_start() FROM generate_series(1, starts);
  UPDATE job SET latest_heartbeat = now() WHERE id >= 2000000000;
END $$;

-- Three runs have been going on for hours, the others began within the last minutes.
CREATE OR REPLACE FUNCTION bench_begin() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM dag_run WHERE state = 'running';
  PERFORM bench_add_run(now() - CASE WHEN n <= 3 THEN interval '6 h' ELSE interval '4 s' END * n)
    FROM generate_series(1, (SELECT runs FROM bench_size)) n;
  PERFORM bench_start() FROM generate_series(1, (SELECT tasks FROM bench_size));
END $$;
