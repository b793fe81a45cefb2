"""Which tries and terminal states are counted of a task instance by its history of tries."""

from __future__ import annotations

import pytest

from exporter.sources.airflow.counting.decision import Decision, UnaccountedTry
from exporter.sources.airflow.counting.rows import apply_row
from exporter.sources.airflow.counting.try_history import resolve_deleted, resolve_history
from tests.unit.sources.airflow.counting.task_rows import COUNT_FROM, counted, make_record, make_row, make_running


class TestTheHistoryOfTries:
    def test_is_needed_where_a_number_was_skipped(self) -> None:
        assert apply_row(make_running(3), make_record(number=1), COUNT_FROM).needs_tries
        assert apply_row(make_running(2), None, COUNT_FROM).needs_tries
        assert not apply_row(make_running(2), make_record("up_for_retry", 1, last_counted=1), COUNT_FROM).needs_tries

    def test_a_try_that_failed_between_two_polls_was_retried(self) -> None:
        row = make_running(2)
        decision = resolve_history(row, make_record(), [make_row("failed", 1), row], COUNT_FROM)
        assert counted(decision) == [("try", "1", "retried")]
        assert decision.record is not None
        assert decision.record.last_counted_try == 1

    def test_a_success_that_was_cleared_at_once_is_a_terminal_state(self) -> None:
        row = make_running(2, max_tries=3)
        assert counted(resolve_history(row, make_record(), [make_row("success", 1), row], COUNT_FROM)) == [
            ("try", "1", "success"),
            ("terminal", "success"),
        ]

    def test_a_final_failure_that_was_cleared_shows_in_max_tries(self) -> None:
        row = make_running(4, max_tries=5)
        decision = resolve_history(row, make_record(number=3, last_counted=2), [make_row("failed", 3), row], COUNT_FROM)
        assert counted(decision) == [("try", "3", "failed"), ("terminal", "failed")]

    def test_a_last_try_followed_by_another_with_the_same_limit_was_cleared_while_it_ran(self) -> None:
        row = make_running(4)
        decision = resolve_history(row, make_record(number=3, last_counted=2), [make_row("failed", 3), row], COUNT_FROM)
        assert counted(decision) == [("try", "3", "cleared")]

    def test_a_deferred_try_that_was_cleared_did_not_fail(self) -> None:
        row = make_running(2, max_tries=3)
        known = make_record("deferred", ran=True)
        assert counted(resolve_history(row, known, [make_row("failed", 1), row], COUNT_FROM)) == [
            ("try", "1", "cleared")
        ]

    @pytest.mark.parametrize("state", ["scheduled", "queued"])
    def test_a_rescheduled_try_that_was_cleared_while_it_waited_did_not_fail(self, state: str) -> None:
        row = make_running(2, max_tries=3)
        known = make_record(state, ran=True)
        assert counted(resolve_history(row, known, [make_row("failed", 1, max_tries=0), row], COUNT_FROM)) == [
            ("try", "1", "cleared")
        ]

    def test_a_try_with_tries_left_that_raised_max_tries_was_cleared_while_it_ran(self) -> None:
        row = make_running(2, max_tries=3)
        assert counted(resolve_history(row, make_record(), [make_row("failed", 1), row], COUNT_FROM)) == [
            ("try", "1", "cleared")
        ]

    def test_may_be_checked_for_a_retry_of_airflow_2_not_of_airflow_3(self) -> None:
        decision = apply_row(make_row("up_for_retry"), make_record(), COUNT_FROM)
        assert decision.may_check_tries
        assert counted(decision) == [("try", "1", "retried")]
        assert decision.record is not None
        assert not apply_row(make_row("up_for_retry"), decision.record, COUNT_FROM).may_check_tries
        assert not apply_row(make_row("up_for_retry", uuid="018f"), make_record(), COUNT_FROM).may_check_tries

    def test_a_retry_of_airflow_2_that_outlived_its_archived_copy_was_cleared_while_it_ran(self) -> None:
        row = make_row("up_for_retry", end_date=1024.0)
        cleared, retried = make_row("failed", 1, end_date=1020.0), make_row("failed", 1, end_date=1024.0)
        assert counted(resolve_history(row, make_record(), [cleared], COUNT_FROM)) == [("try", "1", "cleared")]
        assert counted(resolve_history(row, make_record(), [retried], COUNT_FROM)) == [("try", "1", "retried")]

    @pytest.mark.parametrize("state", ["scheduled", "queued"])
    def test_while_the_next_try_waits_airflow_2_still_shows_when_the_last_one_ended(self, state: str) -> None:
        row = make_row(state, 2, end_date=1024.0)
        cleared, retried = make_row("failed", 1, end_date=1020.0), make_row("failed", 1, end_date=1024.0)
        assert counted(resolve_history(row, make_record(), [cleared, row], COUNT_FROM)) == [("try", "1", "cleared")]
        assert counted(resolve_history(row, make_record(), [retried, row], COUNT_FROM)) == [("try", "1", "retried")]
        undated = make_row(state, 2, end_date=None)
        assert counted(resolve_history(undated, make_record(), [retried, undated], COUNT_FROM)) == [
            ("try", "1", "retried")
        ]

    def test_a_row_that_changed_during_the_poll_counts_as_it_was_found_first(self) -> None:
        row = make_row("success", 2, start_date=1030.0, end_date=1040.0)
        tries = [make_row("failed", 1), row]
        for state, outcome in {"restarting": "cleared", "up_for_retry": "cleared", "running": "retried"}.items():
            before = make_row(state, 1, end_date=None if state == "running" else 1024.0)
            events = counted(resolve_history(row, make_record(), tries, COUNT_FROM, before=before))
            assert events[0] == ("try", "1", outcome)

    def test_a_vanished_task_that_was_cleared_ended_first(self) -> None:
        cleared = make_row(None, 1, max_tries=3)
        assert counted(resolve_history(None, make_record(), [make_row("success", 1), cleared], COUNT_FROM)) == [
            ("try", "1", "success"),
            ("terminal", "success"),
        ]

    def test_an_ambiguous_history_is_left_to_the_next_poll(self) -> None:
        known = make_record()
        assert resolve_history(None, known, [make_row("failed", 1)], COUNT_FROM) == Decision(known)

    def test_a_try_hidden_by_an_upstream_failure_with_its_number_is_counted(self) -> None:
        row = make_row("upstream_failed", 1, end_date=1030.0, max_tries=3)
        decision = apply_row(row, make_record(), COUNT_FROM)
        assert decision.needs_tries
        events = counted(resolve_history(row, make_record(), [make_row("success", 1), row], COUNT_FROM))
        assert events == [("try", "1", "success"), ("terminal", "success"), ("terminal", "upstream_failed")]

    def test_a_try_hidden_by_a_removed_row_with_its_end_is_counted(self) -> None:
        row = make_row("removed", 1, max_tries=3)
        assert apply_row(row, make_record(), COUNT_FROM).needs_tries
        events = counted(resolve_history(row, make_record(), [make_row("success", 1), row], COUNT_FROM))
        assert events == [("try", "1", "success"), ("terminal", "success"), ("terminal", "removed")]

    def test_a_try_hidden_by_a_skip_that_looks_like_it_is_counted(self) -> None:
        row = make_row("skipped", 1, start_date=1030.0, end_date=1030.0, max_tries=3)
        events = counted(resolve_history(row, make_record(), [make_row("skipped", 1), row], COUNT_FROM))
        assert events == [("try", "1", "skipped"), ("terminal", "skipped"), ("terminal", "skipped")]

    def test_is_needed_for_a_retry_in_a_run_that_was_cleared(self) -> None:
        row = make_row("up_for_retry", end_date=1024.0)
        assert apply_row(row, make_record(), COUNT_FROM, run_cleared_at=1020.1).needs_tries
        assert not apply_row(row, make_record(), COUNT_FROM, run_cleared_at=900.0).needs_tries
        events = counted(
            resolve_history(row, make_record(), [make_row("failed", 1)], COUNT_FROM, run_cleared_at=1020.1)
        )
        assert events == [("try", "1", "cleared")]

    def test_tries_of_an_unknown_task_count_if_they_ended_after_counting_began(self) -> None:
        old = make_row("failed", 1, start_date=890.0, end_date=900.0, queued_when=None, scheduled_when=None)
        row = make_row("success", 3, start_date=1025.0, end_date=1030.0)
        events = counted(resolve_history(row, None, [old, make_row("failed", 2), row], COUNT_FROM))
        assert events == [("try", "2", "retried"), ("try", "3", "success"), ("terminal", "success")]

    def test_a_newer_row_than_the_poll_found_is_left_to_the_next_poll(self) -> None:
        decision = resolve_history(
            make_running(2), make_record(), [make_row("failed", 1), make_row("failed", 2)], COUNT_FROM
        )
        assert counted(decision) == [("try", "1", "retried")]


