-- What really happened, computed from the audit by the definitions of docs/counting.md, not by the exporter's code.
--
-- Tables that the test fills first:
--   e2e_window(endpoint, start, walked)  the first complete poll: what ended before its start is history
--   e2e_poll(endpoint, began, ended)     complete and undisturbed polls of task instances and of runs
--   e2e_bucket(family, le)               the bounds of the histograms
-- The sums are in cells.sql.

-- ---- versions ----------------------------------------------------------------------------------------------------

-- The committed versions of each task instance. Of several changes in one transaction only the last is visible.
-- A `life` ends with the deletion of the row: a run that is created again with the same id has new lives.
--
-- 2.x commits `skipped` first and its end date a moment later: that is one terminal state, visible before it is complete, not two.
create materialized view e2e_ti as
with facts as (
    select distinct on (content->>'dag_id', content->>'run_id', content->>'task_id', content->>'map_index', xid)
        seq, at, operation,
        content->>'dag_id' as dag_id, content->>'run_id' as run_id, content->>'task_id' as task_id,
        (content->>'map_index')::int as map_index, content->>'state' as state,
        coalesce((content->>'try_number')::int, 0) as try_number, coalesce((content->>'max_tries')::int, 0) as max_tries,
        content->>'pool' as pool, coalesce((content->>'pool_slots')::int, 1) as pool_slots, content->>'queue' as queue,
        (content->>'start_date')::timestamptz as start_date, (content->>'end_date')::timestamptz as end_date,
        (content->>'queued_dttm')::timestamptz as queued_at, (content->>'scheduled_dttm')::timestamptz as scheduled_at
    from e2e_change
    where source = 'task_instance'
    order by content->>'dag_id', content->>'run_id', content->>'task_id', content->>'map_index', xid, seq desc
), followed as (
    select *, lead(state) over versions = state and lead(try_number) over versions = try_number
        and end_date is null and lead(end_date) over versions is not null as unfinished
    from facts
    window versions as (partition by dag_id, run_id, task_id, map_index order by seq)
)
select *,
    count(*) filter (where operation = 'delete') over earlier as life,
    lead(at) over versions as next_at,
    lead(state) over versions as next_state,
    lead(operation) over versions as next_operation,
    lag(state) over versions as former_state,
    lag(try_number) over versions as former_try_number,
    lag(max_tries) over versions as former_max_tries
