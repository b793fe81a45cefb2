"""What is told of a task instance's tries and outcomes, row by row."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from exporter.sources.airflow.api.models import TaskInstance
from exporter.sources.airflow.counting.rows import (
    Ended,
    Finding,
    Outcome,
    Record,
    Unaccounted,
    has_run,
    leave_undated,
    observe,
)
from exporter.sources.airflow.counting.try_history import settle, settle_deleted

EDGE = 1000.0


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


def make_record(state: str = "running", number: int = 1, settled: int = 0, **changes: Any) -> Record:
    fields: dict[str, Any] = {"ran": state == "running", "reached": None} | changes
    return Record("d", "r", "t", -1, number, state, settled, **fields)


def tell(finding: Finding) -> list[tuple[str, ...]]:
    """The events of a finding in short."""
    words: list[tuple[str, ...]] = []
    for event in finding.events:
        match event:
            case Ended(row, fate):
                words.append(("ended", str(row.try_number), str(fate)))
            case Outcome(_, state):
                words.append(("outcome", state))
            case Unaccounted(_, _, reason):
                words.append(("unaccounted", reason))
    return words


class TestWhatIsATry:
    def test_a_row_with_a_process_ran(self) -> None:
        assert has_run(make_row("success"))
        assert has_run(make_row("success", pid=None))
        assert has_run(make_row("success", hostname=""))

    def test_an_empty_operator_did_not(self) -> None:
        assert not has_run(make_row("success", hostname="", pid=None))

    def test_an_upstream_failure_did_not_though_the_row_still_bears_an_earlier_process(self) -> None:
        assert not has_run(make_row("upstream_failed"))

    def test_a_branch_skip_did_not_but_a_soft_failed_sensor_did(self) -> None:
        assert not has_run(make_row("skipped", start_date=1010.0, end_date=1010.0))
        assert has_run(make_row("skipped"))

    def test_a_try_that_never_left_the_queue_bears_the_start_of_the_try_before(self) -> None:
        assert not has_run(make_row("failed", 2, end_date=1500.0), before=1015.0)
        assert has_run(make_row("failed", 2), before=1009.0)

    def test_a_rescheduled_sensor_that_was_cleared_in_the_queue_ran_though_its_end_is_old(self) -> None:
        assert has_run(make_row("failed", queued_when=1500.0))


class TestTheRowAlone:
    @pytest.mark.parametrize(
        ("state", "fate"),
        [("success", "success"), ("failed", "failed"), ("skipped", "skipped"), ("up_for_retry", "retried")],
    )
    def test_an_ended_try_is_told_with_its_fate(self, state: str, fate: str) -> None:
        events = tell(observe(make_row(state), make_record(), EDGE))
        assert events[0] == ("ended", "1", fate)

    def test_a_terminal_state_is_an_outcome_a_retry_is_none(self) -> None:
        assert ("outcome", "failed") in tell(observe(make_row("failed"), make_record(), EDGE))
        assert tell(observe(make_row("up_for_retry"), make_record(), EDGE)) == [("ended", "1", "retried")]

    def test_a_running_task_that_was_cleared_is_told_while_it_restarts(self) -> None:
        assert tell(observe(make_row("restarting"), make_record(), EDGE)) == [("ended", "1", "cleared")]

    def test_nothing_is_told_twice(self) -> None:
        for state in ("success", "failed", "skipped", "up_for_retry", "restarting", "upstream_failed"):
            row = make_row(state) if state != "upstream_failed" else make_row(state, hostname="", pid=None)
            first = observe(row, make_record(), EDGE)
            assert first.events
            assert not observe(row, first.record, EDGE).events, state

    def test_an_active_task_tells_nothing(self) -> None:
        assert not observe(make_running(), None, EDGE).events

    def test_a_task_that_never_ran_has_an_outcome_and_no_try(self) -> None:
        row = make_row("upstream_failed", 0, hostname="", pid=None)
        assert tell(observe(row, None, EDGE)) == [("outcome", "upstream_failed")]

    def test_marking_by_hand_is_a_new_outcome_and_no_new_try(self) -> None:
        failed = observe(make_row("failed"), make_record(), EDGE)
        assert tell(observe(make_row("success"), failed.record, EDGE)) == [("outcome", "success")]

    def test_what_ended_before_the_edge_is_remembered_and_not_told(self) -> None:
        old = make_row("success", end_date=900.0, start_date=890.0, queued_when=880.0, scheduled_when=880.0)
        finding = observe(old, None, EDGE)
        assert not finding.events
        assert not finding.ask
        assert not observe(old, finding.record, EDGE).events

    def test_an_outcome_without_a_date_is_not_told_at_the_very_first_poll(self) -> None:
        skipped = make_row("skipped", 0, start_date=None, end_date=None, hostname="", pid=None)
        finding = observe(skipped, None, EDGE)
        assert tell(finding) == [("outcome", "skipped")]
        first = leave_undated(finding)
        assert not first.events
        assert not observe(skipped, first.record, EDGE).events

    def test_a_retry_that_fails_in_the_queue_is_no_second_try(self) -> None:
        first = observe(make_row("up_for_retry"), make_record(), EDGE)
        queued = make_row("queued", 2, queued_when=1030.0)
        waiting = observe(queued, first.record, EDGE)
        assert waiting.record is not None
        assert not waiting.record.ran
        lost = make_row("failed", 2, queued_when=1030.0, end_date=1060.0)
        assert tell(observe(lost, waiting.record, EDGE)) == [("outcome", "failed")]

    def test_a_deferred_try_goes_on_when_it_is_queued_again(self) -> None:
        finding = observe(make_running(), None, EDGE)
        for state in ("deferred", "scheduled", "queued"):
            finding = observe(make_running(state=state), finding.record, EDGE)
            assert not finding.events
            assert finding.record is not None
            assert finding.record.ran
        assert tell(observe(make_row("success", queued_when=1015.0), finding.record, EDGE))[0][0] == "ended"


class TestAFailureThatIsHandledAgain:
    """As recorded on Airflow 2.11.2 with tasks that kill themselves: each handling renews the row's end."""

    def test_is_one_outcome_however_late(self) -> None:
        finding = observe(make_row("failed", 3), make_record(number=3, settled=2), EDGE)
        assert tell(finding) == [("ended", "3", "failed"), ("outcome", "failed")]
        for end in (1020.05, 1032.0, 1057.0):
            finding = observe(make_row("failed", 3, end_date=end), finding.record, EDGE)
            assert not finding.events, end

    def test_is_one_outcome_where_only_history_shows_the_second_end(self) -> None:
        known = observe(make_row("failed", 3), make_record(number=3, settled=2), EDGE).record
        row = make_running(5, max_tries=5)
        copy = make_row("failed", 3, end_date=1032.0)
        retried = make_row("failed", 4, max_tries=5, start_date=1040.0, end_date=1050.0)
        assert tell(settle(row, known, [copy, retried, row], EDGE)) == [("ended", "4", "retried")]

    def test_a_clear_raises_max_tries_so_that_the_next_failure_is_another_outcome(self) -> None:
        first = observe(make_row("failed", 3), make_record(number=3, settled=2), EDGE)
        again = make_row("failed", 3, end_date=1032.0, max_tries=5)
        assert tell(observe(again, first.record, EDGE)) == [("outcome", "failed")]

    def test_a_task_that_never_ran_may_fail_through_others_again_with_the_same_number(self) -> None:
        row = make_row("upstream_failed", 0, hostname="", pid=None)
        first = observe(row, None, EDGE)
        again = make_row("upstream_failed", 0, hostname="", pid=None, end_date=1500.0)
        assert tell(observe(again, first.record, EDGE)) == [("outcome", "upstream_failed")]

    def test_a_skip_that_is_committed_before_its_end_is_one_outcome(self) -> None:
        first = observe(make_row("skipped", 1, end_date=None), make_record(), EDGE)
        assert ("outcome", "skipped") in tell(first)
        assert not observe(make_row("skipped", 1), first.record, EDGE).events

    @pytest.mark.parametrize("end", [1020.052, 1021.119, 1022.69])
    @pytest.mark.parametrize(("state", "number"), [("up_for_retry", 1), ("scheduled", 2), ("queued", 2)])
    def test_is_no_clear(self, state: str, number: int, end: float) -> None:
        row = make_row(state, number, end_date=end)
        tries = [make_row("failed", 1), *([row] if number == 2 else [])]
        assert tell(settle(row, make_record(), tries, EDGE)) == [("ended", "1", "retried")]

    def test_is_no_clear_where_the_poll_saw_it_between(self) -> None:
        before = make_row("up_for_retry", 1, end_date=1020.6)
        row = make_row("success", 2, start_date=1030.0, end_date=1040.0)
        events = tell(settle(row, make_record(), [make_row("failed", 1), row], EDGE, before=before))
        assert events[0] == ("ended", "1", "retried")

    @pytest.mark.parametrize("end", [1019.0, 1025.3, 1031.0])
    def test_a_clear_lets_the_try_go_on_for_longer(self, end: float) -> None:
        row = make_row("up_for_retry", end_date=end)
        assert tell(settle(row, make_record(), [make_row("failed", 1)], EDGE)) == [("ended", "1", "cleared")]

    def test_that_hits_the_next_try_in_the_queue_is_an_outcome_and_no_try(self) -> None:
        first = observe(make_row("up_for_retry", max_tries=1), make_record(), EDGE)
        row = make_row("failed", 2, max_tries=1, end_date=1034.0)
        assert tell(observe(row, first.record, EDGE)) == [("outcome", "failed")]

    def test_a_retried_try_that_is_marked_failed_by_hand_reached_an_outcome(self) -> None:
        row = make_row("up_for_retry")
        finding = settle(row, make_record(), [make_row("failed", 1)], EDGE)
        assert tell(observe(make_row("failed", 1), finding.record, EDGE)) == [("outcome", "failed")]

    def test_a_record_of_an_older_release_is_read(self) -> None:
        old = msgspec.msgpack.encode(["d", "r", "t", -1, 1, "failed", 1, True, [1, "failed", 1020.0], 1020.0])
        record = msgspec.msgpack.decode(old, type=Record)
        assert record.limit is None
        assert not observe(make_row("failed"), record, EDGE).events


