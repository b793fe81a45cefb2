"""Ledgers: every change is counted once, folded where there is no room, and born at zero."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.family import OTHER, Family, Kind, Labels
from exporter.metrics.reading import Change
from exporter.store.ledger import Ledger, LedgerRow, fold

TRIES = Family("airflow_task_tries_total", Kind.COUNTER, "Tries that ran", ("dag_id", "task_id"), cap=10)
FINISHED = Family(
    "airflow_task_instances_finished_total",
    Kind.COUNTER,
    "Outcomes",
    ("dag_id", "task_id", "state"),
    closed={"state": ("success", "failed")},
    cap=10,
)
REASONS = Family(
    "airflow_task_wait_unobservable_total", Kind.COUNTER, "Waits", ("reason",), closed={"reason": ("late", "unknown")}
)
POLLS = Family("airflow_polls_total", Kind.COUNTER, "Polls")
DURATION = Family(
    "airflow_task_duration_seconds", Kind.HISTOGRAM, "How long a try ran", ("dag_id",), buckets=(1.0, 60.0)
)
FAMILIES = (TRIES, FINISHED, REASONS, POLLS, DURATION)


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def count(ledger: Ledger, *changes: Change) -> list[LedgerRow]:
    """One whole cycle; returns what a state file would have been given."""
    staged = ledger.stage(changes)
    rows = ledger.rows(staged)
    ledger.publish(staged)
    return rows


def expose(ledger: Ledger, clock: Clock) -> None:
    """A scrape, as far as a ledger notices."""
    for table in ledger.tables.values():
        for series in table.series:
            if not series.revealed:
                series.exposed_at = series.exposed_at or clock.now


def cells(ledger: Ledger, family: Family) -> dict[Labels, list[float]]:
    return {series.labels: series.cells for series in ledger.tables[family].series}


def exposed(ledger: Ledger, family: Family, labels: Labels) -> float | None:
    series = ledger.series(family, labels)
    return None if series is None else series.cells[-1] if series.revealed else 0


# ---- counting -------------------------------------------------------------------------------------


def test_a_counter_adds_up() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(TRIES, ("etl", "load")), Change(TRIES, ("etl", "load"), 2))
    count(ledger, Change(TRIES, ("etl", "load"), 0.5), Change(TRIES, ("etl", "extract")))
    assert cells(ledger, TRIES) == {("etl", "load"): [3.5], ("etl", "extract"): [1]}


def test_a_histogram_counts_a_value_in_the_first_bucket_that_holds_it() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, *(Change(DURATION, ("etl",), seconds) for seconds in (0.0, 1.0, 1.5, 60.0, 61.0)))
    assert cells(ledger, DURATION) == {("etl",): [2, 2, 1, 123.5]}


def test_counts_stay_integers() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(POLLS, ()), Change(POLLS, (), 1.0), Change(DURATION, ("etl",), 2.0))
    assert repr(cells(ledger, POLLS)) == "{(): [2]}"
    assert repr(cells(ledger, DURATION)) == "{('etl',): [0, 1, 0, 2]}"


def test_what_is_too_large_to_be_exact_is_a_float() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(POLLS, (), 1e300), Change(POLLS, (), 1e300))
    assert repr(cells(ledger, POLLS)) == "{(): [2e+300]}"


@pytest.mark.parametrize("value", [-1, -0.001, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("family", "labels"), [(POLLS, ()), (DURATION, ("etl",))])
def test_what_could_not_be_taken_back_is_refused_and_counted(family: Family, labels: Labels, value: float) -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(family, labels, value), Change(POLLS, ()))
    assert ledger.refused == {family: 1}
    assert cells(ledger, DURATION) == {}
    assert cells(ledger, POLLS) == {(): [1]}


def test_labels_that_do_not_fit_are_an_error_and_nothing_changes() -> None:
    ledger = Ledger(FAMILIES)
    with pytest.raises(ValueError, match="has 2 labels, not 1"):
        ledger.stage([Change(POLLS, ()), Change(TRIES, ("etl",))])
    assert cells(ledger, POLLS) == {}


def test_labels_that_are_no_valid_unicode_meet_in_one_series() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(DURATION, ("caf\udce9",), 0), Change(DURATION, ("caf\udce8",), 0))
    count(ledger, Change(DURATION, ("caf\udce9",), 0))
    assert cells(ledger, DURATION) == {("caf?",): [3, 0, 0, 0]}


def test_what_is_staged_is_not_exposed_until_it_is_published() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(POLLS, ()))
    ledger.stage([Change(POLLS, ()), Change(TRIES, ("etl", "load"))])
    assert cells(ledger, POLLS) == {(): [1]}
    assert cells(ledger, TRIES) == {}


def test_what_was_staged_and_given_up_leaves_no_trace() -> None:
    ledger = Ledger([TRIES], cap=lambda family: 1)
    changes = [Change(TRIES, ("etl", "load")), Change(TRIES, ("etl", "extract")), Change(TRIES, ("a", "b"), -1)]
    ledger.stage(changes)
    count(ledger, *changes)
    assert cells(ledger, TRIES) == {("etl", "load"): [1], ("etl", OTHER): [1]}
    assert (ledger.folded, ledger.refused) == ({TRIES: 1}, {TRIES: 1})


# ---- what the state file is given -----------------------------------------------------------------


def test_only_series_that_change_are_written() -> None:
    ledger = Ledger(FAMILIES)
    count(ledger, Change(POLLS, ()), Change(REASONS, ("late",)))
    (row,) = count(ledger, Change(POLLS, ()))
    assert (row.family, row.labels, row.cells, row.revealed) == ("airflow_polls_total", (), [2], False)
    assert count(ledger) == []


def test_what_was_written_is_restored() -> None:
    before, after = Ledger(FAMILIES), Ledger(FAMILIES)
    rows = count(before, Change(POLLS, (), 5), Change(DURATION, ("etl",), 2.5))
    assert after.restore(rows) == 0
    assert cells(after, POLLS) == cells(before, POLLS)
    assert cells(after, DURATION) == cells(before, DURATION)


def test_rows_of_a_family_that_is_gone_are_left_alone_and_counted() -> None:
    rows = count(Ledger(FAMILIES), Change(POLLS, ()), Change(REASONS, ("late",)))
    assert Ledger([REASONS]).restore(rows) == 1


@pytest.mark.parametrize(
    "now",
    [
        Family(DURATION.name, Kind.HISTOGRAM, "Other buckets", ("dag_id",), buckets=(10.0, 600.0)),
        Family(DURATION.name, Kind.HISTOGRAM, "One bucket more", ("dag_id",), buckets=(1.0, 60.0, 600.0)),
        Family(DURATION.name, Kind.HISTOGRAM, "Another label", ("pool",), buckets=(1.0, 60.0)),
        Family(DURATION.name, Kind.HISTOGRAM, "A label more", ("dag_id", "pool"), buckets=(1.0, 60.0)),
        Family(DURATION.name, Kind.GAUGE, "Another kind", ("dag_id",)),
    ],
    ids=lambda family: family.help,
)
def test_cells_that_meant_something_else_are_not_carried_on(now: Family) -> None:
    rows = count(Ledger([DURATION]), Change(DURATION, ("etl",), 2.5))
    ledger = Ledger([now])
    assert ledger.restore(rows) == 1
    assert cells(ledger, now) == {}


def test_buckets_that_the_configuration_overrides_are_part_of_the_meaning() -> None:
    rows = count(Ledger([DURATION]), Change(DURATION, ("etl",), 2.5))
    assert Ledger([DURATION], buckets={DURATION: (1, 60)}).restore(rows) == 0
    assert Ledger([DURATION], buckets={DURATION: (10.0, 600.0)}).restore(rows) == 1


def test_help_may_change() -> None:
    rows = count(Ledger([POLLS]), Change(POLLS, ()))
    assert Ledger([Family(POLLS.name, Kind.COUNTER, "Better words")]).restore(rows) == 0


# ---- born at zero ---------------------------------------------------------------------------------


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(clock: Clock) -> Ledger:
    return Ledger(FAMILIES, clock=clock, birth_hold=30.0)


def test_a_series_is_zero_until_its_zero_was_exposed_for_long_enough_and_that_was_recorded(
    ledger: Ledger, clock: Clock
) -> None:
    count(ledger, Change(POLLS, ()))
    clock.now += 1000
    count(ledger)
    assert exposed(ledger, POLLS, ()) == 0
    expose(ledger, clock)
    clock.now += 29.9
    assert count(ledger) == []
    assert exposed(ledger, POLLS, ()) == 0
    clock.now += 0.1
    (row,) = count(ledger)
    assert row.revealed
    assert exposed(ledger, POLLS, ()) == 1


def test_a_series_that_is_shown_shows_every_change_at_once(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(POLLS, ()))
    expose(ledger, clock)
    clock.now += 30
    count(ledger)
    (row,) = count(ledger, Change(POLLS, (), 5))
    assert row.revealed
    assert exposed(ledger, POLLS, ()) == 6


def test_what_changes_in_the_cycle_that_shows_it_is_shown_with_it(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(POLLS, ()))
    expose(ledger, clock)
    clock.now += 30
    (row,) = count(ledger, Change(POLLS, ()))
    assert (row.cells, row.revealed) == ([2], True)
    assert exposed(ledger, POLLS, ()) == 2


def test_a_commit_that_failed_shows_nothing(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(POLLS, ()))
    expose(ledger, clock)
    clock.now += 30
    ledger.stage([])
    assert exposed(ledger, POLLS, ()) == 0
    (row,) = count(ledger)
    assert row.revealed


def test_a_series_is_born_at_zero_again_where_a_crash_came_before_it_was_shown(ledger: Ledger, clock: Clock) -> None:
    rows = count(ledger, Change(POLLS, ()))
    expose(ledger, clock)
    restarted = Ledger(FAMILIES, clock=clock)
    restarted.restore(rows)
    assert exposed(restarted, POLLS, ()) == 0
    clock.now += 1000
    assert count(restarted) == []


def test_a_series_shows_its_value_after_a_crash_that_came_after_the_commit(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(POLLS, ()))
    expose(ledger, clock)
    clock.now += 30
    rows = ledger.rows(ledger.stage([]))
    restarted = Ledger(FAMILIES, clock=clock)
    restarted.restore(rows)
    assert exposed(restarted, POLLS, ()) == 1


def test_a_seeded_series_exists_from_the_start_and_is_born_at_zero_too(ledger: Ledger, clock: Clock) -> None:
    ledger.seed(DURATION, ("etl",))
    ledger.seed(DURATION, ("etl",))
    assert cells(ledger, DURATION) == {("etl",): [0, 0, 0, 0]}
    count(ledger, Change(DURATION, ("etl",), 5))
    assert exposed(ledger, DURATION, ("etl",)) == 0


def test_families_of_closed_labels_only_are_seeded_whole(ledger: Ledger) -> None:
    ledger.seed_closed()
    assert cells(ledger, REASONS) == {("late",): [0], ("unknown",): [0]}
    assert cells(ledger, FINISHED) == {}


@pytest.mark.parametrize("revealed", [False, True])
def test_a_series_that_was_seeded_before_it_was_restored_is_one_series(revealed: bool) -> None:
    rows = [row._replace(revealed=revealed) for row in count(Ledger(FAMILIES), Change(REASONS, ("late",), 7))]
    ledger = Ledger(FAMILIES)
    ledger.seed_closed()
    ledger.restore(rows)
    assert cells(ledger, REASONS) == {("late",): [7], ("unknown",): [0]}
    assert exposed(ledger, REASONS, ("late",)) == (7 if revealed else 0)


# ---- caps -----------------------------------------------------------------------------------------


def test_over_the_cap_labels_fold_from_the_right(ledger: Ledger) -> None:
    count(ledger, *(Change(TRIES, ("etl", f"task_{number}")) for number in range(10)))
    count(ledger, Change(TRIES, ("etl", "one_more")), Change(TRIES, ("etl", "and_more"), 2))
    assert cells(ledger, TRIES)["etl", OTHER] == [3]
    assert ledger.folded == {TRIES: 2}


def test_where_no_room_is_left_for_the_folded_either_everything_folds(ledger: Ledger) -> None:
    count(ledger, *(Change(TRIES, ("etl", f"task_{number}")) for number in range(10)))
    count(ledger, *(Change(TRIES, (f"dag_{number}", "load")) for number in range(5)))
    assert cells(ledger, TRIES)["dag_0", OTHER] == [1]
    assert cells(ledger, TRIES)[OTHER, OTHER] == [4]


def test_a_closed_label_keeps_its_value_when_the_others_fold(ledger: Ledger) -> None:
    count(ledger, *(Change(FINISHED, ("etl", f"task_{number}", "success")) for number in range(10)))
    count(ledger, *(Change(FINISHED, (dag_id, "load", "failed")) for dag_id in ("etl", "a", "b")))
    assert cells(ledger, FINISHED)["etl", OTHER, "failed"] == [1]
    assert cells(ledger, FINISHED)[OTHER, OTHER, "failed"] == [2]


def test_what_has_its_series_already_is_counted_there_whatever_the_cap(ledger: Ledger) -> None:
    count(ledger, *(Change(TRIES, ("etl", f"task_{number}")) for number in range(11)))
    count(ledger, Change(TRIES, ("etl", "task_3")))
    assert cells(ledger, TRIES)["etl", "task_3"] == [2]


def test_one_cycle_with_more_than_the_cap_is_folded_like_several(clock: Clock) -> None:
    at_once, one_by_one = Ledger(FAMILIES, clock=clock), Ledger(FAMILIES, clock=clock)
    changes = [Change(TRIES, (f"dag_{number % 7}", f"task_{number % 5}")) for number in range(35)]
    count(at_once, *changes)
    for change in changes:
        count(one_by_one, change)
    assert cells(at_once, TRIES) == cells(one_by_one, TRIES)
    assert at_once.folded == one_by_one.folded


def test_a_family_without_labels_has_nothing_to_fold() -> None:
    ledger = Ledger([POLLS], cap=lambda family: 0)
    count(ledger, Change(POLLS, ()))
    assert cells(ledger, POLLS) == {(): [1]}


@given(st.lists(st.tuples(st.sampled_from("abcdefg"), st.sampled_from("tuvwxyz")), max_size=120))
def test_folding_loses_nothing_and_keeps_the_family_within_its_room(wanted: list[tuple[str, str]]) -> None:
    ledger = Ledger([TRIES])
    count(ledger, *(Change(TRIES, labels) for labels in wanted))
    found = cells(ledger, TRIES)
    assert sum(value for (value,) in found.values()) == len(wanted)
    assert len(found) <= TRIES.cap * 1.1 + 1


# ---- forgetting -----------------------------------------------------------------------------------


def test_forgotten_series_are_gone_and_named_for_the_commit(ledger: Ledger) -> None:
    count(ledger, Change(TRIES, ("old", "load")), Change(TRIES, ("etl", "load")))
    assert ledger.forget(TRIES, lambda labels: labels[0] == "old") == [("old", "load")]
    assert cells(ledger, TRIES) == {("etl", "load"): [1]}
    assert ledger.forget(TRIES, lambda labels: labels[0] == "old") == []


def test_a_scrape_under_way_keeps_the_list_it_has(ledger: Ledger) -> None:
    count(ledger, Change(TRIES, ("old", "load")))
    held = ledger.tables[TRIES].series
    ledger.forget(TRIES, lambda labels: True)
    assert [series.labels for series in held] == [("old", "load")]


def test_a_series_forgotten_while_it_was_hidden_never_comes_back(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(TRIES, ("old", "load")), Change(TRIES, ("etl", "load")))
    expose(ledger, clock)
    ledger.forget(TRIES, lambda labels: labels[0] == "old")
    clock.now += 30
    assert [row.labels for row in count(ledger)] == [("etl", "load")]


def test_what_comes_back_after_it_was_forgotten_begins_at_zero(ledger: Ledger, clock: Clock) -> None:
    count(ledger, Change(TRIES, ("etl", "load"), 9))
    expose(ledger, clock)
    clock.now += 30
    count(ledger)
    ledger.forget(TRIES, lambda labels: True)
    count(ledger, Change(TRIES, ("etl", "load")))
    assert cells(ledger, TRIES) == {("etl", "load"): [1]}
    assert exposed(ledger, TRIES, ("etl", "load")) == 0


# ---- against a plain model ------------------------------------------------------------------------

OBSERVATIONS = st.lists(st.floats(0, 1e6), max_size=30)


@given(batches=st.lists(st.tuples(OBSERVATIONS, st.booleans()), max_size=8))
def test_a_histogram_equals_its_observations_whatever_was_given_up_or_restored(
    batches: list[tuple[list[float], bool]],
) -> None:
    ledger = Ledger([DURATION])
    file: dict[Labels, LedgerRow] = {}
    seen: list[float] = []
    for observations, given_up in batches:
        staged = ledger.stage(Change(DURATION, ("etl",), value) for value in observations)
        if given_up:
            ledger = Ledger([DURATION])
            ledger.restore(file.values())
            continue
        file.update({row.labels: row for row in ledger.rows(staged)})
        ledger.publish(staged)
        seen += observations
    *counts, total = cells(ledger, DURATION).get(("etl",), [0, 0, 0, 0])
    limits = (-math.inf, 1.0, 60.0, math.inf)
    assert counts == [sum(low < value <= high for value in seen) for low, high in pairwise(limits)]
    assert total == pytest.approx(math.fsum(seen))


def test_a_team_folds_last_because_there_are_few() -> None:
    family = Family("airflow_starts_total", Kind.COUNTER, "Starts", ("dag_id", "team"))
    assert list(fold(family, ("etl", "red"))) == [(OTHER, "red"), (OTHER, OTHER)]