from followed
where not coalesce(unfinished and state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed'), false)
window versions as (partition by dag_id, run_id, task_id, map_index order by seq),
    earlier as (versions rows between unbounded preceding and 1 preceding);
create index on e2e_ti (dag_id, run_id, task_id, map_index, life, seq);

create materialized view e2e_run as
with facts as (
    select distinct on (content->>'dag_id', content->>'run_id', xid)
        seq, at, operation,
        content->>'dag_id' as dag_id, content->>'run_id' as run_id, content->>'run_type' as run_type,
        content->>'state' as state,
        (content->>'start_date')::timestamptz as start_date, (content->>'end_date')::timestamptz as end_date,
        -- 2.x has no run_after: a run is due at the end of its data interval
        coalesce(content->>'run_after', content->>'data_interval_end')::timestamptz as run_after
    from e2e_change
    where source = 'dag_run'
    order by content->>'dag_id', content->>'run_id', xid, seq desc
)
select *,
    count(*) filter (where operation = 'delete') over earlier as life,
    lead(at) over versions as next_at
from facts
window versions as (partition by dag_id, run_id order by seq),
    earlier as (versions rows between unbounded preceding and 1 preceding);

-- ---- tries -------------------------------------------------------------------------------------------------------

-- A try ran if its row was ever in the state running under its number. It ends where the row first leaves for an
-- ended state, for up_for_retry, or is cleared (state gone or restarting) or deleted; deferring, rescheduling and
-- being queued again for the same number are parts of one try. All values are those of the row as the try ended; of
-- a cleared try those of the archived copy, which is made of the row as the clearing transaction had read it.
create materialized view e2e_archived as
select distinct on (dag_id, run_id, task_id, map_index, try_number)
    content->>'dag_id' as dag_id, content->>'run_id' as run_id, content->>'task_id' as task_id,
    (content->>'map_index')::int as map_index, (content->>'try_number')::int as try_number,
    (content->>'start_date')::timestamptz as start_date, (content->>'end_date')::timestamptz as end_date,
    (content->>'queued_dttm')::timestamptz as queued_at, (content->>'scheduled_dttm')::timestamptz as scheduled_at, seq
from e2e_change
where source = 'task_instance_history'
order by dag_id, run_id, task_id, map_index, try_number, seq;
create index on e2e_archived (dag_id, run_id, task_id, map_index, try_number);

create materialized view e2e_try as
with began as (
    select dag_id, run_id, task_id, map_index, life, try_number, min(seq) as began_seq, min(at) as began_at
    from e2e_ti
    where state = 'running' and operation <> 'delete'
    group by dag_id, run_id, task_id, map_index, life, try_number
), ended as (
    select began.*, e.seq as ended_seq, e.at as ended_at, e.state as end_state, e.max_tries, e.pool, e.queue,
        e.start_date, e.end_date, e.queued_at, e.scheduled_at, e.next_at, e.next_state, e.next_operation,
        case
            when e.operation = 'delete' then 'deleted'
            when e.state is null or e.state = 'restarting' then 'cleared'
            when e.state = 'up_for_retry' then 'retried'
            else e.state
        end as outcome,
        (select min(v.at) from e2e_ti v
          where (v.dag_id, v.run_id, v.task_id, v.map_index, v.life)
              = (began.dag_id, began.run_id, began.task_id, began.map_index, began.life)
            and v.seq > e.seq and coalesce(v.state, '') not in ('restarting', 'up_for_retry')) as left_at,
        (select max(v.at) from e2e_ti v
          where (v.dag_id, v.run_id, v.task_id, v.map_index, v.life)
              = (began.dag_id, began.run_id, began.task_id, began.map_index, began.life)
            and v.seq < e.seq) as before_at
    from began
    left join lateral (
        select * from e2e_ti v
        where (v.dag_id, v.run_id, v.task_id, v.map_index, v.life)
            = (began.dag_id, began.run_id, began.task_id, began.map_index, began.life)
          and v.seq > began.began_seq
          and (v.operation = 'delete' or v.state is null
               or v.state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed', 'up_for_retry', 'restarting'))
        order by v.seq
        limit 1
    ) e on true
)
select t.dag_id, t.run_id, t.task_id, t.map_index, t.life, t.try_number, t.began_seq, t.began_at, t.ended_seq, t.ended_at,
    t.end_state, t.max_tries, t.pool, t.queue, t.next_at, t.next_state, t.next_operation, t.outcome, t.left_at, t.before_at,
    case when t.outcome = 'cleared' then coalesce(a.start_date, t.start_date) else t.start_date end as start_date,
    case when t.outcome = 'cleared' then coalesce(a.end_date, t.end_date) else t.end_date end as end_date,
    case when t.outcome = 'cleared' then coalesce(a.queued_at, t.queued_at) else t.queued_at end as queued_at,
    case when t.outcome = 'cleared' then coalesce(a.scheduled_at, t.scheduled_at) else t.scheduled_at end as scheduled_at,
    a.try_number is not null as archived,
    t.outcome <> 'cleared' and a.seq between t.began_seq and t.ended_seq and a.end_date <> t.end_date as cleared_in_vain,
    (select min(d.at) from e2e_ti d
      where (d.dag_id, d.run_id, d.task_id, d.map_index, d.life) = (t.dag_id, t.run_id, t.task_id, t.map_index, t.life)
        and d.operation = 'delete') as deleted_at,
    (select max(r.end_date) from e2e_ti r
      where (r.dag_id, r.run_id, r.task_id, r.map_index, r.life, r.try_number, r.max_tries, r.state)
          = (t.dag_id, t.run_id, t.task_id, t.map_index, t.life, t.try_number, t.max_tries, 'failed')
        and t.outcome = 'failed' and r.seq > t.ended_seq and r.end_date > t.end_date) as renewed_end
from ended t
left join e2e_archived a using (dag_id, run_id, task_id, map_index, try_number);

-- When tasks of a run were cleared: 3.2 and later then set the run's queued_at, also of one that goes on. 3.0 and 3.1 set
-- it only where the run had ended. A poll shows only the newest clear.
create view e2e_clear as
select content->>'dag_id' as dag_id, content->>'run_id' as run_id, min(at) as at
from e2e_change
where source = 'dag_run'
group by content->>'dag_id', content->>'run_id', content->>'queued_at';

-- Whether the run shows that a try was cleared at this moment. On 2.x, whose runs never do, true: its rows do.
create function e2e_clear_is_noted(dag text, run text, moment timestamptz) returns boolean language sql stable as $$
    select exists (
        select from e2e_clear
        where (dag_id, run_id) = (dag, run) and at between moment - interval '1 second' and moment + interval '1 second'
    ) or not exists (select from e2e_change where source = 'dag_run' and content ? 'run_after')
$$;

-- Whether a complete poll took place between two moments. A commit may come a little after its change was recorded.
create function e2e_walked(what text, since timestamptz, until timestamptz) returns boolean language sql stable as $$
    select exists (
        select from e2e_poll
        where endpoint = what and began >= since + interval '1.5 seconds' and (until is null or ended <= until)
    )
$$;

-- The tries that count, and the reasons why some of them may be counted differently:
--   deleted   its row was deleted before a poll could see how it ended
--   unseen    its row was cleared, marked or rerun before a poll saw how it ended: history calls it failed in any case
--   blurred   it was cleared while it ran, and before a poll saw that it became up_for_retry and left that state (2.x), its
--             run was cleared again (3.2 on), or it was restarting (3.0 and 3.1), or while it waited for a poke or a trigger,
--             and no poll had seen that it waited: then its archived copy looks like that of a failed try
--   unarchived  it failed while it was queued or scheduled again (the executor lost it between two pokes), and was retried
--             before a poll saw that: Airflow archives a retried try only if it failed while running. Or a scheduler
--             reset it because its own one had died, and queued the next one before a poll saw that
--   in vain   it was cleared while it ran, but only an archived copy shows that: the API of 2.x does not change the row, so
--             the try goes on unless Airflow ends it, and may count as cleared or with its real outcome
--   renewed   2.x handled its failure again, so that its row shows a later end than the true one (see e2e_possible)
--   history   it ended before the first start, and was handled again after it
--   edge      it ended during the exporter's very first poll, and was retried or cleared before that was complete
create materialized view e2e_counted_try as
select t.*, extract(epoch from t.end_date - t.start_date)::float8 as seconds,
    array_remove(array[
        case when deleted_at is not null and not e2e_walked('/taskInstances', ended_at, deleted_at) then 'deleted' end,
        case when outcome in ('success', 'failed', 'skipped', 'retried') and next_at is not null
              and not (outcome = 'retried' and next_state in ('scheduled', 'up_for_retry'))
              and not (outcome = 'failed' and next_state = 'failed')
              and not e2e_walked('/taskInstances', ended_at, next_at) then 'unseen' end,
        case when outcome = 'cleared' and end_state = 'restarting' and not e2e_walked('/taskInstances', ended_at,
              case when not e2e_clear_is_noted(t.dag_id, t.run_id, ended_at) then next_at
              when next_state = 'up_for_retry' then left_at
              else (select min(c.at) from e2e_clear c where (c.dag_id, c.run_id) = (t.dag_id, t.run_id)
                    and c.at > ended_at + interval '1 second') end) then 'blurred' end,
        case when outcome = 'cleared' and end_state is null and not e2e_walked('/taskInstances', before_at, ended_at)
              then 'blurred' end,
        case when (outcome = 'retried' or (outcome = 'cleared' and end_state is null)) and not archived
              and not e2e_walked('/taskInstances', ended_at, next_at) then 'unarchived' end,
        case when cleared_in_vain then 'in vain' end,
        case when coalesce(end_date, ended_at) < w.start then 'history' end,
        case when ended_at <= w.walked and next_at <= w.walked + interval '1.5 seconds' then 'edge' end
    ], null) as doubts
from e2e_try t, e2e_window w
where w.endpoint = '/taskInstances' and ended_seq is not null and coalesce(renewed_end, end_date, ended_at) >= w.start;

-- ---- terminal states ---------------------------------------------------------------------------------------------

-- A terminal state that was reached: the task instance, its try number, the state and the end date. Marking by hand
-- leaves the end date as it was: what ended before the first start and was marked after it (history) is a new terminal
-- state, but only an exporter that had seen it before can know that. 2.x handles the failure of a task that was
-- killed by a signal several times, and changes the end each time: that is one terminal state, with the first end. On
-- 2.x an exporter that reads run by run cannot see a mark by hand either, if the run had ended and Airflow did not
-- change it.
create function e2e_stood_still(dag text, run text, moment timestamptz) returns boolean language sql stable as $$
    select exists (
        select from e2e_run
        where (dag_id, run_id) = (dag, run) and operation <> 'delete' and state in ('success', 'failed')
          and at < moment - interval '2 seconds' and coalesce(next_at, 'infinity') > moment + interval '2 seconds'
    ) and not exists (select from e2e_change where source = 'dag_run' and content ? 'run_after')
$$;

create materialized view e2e_outcome as
with told as (
    select *, coalesce(state = 'failed' and former_state = state and former_try_number = try_number
                       and former_max_tries = max_tries, false) as repeated
    from e2e_ti
), counted as (
    select *, count(*) filter (where not repeated) over (partition by dag_id, run_id, task_id, map_index order by seq) as arrival
    from told
), arrived as (
    select *, first_value(end_date) over arrivals as first_end
    from counted
    window arrivals as (partition by dag_id, run_id, task_id, map_index, arrival order by seq)
), reached as (
    select dag_id, run_id, task_id, map_index, life, try_number, state, first_end as end_date, min(at) as reached_at,
        max(end_date) as last_end, max(coalesce(next_at, 'infinity')) as gone_at,
        bool_and(coalesce(former_state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed')
                          and former_try_number = try_number, false)) as marked
    from arrived
    where operation <> 'delete' and state in ('success', 'failed', 'skipped', 'upstream_failed', 'removed')
    group by dag_id, run_id, task_id, map_index, life, try_number, state, first_end
)
select reached.*,
    array_remove(array[
        case when not e2e_walked('/taskInstances', reached_at, gone_at) then 'unseen' end,
        case when end_date < w.start then 'history' end,
        case when marked and e2e_stood_still(dag_id, run_id, reached_at) then 'by hand' end,
        case when end_date is null and reached_at <= w.walked then 'edge' end
    ], null) as doubts
from reached, e2e_window w
where w.endpoint = '/taskInstances'
  and (coalesce(last_end, reached_at) >= w.start or reached_at > greatest(w.start, end_date + interval '5 seconds'));

-- The end of a run: the run, the state and the end date. It is a later end if the run had ended before and was then
-- cleared or marked; it has no schedule delays.
create materialized view e2e_run_outcome as
with ends as (
    select dag_id, run_id, life, run_type, state, start_date, end_date, run_after, min(at) as reached_at,
        max(coalesce(next_at, 'infinity')) as gone_at
    from e2e_run
    where operation <> 'delete' and state in ('success', 'failed')
    group by dag_id, run_id, life, run_type, state, start_date, end_date, run_after
), numbered as (
    select *, row_number() over (partition by dag_id, run_id, life order by reached_at) > 1 as later from ends
)
select numbered.*,
    array_remove(array[case when not e2e_walked('/dagRuns', reached_at, gone_at) then 'unseen' end], null) as doubts
from numbered, e2e_window w
where w.endpoint = '/dagRuns' and coalesce(end_date, reached_at) >= w.start;