class TestTheTriesEndpoint:
    def test_is_asked_where_a_number_was_skipped(self) -> None:
        assert observe(make_running(3), make_record(number=1), EDGE).ask
        assert observe(make_running(2), None, EDGE).ask
        assert not observe(make_running(2), make_record("up_for_retry", 1, settled=1), EDGE).ask

    def test_a_try_that_failed_between_two_polls_was_retried(self) -> None:
        row = make_running(2)
        finding = settle(row, make_record(), [make_row("failed", 1), row], EDGE)
        assert tell(finding) == [("ended", "1", "retried")]
        assert finding.record is not None
        assert finding.record.settled == 1

    def test_a_success_that_was_cleared_at_once_is_an_outcome(self) -> None:
        row = make_running(2, max_tries=3)
        assert tell(settle(row, make_record(), [make_row("success", 1), row], EDGE)) == [
            ("ended", "1", "success"),
            ("outcome", "success"),
        ]

    def test_a_final_failure_that_was_cleared_is_told_by_max_tries(self) -> None:
        row = make_running(4, max_tries=5)
        finding = settle(row, make_record(number=3, settled=2), [make_row("failed", 3), row], EDGE)
        assert tell(finding) == [("ended", "3", "failed"), ("outcome", "failed")]

    def test_a_last_try_followed_by_another_with_the_same_limit_was_cleared_while_it_ran(self) -> None:
        row = make_running(4)
        finding = settle(row, make_record(number=3, settled=2), [make_row("failed", 3), row], EDGE)
        assert tell(finding) == [("ended", "3", "cleared")]

    def test_a_deferred_try_that_was_cleared_did_not_fail(self) -> None:
        row = make_running(2, max_tries=3)
        known = make_record("deferred", ran=True)
        assert tell(settle(row, known, [make_row("failed", 1), row], EDGE)) == [("ended", "1", "cleared")]

    @pytest.mark.parametrize("state", ["scheduled", "queued"])
    def test_a_rescheduled_try_that_was_cleared_while_it_waited_did_not_fail(self, state: str) -> None:
        row = make_running(2, max_tries=3)
        known = make_record(state, ran=True)
        assert tell(settle(row, known, [make_row("failed", 1, max_tries=0), row], EDGE)) == [("ended", "1", "cleared")]

    def test_a_try_with_tries_left_that_raised_max_tries_was_cleared_while_it_ran(self) -> None:
        row = make_running(2, max_tries=3)
        assert tell(settle(row, make_record(), [make_row("failed", 1), row], EDGE)) == [("ended", "1", "cleared")]

    def test_a_retry_of_airflow_2_is_worth_a_question_one_of_airflow_3_is_not(self) -> None:
        finding = observe(make_row("up_for_retry"), make_record(), EDGE)
        assert finding.doubt
        assert tell(finding) == [("ended", "1", "retried")]
        assert finding.record is not None
        assert not observe(make_row("up_for_retry"), finding.record, EDGE).doubt
        assert not observe(make_row("up_for_retry", uuid="018f"), make_record(), EDGE).doubt

    def test_a_retry_of_airflow_2_that_outlived_its_archived_copy_was_cleared_while_it_ran(self) -> None:
        row = make_row("up_for_retry", end_date=1024.0)
        cleared, retried = make_row("failed", 1, end_date=1020.0), make_row("failed", 1, end_date=1024.0)
        assert tell(settle(row, make_record(), [cleared], EDGE)) == [("ended", "1", "cleared")]
        assert tell(settle(row, make_record(), [retried], EDGE)) == [("ended", "1", "retried")]

    @pytest.mark.parametrize("state", ["scheduled", "queued"])
    def test_while_the_next_try_waits_airflow_2_still_shows_when_the_last_one_ended(self, state: str) -> None:
        row = make_row(state, 2, end_date=1024.0)
        cleared, retried = make_row("failed", 1, end_date=1020.0), make_row("failed", 1, end_date=1024.0)
        assert tell(settle(row, make_record(), [cleared, row], EDGE)) == [("ended", "1", "cleared")]
        assert tell(settle(row, make_record(), [retried, row], EDGE)) == [("ended", "1", "retried")]
        undated = make_row(state, 2, end_date=None)
        assert tell(settle(undated, make_record(), [retried, undated], EDGE)) == [("ended", "1", "retried")]

    def test_a_row_that_moved_on_while_the_poll_went_on_tells_as_it_was_found_first(self) -> None:
        row = make_row("success", 2, start_date=1030.0, end_date=1040.0)
        tries = [make_row("failed", 1), row]
        for state, fate in {"restarting": "cleared", "up_for_retry": "cleared", "running": "retried"}.items():
            before = make_row(state, 1, end_date=None if state == "running" else 1024.0)
            events = tell(settle(row, make_record(), tries, EDGE, before=before))
            assert events[0] == ("ended", "1", fate)

    def test_a_vanished_task_that_was_cleared_ended_first(self) -> None:
        cleared = make_row(None, 1, max_tries=3)
        assert tell(settle(None, make_record(), [make_row("success", 1), cleared], EDGE)) == [
            ("ended", "1", "success"),
            ("outcome", "success"),
        ]

    def test_a_doubtful_answer_is_left_to_the_next_poll(self) -> None:
        known = make_record()
        assert settle(None, known, [make_row("failed", 1)], EDGE) == Finding(known)

    def test_a_try_hidden_by_an_upstream_failure_with_its_number_is_told(self) -> None:
        row = make_row("upstream_failed", 1, end_date=1030.0, max_tries=3)
        finding = observe(row, make_record(), EDGE)
        assert finding.ask
        events = tell(settle(row, make_record(), [make_row("success", 1), row], EDGE))
        assert events == [("ended", "1", "success"), ("outcome", "success"), ("outcome", "upstream_failed")]

    def test_a_try_hidden_by_a_removed_row_that_bears_its_end_is_told(self) -> None:
        row = make_row("removed", 1, max_tries=3)
        assert observe(row, make_record(), EDGE).ask
        events = tell(settle(row, make_record(), [make_row("success", 1), row], EDGE))
        assert events == [("ended", "1", "success"), ("outcome", "success"), ("outcome", "removed")]

    def test_a_try_hidden_by_a_skip_that_looks_like_it_is_told(self) -> None:
        row = make_row("skipped", 1, start_date=1030.0, end_date=1030.0, max_tries=3)
        events = tell(settle(row, make_record(), [make_row("skipped", 1), row], EDGE))
        assert events == [("ended", "1", "skipped"), ("outcome", "skipped"), ("outcome", "skipped")]

    def test_a_retry_in_a_run_that_was_cleared_is_looked_up(self) -> None:
        row = make_row("up_for_retry", end_date=1024.0)
        assert observe(row, make_record(), EDGE, cleared=1020.1).ask
        assert not observe(row, make_record(), EDGE, cleared=900.0).ask
        events = tell(settle(row, make_record(), [make_row("failed", 1)], EDGE, cleared=1020.1))
        assert events == [("ended", "1", "cleared")]

    def test_tries_of_an_unknown_task_count_from_the_edge_on(self) -> None:
        old = make_row("failed", 1, start_date=890.0, end_date=900.0, queued_when=None, scheduled_when=None)
        row = make_row("success", 3, start_date=1025.0, end_date=1030.0)
        events = tell(settle(row, None, [old, make_row("failed", 2), row], EDGE))
        assert events == [("ended", "2", "retried"), ("ended", "3", "success"), ("outcome", "success")]

    def test_a_newer_row_than_the_poll_found_is_left_to_the_next_poll(self) -> None:
        finding = settle(make_running(2), make_record(), [make_row("failed", 1), make_row("failed", 2)], EDGE)
        assert tell(finding) == [("ended", "1", "retried")]


class TestDeletion:
    def test_a_try_that_history_has_lost_is_unaccounted(self) -> None:
        row = make_running(3)
        events = tell(settle(row, make_record(number=1), [make_row("failed", 2), row], EDGE))
        assert events == [("unaccounted", "not_in_history"), ("ended", "2", "retried")]

    def test_a_try_deleted_while_it_ran_is_unaccounted(self) -> None:
        assert settle_deleted(make_record()) == Finding(None, (Unaccounted("d", "t", "deleted"),))

    def test_a_deleted_task_that_waited_says_nothing(self) -> None:
        assert settle_deleted(make_record("queued", 2, settled=1)) == Finding(None)
