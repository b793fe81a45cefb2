"""What a StatsD line says and what becomes of it: the types that the stages pass to each other.

receive → parse (bytes to samples) → resolve a name (signature to resolution) → aggregate (values to series).
Everything that does not depend on the value is computed once per signature.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from exporter.metrics.family import Family, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.label_getter import GetLabels


class MetricType(StrEnum):
    """The type of a metric on the wire."""

    COUNTER = "c"
    GAUGE = "g"
    TIMER = "ms"
    HISTOGRAM = "h"
    DISTRIBUTION = "d"

    __hash__ = str.__hash__
    # That of Enum is a function of Python, and types are part of keys that every new line looks up.


Tags = tuple[tuple[str, str], ...]
"""Keys and values, in the order in which they were sent."""


class Signature(NamedTuple):
    """A line without its value."""

    name: str
    """As it was sent, with Airflow's prefix, without tags."""
    type: MetricType
    tags: Tags = ()
    """In the order in which they were sent; a tag without a value has an empty one."""
    rate: float = 1.0
    """The sample rate: a line stands for 1/rate events. Always in (0, 1]."""
    dialect: str = ""
    """Where the tags were: `datadog` after the value, `influxdb` in the name. The clients send different units."""


KeyParts = tuple[MetricType, float, str, str, str]
"""An ordinary line without its value, before its tags are parsed: type, sample rate, name, separator, text of the tags.

The separator is between key and value of a tag: `:` in DogStatsD's format, `=` in InfluxDB's; empty without tags. A
plain tuple, because Python makes it ten times as fast as a named one.
"""
CLIENTS = {":": "datadog", "=": "influxdb", "": ""}
"""The dialect by the separator of its tags."""


class Sample(NamedTuple):
    """One value of one metric, as sent: unscaled by rate or unit."""

    signature: Signature
    value: float
    relative: bool = False
    """A gauge with a sign: it changes by the value."""


class Action(StrEnum):
    """What a value does to a series."""

    ADD = "add"
    SET = "set"
    OBSERVE = "observe"


class Target(NamedTuple):
    """One series that a signature feeds, with value * scale + plus."""

    family: Family
    labels: Labels
    action: Action
    scale: float = 1.0
    """0.001 for a timer in milliseconds. A counter of observations has scale 0 and `plus` 1."""
    plus: float = 0.0
    """Added after scaling."""


class Resolution(NamedTuple):
    """What becomes of a signature."""

    rule: str
    """The event, name or mapping that matched, for `explain`; empty if none did."""
    targets: Sequence[Target] = ()
    drop: str = ""
    """Why it feeds none of Airflow's names, one of DROP_REASONS. With targets only beside a mapping file."""
    note: str = ""
    """What was corrected, for `explain`: a unit, a split of ids, a twin."""
    ambiguous: bool = False
    """Whether the ids can be split in several ways."""
    plan: Hashable = None
    """Equal for resolutions whose targets differ only in labels; None if that is not known."""
    claim: Callable[[], object] | None = None
    """Reserves the name of a new family; to be called only for a value that counts."""


class LineShape:
    """What becomes of all lines that differ from one another only in ids and values.

    `targets` are the families with the functions that pick the labels from a line's ids, followed by the `constants`.
    `key` is equal for shapes whose series are used in the same way.
    """

    __slots__ = ("_example", "constants", "drop", "key", "targets", "type")

    def __init__(
        self,
        signature: Signature,
        example: Resolution,
        get_labels: Sequence[GetLabels] = (),
        constants: Sequence[str] = (),
    ) -> None:
        """`example` is what becomes of one of these lines."""
        self._example = example
        self.type = signature.type
        self.key = (example.plan, signature.type, signature.rate)
        self.targets = [(target.family, get) for target, get in zip(example.targets, get_labels, strict=True)]
        self.constants = constants
        self.drop = example.drop

    def resolve(self, ids: Sequence[str]) -> Resolution:
        """What becomes of the line with these ids."""
        cells = [*ids, *self.constants]
        pairs = zip(self._example.targets, self.targets, strict=True)
        return self._example._replace(targets=[target._replace(labels=get(cells)) for target, (_, get) in pairs])


