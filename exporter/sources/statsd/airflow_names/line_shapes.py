"""Lines that differ from an earlier one only in their ids and their value: their ids, and what becomes of them.

Airflow sends new names all the time, and nearly all are like others: only the values of their tags differ, or the ids
in their legacy name. Where these stand, and what they feed, is worked out for the first name and used for the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from exporter.sources.statsd.airflow_names.custom import MAX_VALUE_LENGTH
from exporter.sources.statsd.airflow_names.event import Event
from exporter.sources.statsd.airflow_names.id_split import IdSplitter
from exporter.sources.statsd.airflow_names.lookup import EventLookup, LegacyName
from exporter.sources.statsd.airflow_names.name_tree import Node, build_name_tree
from exporter.sources.statsd.airflow_names.plans import EventPlan, PlannedTarget
from exporter.sources.statsd.airflow_names.prefixes import PrefixDetector
from exporter.sources.statsd.airflow_names.targets import TAG_NAMES
from exporter.sources.statsd.label_getter import GetLabels, build_label_getter
from exporter.sources.statsd.model import CLIENTS, RETRIABLE_DROPS, KeyParts, LineShape, Signature, SimilarLine

MAX_LAYOUTS = 2_000
"""Layouts that are remembered, of names with tags and of legacy names."""
MAX_STATES = 50
"""Values of `state` for which a layout remembers what becomes of the event."""
UNSHARED_DROPS = frozenset({*RETRIABLE_DROPS, "unmapped"})
"""Drop reasons of lines that are resolved each by itself: they may count soon, or their names are listed."""
SEPARATORS = {dialect: separator for separator, dialect in CLIENTS.items()}

Found = TypeVar("Found")


class StreamState(NamedTuple):
    """What is known about the stream as a whole and matters for ids. Plans are valid for one revision."""

    revision: int
    old: bool
    """Whether Airflow 2 sends."""
    dots_escaped: bool
    """Whether dots in ids may be sent as two underscores."""


class Layout:
    """Where the ids of a name are, and what becomes of the name in each state."""

    __slots__ = ("_positions", "dag_id", "shapes", "state", "text")

    def __init__(self, event: Event, positions: Mapping[str, int], text: str = "") -> None:
        self._positions = positions
        self.dag_id = positions.get("dag_id", -1)
        """The position of the DAG's id; -1 if there is none."""
        self.state = positions.get("state", -1) if event.by_state else -1
        """The position of the state; -1 if what becomes of the name does not depend on it."""
        self.text = text
        """The text of the tags, with `%s` for each value."""
        self.shapes: dict[str, LineShape] = {}
        """What becomes of the name, by its state, or under an empty text."""

    def add(self, ids: Sequence[str], signature: Signature, plan: EventPlan) -> None:
        """Remember what becomes of the name in the state among these ids."""
        if len(self.shapes) >= MAX_STATES:
            return
        constants: list[str] = []
        get_labels = [self._place(target, len(ids), constants) for target in plan.targets]
        state = ids[self.state] if self.state >= 0 else ""
        self.shapes[state] = LineShape(signature, plan.resolve({}), get_labels, constants)

    def _place(self, target: PlannedTarget, count: int, constants: list[str]) -> GetLabels:
        """A function that picks the labels of a target from the ids, followed by the constants."""
        places = []
        for variable, default in target.labels:
            place = self._positions.get(variable)
            if place is None:
                place = count + len(constants)
                constants.append(default)
            places.append(place)
        return build_label_getter(places)


class LegacyShapes:
    """What becomes of one legacy name, sent as one type: a twin whatever its ids are, or by the number of its ids."""

    __slots__ = ("layouts", "twin")

    def __init__(self) -> None:
        self.twin: LineShape | None = None
        self.layouts: dict[int, Layout] = {}


