"""Compiles actions: from a resolution to what is done for each value, with the series found or created.

What does not depend on labels is prepared once per plan (airflow_names/plans.py), so that a name that differs from
others only in its ids costs little more than its series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.metrics.family import MAPPED, Family, Kind, Labels
from exporter.sources.statsd.model import MAPPED_DROPS, Action, LineShape, MetricType, Resolution, Target

MAX_TEMPLATES = 2_000
"""Action templates that are cached, one per plan and sample rate."""
MAX_HISTOGRAM_SPECS = 1_000
"""Histogram specs that are shared."""
MAX_EXACT_INT = 2**53
"""Integers up to here are exact as floats."""
MAX_SAFE_SCALE = 1e100
"""Up to here a scale, or what is added after it, cannot make what the warm path adds infinite."""
MAX_FINITE_VALUE = 1e300
MAX_FINITE_SCALE = 1e8
"""MAX_FINITE_VALUE times MAX_FINITE_SCALE is still finite."""


class Cell(Protocol):
    """What is changed of a series. One that was removed has a negative `exposed_at`."""

    value: float | list[float]
    exposed_at: float


class Tables(Protocol):
    """The live tables (exporter/store/live_tables.py), which take back the series that they found."""

    def get_or_create(self, family: Family, labels: Labels) -> Cell | None: ...
    def bounds(self, family: Family) -> tuple[float, ...]: ...
    def set(self, family: Family, series: Any, sender: bytes, value: float, *, relative: bool) -> bool: ...  # noqa: ANN401
    def observe(self, series: Any, value: float, weight: float) -> bool: ...  # noqa: ANN401
    def touch(self, family: Family, series: Any) -> None: ...  # noqa: ANN401
    def sweep(self) -> bool: ...
    def pop_expired_families(self) -> list[Family]: ...
    @property
    def clock(self) -> Callable[[], float]: ...
    def respell(self, spell: Callable[[tuple[str, ...], Labels], Labels]) -> None: ...


class SeriesUpdate(NamedTuple):
    """One series that a signature updates, with what one value does to it."""

    family: Family
    action: Action
    series: Cell
    scale: float
    plus: float
    weight: float
    bounds: tuple[float, ...]


# Plain tuples from here on: Python takes them apart twice as fast as named ones.
CounterUpdate = tuple[Any, float, float]
"""A counter, `scale` and `plus`: it grows by value * scale + plus."""
HistogramSpec = tuple[tuple[float, ...], float, float, float]
"""How values are counted in a histogram's cells: its bounds, `scale`, `plus` and `weight`. What is observed is
value * scale + plus, `weight` times.
"""
CompiledAction = tuple[
    list[int], Any, list[float] | None, HistogramSpec | None, Sequence[CounterUpdate], Sequence[SeriesUpdate], Any
]
"""What lines with one key do: `hits, counter, cells, histogram_spec, counters, updates, gauge`.

There is one for every series, so it has as few objects as possible. `hits` counts the lines; all actions of one type
and one drop reason share it. Series that never expire are changed in place: `counter` grows by the value itself,
`cells` are the buckets and the sum of a histogram that observes it by `histogram_spec`, `counters` are further
counters. `updates` are all other series: gauges, summaries, series that may expire, a second histogram. `gauge` is the
gauge in `updates` if there is nothing else in the action, and the gauge takes the value as it is.
"""


class ActionTemplate(NamedTuple):
    """How the series of a plan's targets form an action; numbers are positions among the targets."""

    hits: list[int]
    counter: int
    """The target that grows by the value as it is; -1 where there is none."""
    cells: int
    """The target that observes in a histogram; -1 where there is none."""
    histogram_spec: HistogramSpec | None
    counters: tuple[tuple[int, float, float], ...]
    updates: tuple[tuple[int, SeriesUpdate], ...]
    """What needs more; with the update as it was for the first series."""
    always_finite: bool
    """Every target takes every plain number up to MAX_FINITE_VALUE."""
    plain_gauge: bool
    """The only target is a gauge of the catalogue that takes values as they are."""


class CompileResult(NamedTuple):
    """The result of compiling a resolution."""

    action: CompiledAction | None
    """None if no target has a series."""
    drop: str = ""
    """Why a target that would take the value has no series, one of DROP_REASONS."""
    rejected: tuple[str, ...] = ()
    """Why targets do not take the value, one of REJECT_REASONS for each that does not."""


