-- The cells that an exporter must show, summed from the facts of oracle.sql by the definitions of docs/counting.md.
--
-- Every contribution to a cell (one counter, or one part of a histogram, of one series) has a true value and
-- the bounds for an exporter that polls. They differ only for the cases of the closed list in docs/counting.md.

-- ---- contributions -----------------------------------------------------------------------------------------------

-- Waits of the tries: queued to running is known where the row has both times and was not queued again after the
-- start; scheduled to queued where that too is known and in order. A deferred try is scheduled and queued again when
-- it resumes, after its start: both its waits are lost. 2.x has no scheduled_when.
create view e2e_wait as
with queued as (
    select *, case when queued_at is null or start_date is null then 'unknown' when queued_at > start_date then 'renewed' end
        as queued_reason
    from e2e_counted_try
    where outcome <> 'deleted'
)
select *,
    coalesce(queued_reason, case when scheduled_at is null then 'unknown' when scheduled_at > queued_at then 'renewed' end)
        as scheduled_reason,
    extract(epoch from start_date - queued_at)::float8 as queued_seconds,
    extract(epoch from queued_at - scheduled_at)::float8 as scheduled_seconds
from queued;

create view e2e_contribution as
select 'airflow_task_tries_total' as family, array[dag_id, task_id] as labels, 'value' as part, 1::float8 as value, doubts
from e2e_counted_try
union all
select 'airflow_task_tries_failed_total', array[dag_id, task_id], 'value', 1, doubts
from e2e_counted_try where outcome in ('failed', 'retried')
union all
select 'airflow_task_retries_total', array[dag_id, task_id], 'value', 1, doubts
from e2e_counted_try where outcome = 'retried'
union all
select 'airflow_task_tries_cleared_total', array[dag_id, task_id], 'value', 1, doubts
from e2e_counted_try where outcome in ('cleared', 'deleted')
union all
select 'airflow_task_run_seconds_total', array[dag_id, task_id], 'value', seconds, doubts
from e2e_counted_try where seconds is not null
union all
select 'airflow_task_failed_seconds_total', array[dag_id, task_id], 'value', seconds, doubts
from e2e_counted_try where outcome in ('failed', 'retried')
union all
select 'airflow_dag_queued_seconds_total', array[dag_id], 'value', queued_seconds, doubts
from e2e_wait where queued_reason is null
union all
select 'airflow_dag_queued_tries_total', array[dag_id], 'value', 1, doubts
from e2e_wait where queued_reason is null
union all
select 'airflow_dag_scheduled_seconds_total', array[dag_id], 'value', scheduled_seconds, doubts
from e2e_wait where scheduled_reason is null
union all
select 'airflow_dag_scheduled_tries_total', array[dag_id], 'value', 1, doubts
from e2e_wait where scheduled_reason is null
union all
select 'airflow_task_wait_unobservable_total', array['queued', queued_reason], 'value', 1, doubts
from e2e_wait where queued_reason is not null
union all
select 'airflow_task_wait_unobservable_total', array['scheduled', scheduled_reason], 'value', 1, doubts
from e2e_wait where scheduled_reason is not null
union all
select 'airflow_task_instances_finished_total', array[dag_id, task_id, state], 'value', 1, doubts
from e2e_outcome where state in ('success', 'failed')
union all
select 'airflow_task_instances_not_run_total', array[dag_id, state], 'value', 1, doubts
from e2e_outcome where state in ('skipped', 'upstream_failed', 'removed')
union all
select 'airflow_dag_runs_finished_total', array[dag_id, run_type, state], 'value', 1, doubts
from e2e_run_outcome;

-- What a histogram observes.
create view e2e_observation as
select 'airflow_task_duration_seconds' as family, array[dag_id] as labels, seconds as value, doubts
from e2e_counted_try where outcome = 'success' and seconds is not null
union all
select 'airflow_task_queued_duration_seconds', array[queue], queued_seconds, doubts
from e2e_wait where queued_reason is null
union all
select 'airflow_task_scheduled_duration_seconds', array[pool], scheduled_seconds, doubts
from e2e_wait where scheduled_reason is null
union all
select 'airflow_dag_run_duration_seconds', array[dag_id], extract(epoch from end_date - start_date)::float8, doubts
from e2e_run_outcome where state = 'success' and start_date is not null
union all
select 'airflow_dag_run_schedule_delay_seconds', array[dag_id], extract(epoch from start_date - run_after)::float8, doubts
from e2e_run_outcome where run_type = 'scheduled' and not later and start_date is not null
union all
select 'airflow_dag_run_since_run_after_seconds', array[dag_id], extract(epoch from end_date - run_after)::float8, doubts
from e2e_run_outcome where run_type = 'scheduled' and not later;

create view e2e_part as
select family, labels, part, value, doubts from e2e_contribution
union all
select family, labels, 'count', 1, doubts from e2e_observation
union all
select family, labels, 'sum', value, doubts from e2e_observation
union all
select family, labels, 'le=' || le, 1, doubts from e2e_observation join e2e_bucket using (family) where value <= le;

-- What an exporter may count besides. If a try was cleared before a poll saw its end, history shows a final failure, a
-- retried and a blurred try alike. If 2.x handled a final failure again, its row holds only the last end. If it was
-- deleted, or is not in the history, polls saw only a running try.
create view e2e_possible as
select 'airflow_task_retries_total' as family, array[dag_id, task_id] as labels, 'value' as part, 1::float8 as value, doubts
from e2e_counted_try where (outcome = 'failed' and 'unseen' = any (doubts)) or 'blurred' = any (doubts)
union all
select 'airflow_task_tries_failed_total', array[dag_id, task_id], 'value', 1, doubts
from e2e_counted_try where 'blurred' = any (doubts)
union all
select 'airflow_task_instances_finished_total', array[dag_id, task_id, 'failed'], 'value', 1, doubts
from e2e_counted_try where 'blurred' = any (doubts)
union all
select 'airflow_task_failed_seconds_total', array[dag_id, task_id], 'value', seconds, doubts
from e2e_counted_try where 'blurred' = any (doubts)
union all
select family, array[dag_id, task_id], 'value', extract(epoch from renewed_end - end_date)::float8, array_append(doubts, 'renewed')
from e2e_counted_try, unnest(array['airflow_task_run_seconds_total', 'airflow_task_failed_seconds_total']) as family
where renewed_end is not null
union all
select 'airflow_task_tries_cleared_total', array[dag_id, task_id], 'value', 1, doubts
from e2e_counted_try where outcome not in ('cleared', 'deleted') and doubts && array['deleted', 'in vain', 'unarchived'];

-- The cells: the true value, the least and the greatest allowed value, and the reasons why they differ.
create view e2e_cell as
with bounded as (
    select family, labels, part, value, case when doubts = '{}' then value else 0 end as least, value as most, doubts
    from e2e_part
    union all
    select family, labels, part, 0, 0, value, doubts from e2e_possible
)
select family, labels, part, sum(value) as value, sum(least) as least, sum(most) as most,
    array(select distinct doubt from unnest(string_to_array(string_agg(array_to_string(doubts, ','), ','), ',')) doubt
      where doubt <> '') as doubts
from bounded
group by family, labels, part;