class LineShapes:
    """The shapes of the lines so far; to be cleared when a plan may no longer be valid."""

    def __init__(self, lookup: EventLookup, prefixes: PrefixDetector, ids: IdSplitter) -> None:
        self._lookup = lookup
        self._prefixes = prefixes
        self._ids = ids
        self._tagged: dict[tuple[Hashable, ...], Layout] = {}
        self._legacy: dict[tuple[Hashable, ...], LegacyShapes] = {}
        self._tree = Node()
        self._tree_prefixes: tuple[str, ...] = ()

    def clear(self) -> None:
        """Forget all shapes."""
        self._tagged.clear()
        self._legacy.clear()

    def find(self, key: KeyParts, state: StreamState) -> SimilarLine | None:
        """The shape of a line, and its ids; None if there was no line like it. Its DAG's id is learned."""
        kind, rate, name, separator, text = key
        if len(name) + len(text) > MAX_VALUE_LENGTH:
            return None
        if separator:
            parts = text.replace(",", separator).split(separator)
            layout = self._tagged.get((kind, rate, name, separator, *parts[::2]))
            # A separator in a value would make another text of these keys and values.
            if layout is not None and len(parts) % 2 == 0 and layout.text % (values := tuple(parts[1::2])) == text:
                if layout.dag_id >= 0 and (state.old or "__" in text):
                    self._ids.learn_tag(values[layout.dag_id], old=state.old)
                shape = layout.shapes.get(values[layout.state] if layout.state >= 0 else "")
                return (shape, values) if shape else None
        return self._find_legacy(key, state)

    def _find_legacy(self, key: KeyParts, state: StreamState) -> SimilarLine | None:
        kind, rate, name, separator, _ = key
        parts = name.split(".")
        found = self._tree.find(parts)
        if found is None:
            return None
        legacy, start, suffix = found
        known = self._legacy.get((legacy, kind, rate, separator))
        ids = parts[start:-1] if suffix else parts[start:]
        if known is None or "" in ids:
            return None
        if known.twin is not None:
            return known.twin, ()
        layout = known.layouts.get(len(ids))
        if layout is None or (state.dots_escaped and "__" in name):
            return None
        if legacy.only_dag:
            self._ids.learn(ids[0])
        shape = layout.shapes.get(ids[layout.state] if layout.state >= 0 else "")
        return (shape, ids) if shape else None

    def add_tagged(self, event: Event, signature: Signature, plan: EventPlan) -> None:
        """Remember where the tags of a modern name are, unless one of them is a file, whose path is looked up."""
        name, kind, tags, rate, dialect = signature
        keys = [key for key, _ in tags]
        if plan.drop in UNSHARED_DROPS or "file" in event.variables or len(set(keys)) < len(keys):
            return
        separator = SEPARATORS[dialect]
        text = ",".join(f"{key}{separator}".replace("%", "%%") + "%s" for key in keys)
        layout = find_or_add(
            self._tagged,
            (kind, rate, name, separator, *keys),
            lambda: Layout(event, find_positions(event, keys), text),
        )
        layout.add([value for _, value in tags], signature, plan)

    def add_legacy(self, legacy: LegacyName, signature: Signature, plan: EventPlan, values: Mapping[str, str]) -> None:
        """Remember what a legacy name without tags becomes, whose ids (`values`) have no dots."""
        event, variables = legacy.event, tuple(values)
        # A state in the middle of a name is checked, unless it is remembered as one of the layout's states.
        checked = "state" in variables[:-1] and not event.by_state
        if plan.drop in UNSHARED_DROPS or "file" in variables or checked or signature.tags:
            return
        layouts = self._find_or_add_legacy(legacy, signature).layouts
        if len(variables) not in layouts:
            layouts[len(variables)] = Layout(event, {variable: place for place, variable in enumerate(variables)})
        layouts[len(variables)].add(list(values.values()), signature, plan)

    def add_twin(self, legacy: LegacyName, signature: Signature, plan: EventPlan) -> None:
        """Remember that a legacy name does not count, whatever its ids are."""
        if plan.drop not in UNSHARED_DROPS:
            self._find_or_add_legacy(legacy, signature).twin = LineShape(signature, plan.resolve({}))

    def _find_or_add_legacy(self, legacy: LegacyName, signature: Signature) -> LegacyShapes:
        if self._prefixes.ordered is not self._tree_prefixes:
            self._tree_prefixes = self._prefixes.ordered
            self._tree = build_name_tree(self._tree_prefixes, self._lookup.legacy_names, self._lookup.modern)
        key = (legacy, signature.type, signature.rate, SEPARATORS[signature.dialect])
        return find_or_add(self._legacy, key, LegacyShapes)


def find_or_add(
    known: dict[tuple[Hashable, ...], Found], key: tuple[Hashable, ...], make: Callable[[], Found]
) -> Found:
    """What is known under a key, made first if there is none; the memory is emptied when it is full."""
    found = known.get(key)
    if found is None:
        if len(known) >= MAX_LAYOUTS:
            known.clear()
        found = known[key] = make()
    return found


def find_positions(event: Event, keys: Sequence[str]) -> dict[str, int]:
    """The position of each variable of an event among the keys of its tags."""
    positions = {}
    for variable in (*event.variables, "team"):
        tag = next((tag for tag in TAG_NAMES.get(variable) or (variable,) if tag in keys), None)
        if tag is not None:
            positions[variable] = keys.index(tag)
    return positions