class Compiler:
    """Compiles resolutions to actions. A series is created only for a value that counts in it."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.hits: dict[tuple[MetricType, str], list[int]] = {}
        """Events by type and drop reason. All actions with the same type and reason share one counter."""
        self._templates: dict[tuple[Any, MetricType, float], ActionTemplate] = {}
        self._histogram_specs: dict[HistogramSpec, HistogramSpec] = {}

    def clear(self) -> None:
        """Forget the templates, because buckets may have changed."""
        self._templates.clear()

    def get_hits(self, kind: MetricType, drop: str) -> list[int]:
        """The counter of events with that type and drop reason."""
        return self.hits.setdefault((kind, drop), [0])

    def compile(self, kind: MetricType, found: Resolution, value: float, rate: float) -> CompileResult:
        """Find or create the series of every target that accepts the value."""
        if found.plan is not None and found.claim is None:
            template = self._templates.get((found.plan, kind, rate))
            if template and template.always_finite and 0 <= value < MAX_FINITE_VALUE:
                series = [self._get_series(target.family, target.labels) for target in found.targets]
                action = self._fill(template, kind, series)
                return CompileResult(None, action) if isinstance(action, str) else CompileResult(action)
        return self._compile_slowly(kind, found, value, rate)

    def compile_similar(self, shape: LineShape, ids: Sequence[str]) -> CompiledAction | str | None:
        """The action of a line of that shape with these ids, for any plain number; why it is dropped, if it is.

        None if no line of the shape was compiled before.
        """
        template = self._templates.get(shape.key)
        if template is None or not template.always_finite:
            return None
        cells = [*ids, *shape.constants] if shape.constants else ids
        series = [self._get_series(family, get_labels(cells)) for family, get_labels in shape.targets]
        return self._fill(template, shape.type, series)

    def _get_series(self, family: Family, labels: Labels) -> Cell | str:
        """The series of a target, or why it has none. To be called once for each line: a cap counts what it refuses."""
        try:
            series = self._tables.get_or_create(family, labels)
        except ValueError:
            return name_drop(family, "conflict")
        return name_drop(family, "capped") if series is None else series

    def _fill(self, template: ActionTemplate, kind: MetricType, series: Sequence[Cell | str]) -> CompiledAction | str:
        """The action of a template with the targets that have a series; why the first has none, if none has one."""
        drops = [one for one in series if isinstance(one, str)]
        if not drops:
            return build_action(template, series)
        if len(drops) == len(series):
            return drops[0]
        hits = self.get_hits(kind, drops[0]) if drops[0] in MAPPED_DROPS else template.hits
        return build_action(drop_targets(template._replace(hits=hits), series), series)

    def _compile_slowly(self, kind: MetricType, found: Resolution, value: float, rate: float) -> CompileResult:
        updates: list[SeriesUpdate] = []
        drops: list[str] = []
        rejected: list[str] = []
        for target in found.targets:
            refusal = check_value(target, value, 1.0 / rate)
            if refusal:
                rejected.append(refusal)
                continue
            series = self._get_series(target.family, target.labels)
            if isinstance(series, str):
                drops.append(series)
                continue
            updates.append(self._build_update(target, series, 1.0 / rate))
        drop = next(iter(drops), "")
        if not updates:
            hits = self.get_hits(kind, found.drop)
            return CompileResult(
                (hits, None, None, None, (), (), None) if rejected and not drop else None, drop, tuple(rejected)
            )
        if found.claim:
            found.claim()
        # The drop of a mapping file's target is that of the line: what feeds Airflow's names has no drop of its own.
        hits = self.get_hits(kind, drop if drop in MAPPED_DROPS else found.drop)
        template = self._build_template(hits, kind, updates)
        if found.plan is not None and len(updates) == len(found.targets):
            if len(self._templates) >= MAX_TEMPLATES:
                self._templates.clear()
            self._templates[found.plan, kind, rate] = template
        return CompileResult(build_action(template, [update.series for update in updates]), drop, tuple(rejected))

    def _build_template(self, hits: list[int], kind: MetricType, updates: Sequence[SeriesUpdate]) -> ActionTemplate:
        counter, cells, histogram_spec = -1, -1, None
        counters: list[tuple[int, float, float]] = []
        others: list[tuple[int, SeriesUpdate]] = []
        for place, update in enumerate(updates):
            modest = 0 <= update.scale <= MAX_SAFE_SCALE and 0 <= update.plus <= MAX_SAFE_SCALE
            simple = kind is not MetricType.GAUGE and not update.family.ttl and modest
            if simple and update.action is Action.ADD:
                if counter < 0 and (update.scale, update.plus) == (1, 0):
                    counter = place
                else:
                    counters.append((place, update.scale, update.plus))
            elif simple and update.action is Action.OBSERVE and update.bounds and cells < 0:
                cells, histogram_spec = place, self._share_spec(update)
            else:
                others.append((place, update))
        always_finite = all(
            0 <= update.scale <= MAX_FINITE_SCALE and 0 <= update.plus <= MAX_FINITE_SCALE for update in updates
        )
        plain_gauge = len(updates) == 1 and is_plain_gauge(updates[0])
        return ActionTemplate(
            hits, counter, cells, histogram_spec, tuple(counters), tuple(others), always_finite, plain_gauge
        )

    def _share_spec(self, update: SeriesUpdate) -> HistogramSpec:
        """The histogram spec of a series; equal specs share one object."""
        histogram_spec = update.bounds, update.scale, update.plus, update.weight
        if len(self._histogram_specs) >= MAX_HISTOGRAM_SPECS:
            self._histogram_specs.clear()
        return self._histogram_specs.setdefault(histogram_spec, histogram_spec)

    def _build_update(self, target: Target, series: Cell, events: float) -> SeriesUpdate:
        """The update of a series. A line stands for `events` events; an observation counts a whole number of times."""
        times = normalize_number(events) if target.action is Action.ADD else 1
        bounds = self._tables.bounds(target.family) if target.family.kind is Kind.HISTOGRAM else ()
        scale, plus = normalize_number(target.scale * times), normalize_number(target.plus * times)
        return SeriesUpdate(target.family, target.action, series, scale, plus, round(events), bounds)


def drop_targets(template: ActionTemplate, series: Sequence[Cell | str]) -> ActionTemplate:
    """The template without the targets that have no series."""
    missing = {place for place, one in enumerate(series) if isinstance(one, str)}
    return template._replace(
        counter=-1 if template.counter in missing else template.counter,
        cells=-1 if template.cells in missing else template.cells,
        counters=tuple(one for one in template.counters if one[0] not in missing),
        updates=tuple(one for one in template.updates if one[0] not in missing),
    )


def build_action(template: ActionTemplate, series: Sequence[Any]) -> CompiledAction:
    """The action of a template, with these series."""
    hits, counter, cells, histogram_spec, counters, updates, _, plain_gauge = template
    return (
        hits,
        series[counter] if counter >= 0 else None,
        series[cells].value if cells >= 0 else None,
        histogram_spec,
        tuple([(series[place], scale, plus) for place, scale, plus in counters]) if counters else (),
        tuple([SeriesUpdate._make((*one[:2], series[place], *one[3:])) for place, one in updates]) if updates else (),
        series[0] if plain_gauge else None,
    )


def is_plain_gauge(update: SeriesUpdate) -> bool:
    """Whether a gauge of the catalogue takes values as they are."""
    is_gauge = update.action is Action.SET and update.family.kind is Kind.GAUGE and update.family.declared
    return is_gauge and (update.scale, update.plus) == (1, 0)


def name_drop(family: Family, drop: str) -> str:
    """The drop reason; a family that a mapping file feeds beside Airflow's names has its own reasons."""
    return f"{MAPPED}_{drop}" if family.reader == MAPPED else drop


def check_value(target: Target, value: float, events: float) -> str:
    """Why a target rejects a value, one of REJECT_REASONS; empty if it does not. A line counts `events` times."""
    amount = value * target.scale + target.plus
    if target.action is Action.SET:
        # A gauge may be infinite if it is sent so, but not because of its scale.
        return "" if amount == value or math.isfinite(amount) else "overflow"
    if target.action is Action.ADD:
        amount = value * normalize_number(target.scale * normalize_number(events)) + normalize_number(
            target.plus * normalize_number(events)
        )
        if not amount >= 0:
            return "bad_value"
    return "" if math.isfinite(amount) else "overflow"


def has_removed_series(updates: Sequence[SeriesUpdate]) -> bool:
    """Whether a series among the updates was removed."""
    return any(update.series.exposed_at < 0 for update in updates)


def normalize_number(value: float) -> float:
    """The same number, as an int if it is whole: counts are exposed without a decimal point."""
    return int(value) if abs(value) < MAX_EXACT_INT and value == int(value) else value