SimilarLine = tuple[LineShape, Sequence[str]]
"""The shape that a line has like earlier ones, and its own ids."""


class IdCorrections(NamedTuple):
    """Corrected ids: two underscores in them were a dot."""

    dags: Mapping[str, str]
    tasks: Mapping[tuple[str, str], str]
    """By the corrected id of their DAG and the task id as it was first read."""

    def apply(self, names: tuple[str, ...], labels: Labels) -> Labels:
        """The labels with corrected ids."""
        place = names.index("dag_id")
        dag_id = self.dags.get(labels[place], labels[place])
        right = [*labels[:place], dag_id, *labels[place + 1 :]]
        if "task_id" in names:
            place = names.index("task_id")
            right[place] = self.tasks.get((dag_id, labels[place]), labels[place])
        return tuple(right)


class Dialects(NamedTuple):
    """The tag formats that are parsed. By default all, as in statsd_exporter."""

    dogstatsd: bool = True
    influxdb: bool = True
    librato: bool = True
    signalfx: bool = True
    containers: bool = False
    """Make the container field of DogStatsD a tag `container_id`, as statsd_exporter does; otherwise it is ignored."""


ALL_DIALECTS = Dialects()
STATSD_EXPORTER_DIALECTS = Dialects(containers=True)
"""All formats as statsd_exporter parses them, for users of a mapping file."""


class Resolver(Protocol):
    """Decides what becomes of a signature: by Airflow's names, or by a user's mapping file."""

    @property
    def dialects(self) -> Dialects:
        """The tag formats that are parsed for it."""

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from earlier ones."""

    def find_similar(self, key: KeyParts) -> SimilarLine | None:
        """The shape of earlier lines that differ from this one only in ids; None if that is not known."""

    def look_up(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature. Never raises, and reserves no family name: `claim` does."""

    def resolve(self, signature: Signature) -> Resolution:
        """The same, and reserve the name of a new family."""

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family that an earlier process made at run time; None if it would not be made now."""

    def release(self, families: list[Family]) -> None:
        """Free the names of families made at run time whose last series expired."""

    def take_corrections(self) -> IdCorrections | None:
        """Ids that were read wrong before and are corrected now; each is returned once. None if there are none."""


DROP_REASONS = (
    "twin",
    "fed_by_api",
    "denied",
    "zero_series",
    "unknown_unit",
    "undecided",
    "unclear",
    "unmapped",
    "capped",
    "mapped_drop",
    "conflict",
    "telemetry",
    "no_name",
    "mapped_capped",
    "mapped_conflict",
)
"""Why a well-formed line feeds nothing: the other name of the event counts, the API feeds the family, and so on.

`undecided` and `unknown_unit`: it is not known yet how Airflow sends. `unclear`: in this release the value does not
mean what the name says, or the missing tags would say what it is about. `mapped_capped`, `mapped_conflict`: only the
metric of a mapping file that is used beside Airflow's names is dropped.
"""

MAPPED_DROPS = ("mapped_capped", "mapped_conflict")
CAPPED_DROPS = ("capped", "mapped_capped")
"""Drop reasons of lines that may count once a series has expired."""

RETRIABLE_DROPS = ("undecided", "unknown_unit")
"""Drop reasons of lines that may count the next time, so that they are not cached."""

REJECT_REASONS = (
    "empty",
    "no_name",
    "no_value",
    "bad_value",
    "overflow",
    "bad_type",
    "set_type",
    "bad_rate",
    "bad_field",
    "bad_tags",
    "not_utf8",
    "too_long",
    "event",
    "service_check",
)
"""Why a line is rejected: the closed set of the label `reason`.

`overflow`: the value is a number, but it would make a sum infinite. The sum is not changed.
"""