class TestDeletion:
    def test_a_try_that_history_has_lost_is_unaccounted(self) -> None:
        row = make_running(3)
        events = counted(resolve_history(row, make_record(number=1), [make_row("failed", 2), row], COUNT_FROM))
        assert events == [("unaccounted", "not_in_history"), ("try", "2", "retried")]

    def test_a_try_deleted_while_it_ran_is_unaccounted(self) -> None:
        assert resolve_deleted(make_record()) == Decision(None, (UnaccountedTry("d", "t", "deleted"),))

    def test_a_deleted_task_that_waited_counts_nothing(self) -> None:
        assert resolve_deleted(make_record("queued", 2, last_counted=1)) == Decision(None)


class TestATryThatASchedulerReset:
    """Its scheduler died, another one took the state away, and Airflow archived no copy of it."""

    TRIES = (make_row("failed", 1), make_row(None, 2, start_date=1030.0, end_date=None))

    def test_is_counted_once_before_the_next_one_runs(self) -> None:
        reset = resolve_history(None, make_record(number=2, last_counted=1), self.TRIES, COUNT_FROM)
        assert counted(reset) == [("try", "2", "cleared")]
        again = make_row("success", 3, start_date=1400.0, end_date=1410.0)
        assert counted(apply_row(again, reset.record, COUNT_FROM)) == [("try", "3", "success"), ("terminal", "success")]

    def test_leaves_a_start_that_is_not_that_of_the_next_one(self) -> None:
        reset = resolve_history(None, make_record(number=2, last_counted=1), self.TRIES, COUNT_FROM)
        lost = make_row("failed", 3, start_date=1030.0, end_date=1500.0)
        assert counted(apply_row(lost, reset.record, COUNT_FROM)) == [("terminal", "failed")]

    def test_counts_nothing_where_a_clear_archived_it(self) -> None:
        tries = (make_row("success", 1), make_row(None, 1, max_tries=3))
        assert counted(resolve_history(None, make_record(), tries, COUNT_FROM))[0] == ("try", "1", "success")

    def test_counts_nothing_where_it_only_waited(self) -> None:
        waited = make_record("queued", 2, last_counted=1)
        assert not resolve_history(None, waited, self.TRIES, COUNT_FROM).events


def test_a_deferred_try_that_was_cleared_did_not_fail_though_the_same_poll_saw_the_next_one_wait() -> None:
    before = make_row("deferred", 2, start_date=1030.0, end_date=None, max_tries=1)
    row = make_row("success", 2, start_date=1030.0, end_date=1040.0, max_tries=1)
    tries = [make_row("failed", 1, max_tries=0), row]
    known = make_record("deferred", ran=True)
    events = counted(resolve_history(row, known, tries, COUNT_FROM, before=before))
    assert events == [("try", "1", "cleared"), ("try", "2", "success"), ("terminal", "success")]
