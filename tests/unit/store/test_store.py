"""The store holds the newest data of every source, family by family."""

from __future__ import annotations

import pytest

from exporter.metrics.family import Family, Kind, Labels
from exporter.store.store import FamilyTable, Series, Store

DAGS = Family("airflow_dags", Kind.GAUGE, "DAGs that Airflow knows", ("state",))
POOLS = Family("airflow_pool_slots", Kind.GAUGE, "Slots that the pool has", ("pool",), cap=2)
TRIES = Family("airflow_task_tries_total", Kind.COUNTER, "Tries that ran", ("dag_id",))
DURATION = Family("airflow_task_duration_seconds", Kind.HISTOGRAM, "How long a try ran", buckets=(1.0,))


class Clock:
    """Monotonic seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def values(store: Store, family: Family) -> dict[Labels, float]:
    tables = dict(store.walk()).get(family, [])
    return {series.labels: series.cells[0] for table in tables for series in table.series}


def series_of(store: Store, family: Family) -> dict[Labels, Series]:
    return {series.labels: series for _, tables in store.walk() for table in tables for series in table.series}


def test_publishing_replaces_the_whole_state_of_a_family() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): 3, ("paused",): 1}})
    store.publish({DAGS: {("active",): 4}})
    assert values(store, DAGS) == {("active",): 4}


def test_publishing_leaves_other_families_alone() -> None:
    store = Store([DAGS, POOLS])
    store.publish({DAGS: {("active",): 3}, POOLS: {("default_pool",): 128}})
    store.publish({DAGS: {("active",): 4}})
    assert values(store, POOLS) == {("default_pool",): 128}


def test_a_value_that_many_series_have_is_kept_once() -> None:
    store = Store([DAGS, TRIES])
    store.publish({DAGS: {(b"active".decode(),): 3}, TRIES: {(b"active".decode(),): 4}})
    (state,), (dag,) = (labels for family in (DAGS, TRIES) for labels in series_of(store, family))
    assert state is dag


def test_families_are_walked_in_the_order_in_which_they_were_declared() -> None:
    store = Store([DAGS, POOLS, TRIES])
    store.publish({TRIES: {("a",): 1}})
    store.publish({DAGS: {("active",): 1}})
    assert [family for family, _ in store.walk()] == [DAGS, TRIES]


def test_families_without_a_series_are_left_out() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {}})
    assert list(store.walk()) == []


def test_data_that_is_not_renewed_goes_when_it_expires() -> None:
    clock = Clock()
    store = Store([DAGS, POOLS], clock)
    store.publish({DAGS: {("active",): 3}}, expires=clock.now + 90)
    store.publish({POOLS: {("default_pool",): 128}})
    clock.now += 89.9
    assert values(store, DAGS) == {("active",): 3}
    clock.now += 0.1
    assert values(store, DAGS) == {}
    assert values(store, POOLS) == {("default_pool",): 128}


def test_withdrawn_families_are_gone_at_once() -> None:
    store = Store([DAGS, POOLS])
    store.publish({DAGS: {("active",): 3}, POOLS: {("default_pool",): 128}})
    store.withdraw([DAGS])
    assert store.count() == {POOLS: 1}


def test_scopes_stand_beside_one_another() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): 3}}, scope=(("airflow", "prod"),))
    store.publish({DAGS: {("active",): 5}}, scope=(("airflow", "test"),))
    ((_, tables),) = store.walk()
    assert [(table.scope, table.series[0].cells) for table in tables] == [
        ((("airflow", "prod"),), [3]),
        ((("airflow", "test"),), [5]),
    ]
    store.withdraw([DAGS], scope=(("airflow", "prod"),))
    assert store.count() == {DAGS: 1}


def test_a_live_table_shows_what_its_owner_does_to_it() -> None:
    store = Store([TRIES])
    table = FamilyTable(TRIES, [])
    store.attach(table)
    assert store.count() == {}
    table.series.append(Series(("a",), [7]))
    assert values(store, TRIES) == {("a",): 7}


@pytest.mark.parametrize(("cells", "value"), [([7], 7), ([1, 0, 2.5], [1, 0, 2.5])])
def test_cells_are_another_view_of_a_series_value(cells: list[float], value: float | list[float]) -> None:
    series = Series((), cells)
    assert series.value == value
    series.cells = [2 * each for each in cells]
    assert series.cells == [2 * each for each in cells]


# ---- what does not fit ----------------------------------------------------------------------------


def test_over_the_cap_series_are_refused_and_counted_the_same_ones_each_time() -> None:
    store = Store([POOLS])
    store.publish({POOLS: {("c",): 3, ("a",): 1, ("b",): 2}})
    store.publish({POOLS: {("b",): 2, ("c",): 3, ("a",): 1}})
    assert values(store, POOLS) == {("a",): 1, ("b",): 2}
    assert store.dropped == {POOLS: 2}


def test_caps_can_be_overridden() -> None:
    store = Store([POOLS])
    store.set_caps({POOLS: 3})
    store.publish({POOLS: {("c",): 3, ("a",): 1, ("b",): 2}})
    assert store.count() == {POOLS: 3}
    assert store.dropped == {}


@pytest.mark.parametrize(
    ("labels", "value", "error"),
    [
        ((), 1.0, "has 1 labels, not 0"),
        (("a", "b"), 1.0, "has 1 labels, not 2"),
        ((None,), 1.0, "NoneType"),
        (("a",), None, "NoneType"),
        (("a",), "1", "str"),
        (("a",), 10**400, "beyond every float"),
    ],
)
def test_what_does_not_fit_a_family_is_refused_and_nothing_is_replaced(
    labels: Labels, value: float, error: str
) -> None:
    store = Store([DAGS, POOLS])
    store.publish({DAGS: {("active",): 3}})
    with pytest.raises((ValueError, TypeError), match=error):
        store.publish({DAGS: {("active",): 4}, POOLS: {labels: value}})
    assert values(store, DAGS) == {("active",): 3}


def test_a_histogram_cannot_be_published_as_state() -> None:
    with pytest.raises(ValueError, match="it needs a live table"):
        Store([DURATION]).publish({DURATION: {(): 1.0}})


def test_truth_values_become_numbers() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): True}})
    assert repr(values(store, DAGS)[("active",)]) == "1"


def test_labels_that_are_no_valid_unicode_are_made_so() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("caf\udce9",): 1}})
    assert values(store, DAGS) == {("caf?",): 1}


# ---- what is kept between two readings ------------------------------------------------------------


def test_a_series_that_says_the_same_stays_the_same() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): 3, ("paused",): 1}})
    before = series_of(store, DAGS)
    store.publish({DAGS: {("active",): 3, ("paused",): 2}})
    after = series_of(store, DAGS)
    assert after[("active",)] is before[("active",)]
    assert after[("paused",)] is not before[("paused",)]


def test_a_rendering_under_way_never_sees_newer_values_in_an_older_table() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): 3}})
    ((_, (old,)),) = store.walk()
    store.publish({DAGS: {("active",): 4}})
    assert [series.cells for series in old.series] == [[3]]


def test_the_kept_text_moves_on_but_not_what_it_said() -> None:
    store = Store([DAGS])
    store.publish({DAGS: {("active",): 3}})
    (series,) = series_of(store, DAGS).values()
    series.text, series.rendered_value = b'{state="active"} 3\n', 3
    store.publish({DAGS: {("active",): 4}})
    (series,) = series_of(store, DAGS).values()
    assert series.text == b'{state="active"} 3\n'
    assert series.rendered_value is None


# ---- families that come at run time ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("airflow_dags", Kind.GAUGE),
        ("airflow_task_tries_total", Kind.COUNTER),
        ("airflow_task_tries", Kind.GAUGE),
        ("airflow_task_duration_seconds", Kind.GAUGE),
        ("airflow_task_duration_seconds_sum", Kind.GAUGE),
        ("airflow_task_duration_seconds_count", Kind.GAUGE),
        ("airflow_task_duration_seconds_bucket", Kind.GAUGE),
    ],
)
def test_a_name_that_is_taken_cannot_be_registered(name: str, kind: Kind) -> None:
    store = Store([DAGS, TRIES, DURATION])
    with pytest.raises(ValueError, match="is already used by another family"):
        store.register(Family(name, kind, "Something of a user's own"))


def test_a_histogram_cannot_take_the_name_of_a_gauge_as_its_sum() -> None:
    store = Store([Family("airflow_custom_load_sum", Kind.GAUGE, "Something of a user's own")])
    with pytest.raises(ValueError, match="is already used"):
        store.register(Family("airflow_custom_load", Kind.HISTOGRAM, "Load", buckets=(1.0,)))


def test_a_registered_family_is_held_like_any_other_and_registering_again_is_no_harm() -> None:
    own = Family("airflow_custom_rows", Kind.GAUGE, "Something of a user's own")
    store = Store([DAGS])
    store.register(own)
    store.publish({own: {(): 5}})
    store.register(own)
    assert values(store, own) == {(): 5}
