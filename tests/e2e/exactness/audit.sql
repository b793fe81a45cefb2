-- Records every change of a task instance and of a DAG run, and every archived try, when it happens.
--
-- Airflow's own tables are not enough: a row holds only the newest try, its history calls every archived try
-- failed, and a deleted run leaves nothing. The triggers below keep each version of each row, so that the expected
-- values can be computed afterwards. Changes of heartbeats are left out.

create table e2e_change (
    seq bigserial primary key,
    at timestamptz not null default clock_timestamp(),
    xid bigint not null default txid_current(),
    source text not null,
    operation text not null,
    content jsonb not null
);

create function e2e_facts(content jsonb) returns jsonb language sql immutable as $$
    select content - array[
        'updated_at', 'last_heartbeat_at', 'executor_config', 'next_kwargs', 'next_method', 'trigger_timeout', 'context_carrier',
        'span_status', 'rendered_map_index', 'custom_operator_name', 'task_display_name', 'external_executor_id',
        'unixname', 'job_id', 'queued_by_job_id', 'trigger_id', 'dag_version_id', 'conf', 'last_scheduling_decision',
        'creating_job_id', 'scheduled_by_job_id', 'consumed_asset_events', 'dag_hash', 'log_template_id', 'external_trigger'
    ]
$$;

create function e2e_note_change() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        insert into e2e_change (source, operation, content) values (tg_table_name, 'delete', e2e_facts(to_jsonb(old)));
    elsif tg_op = 'INSERT' or e2e_facts(to_jsonb(new)) is distinct from e2e_facts(to_jsonb(old)) then
        insert into e2e_change (source, operation, content) values (tg_table_name, lower(tg_op), e2e_facts(to_jsonb(new)));
    end if;
    return null;
end
$$;

create trigger e2e_task_instance after insert or update or delete on task_instance
    for each row execute function e2e_note_change();
create trigger e2e_task_instance_history after insert on task_instance_history
    for each row execute function e2e_note_change();
create trigger e2e_dag_run after insert or update or delete on dag_run
    for each row execute function e2e_note_change();
