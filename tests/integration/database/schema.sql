CREATE TABLE dag_run (
    id integer PRIMARY KEY, dag_id varchar(250), run_id varchar(250), state varchar(50), start_date timestamp NULL);
CREATE INDEX idx_dag_run_dag_id ON dag_run (dag_id);
CREATE TABLE task_instance (
    id integer PRIMARY KEY, dag_id varchar(250), task_id varchar(250), run_id varchar(250), state varchar(20),
    priority_weight integer, last_heartbeat_at timestamp NULL, start_date timestamp NULL);
CREATE INDEX ti_dag_state ON task_instance (dag_id, state);
CREATE INDEX ti_dag_run ON task_instance (dag_id, run_id);
CREATE TABLE log (id integer PRIMARY KEY, dttm timestamp NULL, dag_id varchar(250), event varchar(60));
CREATE INDEX idx_log_dttm ON log (dttm);
CREATE TABLE slot_pool (id integer PRIMARY KEY, pool varchar(256), slots integer);
CREATE TABLE job (id integer PRIMARY KEY, state varchar(20), job_type varchar(30), latest_heartbeat timestamp NULL);
CREATE INDEX idx_job_state_heartbeat ON job (state, latest_heartbeat);
