-- What StatsD can report of what ended between two moments, computed from the audit (e2e_try and e2e_run of oracle.sql).
--
-- A process that ran a task reports how it ended. What a scheduler decides (a process that died, upstream_failed, a branch's
-- skip, a mark by hand) is not reported.

create view e2e_sent_try as
select mode, t.dag_id, t.task_id, t.outcome, extract(epoch from t.end_date - t.start_date)::float8 as seconds
from e2e_try t join e2e_span on t.ended_at >= since and t.ended_at < until
where t.outcome in ('success', 'failed', 'skipped', 'retried');

create view e2e_sent_run as
select mode, dag_id, state, extract(epoch from end_date - start_date)::float8 as seconds
from (
    select dag_id, run_id, life, state, start_date, end_date, min(at) as ended_at
    from e2e_run where state in ('success', 'failed') and operation <> 'delete'
    group by dag_id, run_id, life, state, start_date, end_date
) ended join e2e_span on ended_at >= since and ended_at < until;
