"""Which tries and terminal states are counted of a task instance, from its row and from its history of tries."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import Decision, EndedTry, TaskRecord, TerminalState, UnaccountedTry
from exporter.sources.airflow.counting.rows import apply_row, drop_undated, has_run
from exporter.sources.airflow.counting.try_history import resolve_deleted, resolve_history

COUNT_FROM = 1000.0


def make_row(state: str | None, number: int = 1, **changes: Any) -> TaskInstance:
    """A row of a task that ran from 1010 to 1020 with two retries allowed."""
    fields: dict[str, Any] = {
        "dag_id": "d", "run_id": "r", "task_id": "t", "state": state, "try_number": number, "max_tries": 2,
        "scheduled_when": 1001.0, "queued_when": 1005.0, "start_date": 1010.0, "end_date": 1020.0,
        "hostname": "worker", "pid": 7,
    }  # fmt: skip
    return TaskInstance(**(fields | changes))


def make_running(number: int = 1, **changes: Any) -> TaskInstance:
    return make_row(**{"state": "running", "number": number, "end_date": None} | changes)


def make_record(state: str = "running", number: int = 1, last_counted: int = 0, **changes: Any) -> TaskRecord:
    fields: dict[str, Any] = {"ran": state == "running", "last_terminal": None} | changes
    return TaskRecord("d", "r", "t", -1, number, state, last_counted, **fields)


def counted(decision: Decision) -> list[tuple[str, ...]]:
    """The events of a decision in short."""
    words: list[tuple[str, ...]] = []
    for event in decision.events:
        match event:
            case EndedTry(row, outcome):
                words.append(("try", str(row.try_number), str(outcome)))
            case TerminalState(_, state):
                words.append(("terminal", state))
            case UnaccountedTry(_, _, reason):
                words.append(("unaccounted", reason))
    return words


class TestWhatIsATry:
    def test_a_row_with_a_process_ran(self) -> None:
        assert has_run(make_row("success"))
        assert has_run(make_row("success", pid=None))
        assert has_run(make_row("success", hostname=""))

    def test_an_empty_operator_did_not(self) -> None:
        assert not has_run(make_row("success", hostname="", pid=None))

    def test_an_upstream_failure_did_not_though_the_row_still_shows_an_earlier_process(self) -> None:
        assert not has_run(make_row("upstream_failed"))

    def test_a_branch_skip_did_not_but_a_soft_failed_sensor_did(self) -> None:
        assert not has_run(make_row("skipped", start_date=1010.0, end_date=1010.0))
        assert has_run(make_row("skipped"))

    def test_a_try_that_never_left_the_queue_has_the_start_of_the_try_before(self) -> None:
        assert not has_run(make_row("failed", 2, end_date=1500.0), last_end=1015.0)
        assert has_run(make_row("failed", 2), last_end=1009.0)

    def test_a_rescheduled_sensor_that_was_cleared_in_the_queue_ran_though_its_end_is_old(self) -> None:
        assert has_run(make_row("failed", queued_when=1500.0))


class TestTheRowAlone:
    @pytest.mark.parametrize(
        ("state", "outcome"),
        [("success", "success"), ("failed", "failed"), ("skipped", "skipped"), ("up_for_retry", "retried")],
    )
    def test_an_ended_try_is_counted_with_its_outcome(self, state: str, outcome: str) -> None:
        events = counted(apply_row(make_row(state), make_record(), COUNT_FROM))
        assert events[0] == ("try", "1", outcome)

    def test_a_terminal_state_is_counted_a_retry_reaches_none(self) -> None:
        assert ("terminal", "failed") in counted(apply_row(make_row("failed"), make_record(), COUNT_FROM))
        assert counted(apply_row(make_row("up_for_retry"), make_record(), COUNT_FROM)) == [("try", "1", "retried")]

    def test_a_running_task_that_was_cleared_is_counted_while_it_restarts(self) -> None:
        assert counted(apply_row(make_row("restarting"), make_record(), COUNT_FROM)) == [("try", "1", "cleared")]

    def test_nothing_is_counted_twice(self) -> None:
        for state in ("success", "failed", "skipped", "up_for_retry", "restarting", "upstream_failed"):
            row = make_row(state) if state != "upstream_failed" else make_row(state, hostname="", pid=None)
            first = apply_row(row, make_record(), COUNT_FROM)
            assert first.events
            assert not apply_row(row, first.record, COUNT_FROM).events, state

    def test_an_active_task_counts_nothing(self) -> None:
        assert not apply_row(make_running(), None, COUNT_FROM).events

    def test_a_task_that_never_ran_has_a_terminal_state_and_no_try(self) -> None:
        row = make_row("upstream_failed", 0, hostname="", pid=None)
        assert counted(apply_row(row, None, COUNT_FROM)) == [("terminal", "upstream_failed")]

    def test_marking_by_hand_is_a_new_terminal_state_and_no_new_try(self) -> None:
        failed = apply_row(make_row("failed"), make_record(), COUNT_FROM)
        assert counted(apply_row(make_row("success"), failed.record, COUNT_FROM)) == [("terminal", "success")]

    def test_what_ended_before_counting_began_is_remembered_and_not_counted(self) -> None:
        old = make_row("success", end_date=900.0, start_date=890.0, queued_when=880.0, scheduled_when=880.0)
        decision = apply_row(old, None, COUNT_FROM)
        assert not decision.events
        assert not decision.needs_tries
        assert not apply_row(old, decision.record, COUNT_FROM).events

    def test_a_terminal_state_without_a_date_is_not_counted_at_the_very_first_poll(self) -> None:
        skipped = make_row("skipped", 0, start_date=None, end_date=None, hostname="", pid=None)
        decision = apply_row(skipped, None, COUNT_FROM)
        assert counted(decision) == [("terminal", "skipped")]
        first = drop_undated(decision)
        assert not first.events
        assert not apply_row(skipped, first.record, COUNT_FROM).events

    def test_a_retry_that_fails_in_the_queue_is_no_second_try(self) -> None:
        first = apply_row(make_row("up_for_retry"), make_record(), COUNT_FROM)
        queued = make_row("queued", 2, queued_when=1030.0)
        waiting = apply_row(queued, first.record, COUNT_FROM)
        assert waiting.record is not None
        assert not waiting.record.ran
        lost = make_row("failed", 2, queued_when=1030.0, end_date=1060.0)
        assert counted(apply_row(lost, waiting.record, COUNT_FROM)) == [("terminal", "failed")]

    def test_a_deferred_try_goes_on_when_it_is_queued_again(self) -> None:
        decision = apply_row(make_running(), None, COUNT_FROM)
        for state in ("deferred", "scheduled", "queued"):
            decision = apply_row(make_running(state=state), decision.record, COUNT_FROM)
            assert not decision.events
            assert decision.record is not None
            assert decision.record.ran
        assert counted(apply_row(make_row("success", queued_when=1015.0), decision.record, COUNT_FROM))[0][0] == "try"


class TestAFailureThatAirflow2HandlesAgain:
    """As recorded on Airflow 2.11.2 with tasks that kill themselves: each handling changes the row's end date."""

    def test_is_counted_once_however_late(self) -> None:
        decision = apply_row(make_row("failed", 3), make_record(number=3, last_counted=2), COUNT_FROM)
        assert counted(decision) == [("try", "3", "failed"), ("terminal", "failed")]
        for end in (1020.05, 1032.0, 1057.0):
            decision = apply_row(make_row("failed", 3, end_date=end), decision.record, COUNT_FROM)
            assert not decision.events, end

    def test_is_counted_once_where_only_history_shows_the_second_end(self) -> None:
        known = apply_row(make_row("failed", 3), make_record(number=3, last_counted=2), COUNT_FROM).record
        row = make_running(5, max_tries=5)
        copy = make_row("failed", 3, end_date=1032.0)
        retried = make_row("failed", 4, max_tries=5, start_date=1040.0, end_date=1050.0)
        assert counted(resolve_history(row, known, [copy, retried, row], COUNT_FROM)) == [("try", "4", "retried")]

    def test_a_clear_raises_max_tries_so_that_the_next_failure_counts(self) -> None:
        first = apply_row(make_row("failed", 3), make_record(number=3, last_counted=2), COUNT_FROM)
        again = make_row("failed", 3, end_date=1032.0, max_tries=5)
        assert counted(apply_row(again, first.record, COUNT_FROM)) == [("terminal", "failed")]

    def test_an_upstream_failure_may_come_again_with_the_same_number(self) -> None:
        row = make_row("upstream_failed", 0, hostname="", pid=None)
        first = apply_row(row, None, COUNT_FROM)
        again = make_row("upstream_failed", 0, hostname="", pid=None, end_date=1500.0)
        assert counted(apply_row(again, first.record, COUNT_FROM)) == [("terminal", "upstream_failed")]

    def test_a_skip_that_is_committed_before_its_end_counts_once(self) -> None:
        first = apply_row(make_row("skipped", 1, end_date=None), make_record(), COUNT_FROM)
        assert ("terminal", "skipped") in counted(first)
        assert not apply_row(make_row("skipped", 1), first.record, COUNT_FROM).events

    @pytest.mark.parametrize("end", [1020.052, 1021.119, 1022.69])
    @pytest.mark.parametrize(("state", "number"), [("up_for_retry", 1), ("scheduled", 2), ("queued", 2)])
    def test_is_no_clear(self, state: str, number: int, end: float) -> None:
        row = make_row(state, number, end_date=end)
        tries = [make_row("failed", 1), *([row] if number == 2 else [])]
        assert counted(resolve_history(row, make_record(), tries, COUNT_FROM)) == [("try", "1", "retried")]

    def test_is_no_clear_where_the_poll_saw_it_between(self) -> None:
        before = make_row("up_for_retry", 1, end_date=1020.6)
        row = make_row("success", 2, start_date=1030.0, end_date=1040.0)
        events = counted(resolve_history(row, make_record(), [make_row("failed", 1), row], COUNT_FROM, before=before))
        assert events[0] == ("try", "1", "retried")

    @pytest.mark.parametrize("end", [1019.0, 1025.3, 1031.0])
    def test_an_end_that_differs_by_more_is_a_clear(self, end: float) -> None:
        row = make_row("up_for_retry", end_date=end)
        assert counted(resolve_history(row, make_record(), [make_row("failed", 1)], COUNT_FROM)) == [
            ("try", "1", "cleared")
        ]

    def test_that_hits_the_next_try_in_the_queue_is_a_terminal_state_and_no_try(self) -> None:
        first = apply_row(make_row("up_for_retry", max_tries=1), make_record(), COUNT_FROM)
        row = make_row("failed", 2, max_tries=1, end_date=1034.0)
        assert counted(apply_row(row, first.record, COUNT_FROM)) == [("terminal", "failed")]

    def test_a_retried_try_that_is_marked_failed_by_hand_reaches_a_terminal_state(self) -> None:
        row = make_row("up_for_retry")
        decision = resolve_history(row, make_record(), [make_row("failed", 1)], COUNT_FROM)
        assert counted(apply_row(make_row("failed", 1), decision.record, COUNT_FROM)) == [("terminal", "failed")]

    def test_a_record_of_an_older_release_is_read(self) -> None:
        old = msgspec.msgpack.encode(["d", "r", "t", -1, 1, "failed", 1, True, [1, "failed", 1020.0], 1020.0])
        record = msgspec.msgpack.decode(old, type=TaskRecord)
        assert record.terminal_max_tries is None
        assert not apply_row(make_row("failed"), record, COUNT_FROM).events


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
