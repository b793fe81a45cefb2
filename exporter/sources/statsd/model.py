"""What a StatsD line says, and what is to become of it: the terms that the stages hand to each other.

receive → lines (bytes to samples) → names or mapping (a signature to a resolution) → aggregate (values to series).
Everything that does not depend on the value is worked out once for each signature.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from exporter.metrics.family import Family, Labels
from exporter.metrics.family_spec import FamilySpec


class MetricType(StrEnum):
    """The type of a metric on the wire."""

    COUNTER = "c"
    GAUGE = "g"
    TIMER = "ms"
    HISTOGRAM = "h"
    DISTRIBUTION = "d"


Tags = tuple[tuple[str, str], ...]
"""Keys and values, in the order in which they were sent."""


class Signature(NamedTuple):
    """All that lines of one metric have in common: everything but the value."""

    name: str
    """As it was sent, with Airflow's prefix, without tags."""
    type: MetricType
    tags: Tags = ()
    """In the order in which they were sent; a tag without a value has an empty one."""
    rate: float = 1.0
    """The sample rate: a line stands for 1/rate events. Always in (0, 1]."""
    dialect: str = ""
    """How its tags were written: datadog behind the value, influxdb in the name. Their clients differ in units."""


class Sample(NamedTuple):
    """One value of one metric, as sent: unscaled by rate or unit."""

    signature: Signature
    value: float
    relative: bool = False
    """A gauge with a sign: it moves by the value."""


class Action(StrEnum):
    """What a value does to a series."""

    ADD = "add"
    SET = "set"
    OBSERVE = "observe"


class Target(NamedTuple):
    """One series that a signature feeds: with the value, times `scale`."""

    family: Family
    labels: Labels
    action: Action
    scale: float = 1.0
    """Seconds by milliseconds for timers: 0.001. For a counter that counts observations the scale is 0, `plus` 1."""
    plus: float = 0.0
    """Added after scaling."""


class Resolution(NamedTuple):
    """What becomes of a signature."""

    rule: str
    """Which event, name or mapping matched, for `explain`; empty where none did."""
    targets: Sequence[Target] = ()
    drop: str = ""
    """Why nothing comes of it, one of DROP_REASONS; empty where it has targets."""
    note: str = ""
    """What was put right, for `explain`: a unit, a split of dots, a twin."""
    ambiguous: bool = False
    """The ids could be split in several ways."""
    plan: Hashable = None
    """Equal for resolutions whose targets differ in nothing but their labels; None where that is not known."""
    claim: Callable[[], object] | None = None
    """Takes the name of a family that does not exist yet: to be called only where a value counts."""


class IdCorrections(NamedTuple):
    """Ids that were taken for others at first: two underscores in them were a dot."""

    dags: Mapping[str, str]
    tasks: Mapping[tuple[str, str], str]
    """By the right id of their DAG and what they were taken for."""

    def apply(self, names: tuple[str, ...], labels: Labels) -> Labels:
        """The right values of these labels."""
        place = names.index("dag_id")
        dag_id = self.dags.get(labels[place], labels[place])
        right = [*labels[:place], dag_id, *labels[place + 1 :]]
        if "task_id" in names:
            place = names.index("task_id")
            right[place] = self.tasks.get((dag_id, labels[place]), labels[place])
        return tuple(right)


class Dialects(NamedTuple):
    """Which ways of writing tags are read. All are by default, as in statsd_exporter."""

    dogstatsd: bool = True
    influxdb: bool = True
    librato: bool = True
    signalfx: bool = True
    containers: bool = False
    """Make the container field of DogStatsD a tag `container_id`, as statsd_exporter does; else it is passed over."""


ALL_DIALECTS = Dialects()
STATSD_EXPORTER_DIALECTS = Dialects(containers=True)
"""Everything as statsd_exporter has it: for users of a mapping file."""


class Resolver(Protocol):
    """AirflowNameResolver, or a user's mapping."""

    @property
    def dialects(self) -> Dialects:
        """Which ways of writing tags are read for it."""

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from those given before."""

    def look_up(self, signature: Signature) -> Resolution:
        """Say what becomes of all lines of that signature. Never raises, and takes no name: `claim` does."""

    def resolve(self, signature: Signature) -> Resolution:
        """The same, and take the name of a family that does not exist yet."""

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family that an earlier process made at run time; None if it would not be made now."""

    def take_corrections(self) -> IdCorrections | None:
        """Ids that were given out and have proved to be spelled otherwise; each once, None without any."""


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
)
"""Why a well-formed line feeds nothing: legacy or modern twin, a family that the API feeds, and so on.

`undecided` and `unknown_unit`: the stream has not told yet how Airflow sends. `unclear`: what it says in this release
is not what its name says, or what it is about is lost with the tags.
"""

RETRIABLE_DROPS = ("undecided", "unknown_unit")
"""Drops of lines that may count the next time: nobody should remember them."""

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
"""Why a line is refused as a whole: the closed set of the label `reason`.

`overflow`: the value is a number, but with it a sum would not be finite any more; the sum stays what it is.
"""
