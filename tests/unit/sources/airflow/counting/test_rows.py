"""Which tries and terminal states are counted of a task instance by its row."""

from __future__ import annotations

import msgspec
import pytest

from exporter.sources.airflow.counting.decision import EndedTry, TaskRecord
from exporter.sources.airflow.counting.rows import apply_row, drop_undated, has_run
from exporter.sources.airflow.counting.try_history import resolve_history
from tests.unit.sources.airflow.counting.task_rows import COUNT_FROM, counted, make_record, make_row, make_running


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
        assert not has_run(make_row("failed", 2, end_date=1500.0), make_record(last_end=1015.0))
        assert has_run(make_row("failed", 2), make_record(last_end=1009.0))

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

    @pytest.mark.parametrize("known", [make_record(), make_record("queued"), None])
    def test_a_skip_that_is_committed_before_its_end_counts_with_its_end(self, known: TaskRecord | None) -> None:
        first = apply_row(make_row("skipped", 1, end_date=None), known, COUNT_FROM)
        assert first.awaits_end
        assert not first.events
        second = apply_row(make_row("skipped", 1), first.record, COUNT_FROM)
        assert counted(second) == [("try", "1", "skipped"), ("terminal", "skipped")]
        assert [event.row.end_date for event in second.events if isinstance(event, EndedTry)] == [1020.0]

    def test_a_skip_whose_end_never_comes_counts_once(self) -> None:
        first = apply_row(make_row("skipped", 1, end_date=None), make_record(), COUNT_FROM)
        second = apply_row(make_row("skipped", 1, end_date=None), first.record, COUNT_FROM)
        assert counted(second) == [("try", "1", "skipped"), ("terminal", "skipped")]
        assert not apply_row(make_row("skipped", 1), second.record, COUNT_FROM).events

    def test_what_is_skipped_without_running_needs_no_end(self) -> None:
        row = make_row("skipped", 0, start_date=None, end_date=None, hostname="", pid=None)
        assert counted(apply_row(row, None, COUNT_FROM)) == [("terminal", "skipped")]

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
