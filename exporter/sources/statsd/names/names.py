"""Airflow's StatsD names to families and labels, whatever the release, the dialect and the settings.

Most events come twice: under a modern name with tags, and under a legacy name with ids in it. Where tags are sent the
modern name counts; where they are not, the legacy name does, since the modern one does not say what it is about.
"""

from __future__ import annotations

from exporter.directory import Directory
from exporter.family import Family
from exporter.live_rows import FamilySpec
from exporter.settings import StatsdSettings
from exporter.sources.statsd.event import ALL, Resolution, Signature, Type
from exporter.sources.statsd.lines import CLIENT_TELEMETRY
from exporter.sources.statsd.names.custom import Custom
from exporter.sources.statsd.names.feeding import Feeding, clean, read_tags
from exporter.sources.statsd.names.ids import Ids, Split
from exporter.sources.statsd.names.lookup import Found, Lookup
from exporter.sources.statsd.names.stream import Stream
from exporter.sources.statsd.names.terms import Event, Unit, covers

TIMERS = (Type.TIMER, Type.HISTOGRAM, Type.DISTRIBUTION)
NOT_YET = "held back until it is clear whether Airflow sends tags; the configuration can say so"
UNIT_NOT_YET = "held back until it is clear whether it is in seconds; the configuration can say so"


class Names:
    """Resolves Airflow's names. `api_feeds` are families that the API feeds, so that StatsD must not.

    After a reload, what the `previous` one made for users and learned of ids goes on; signs are looked for anew.
    """

    def __init__(
        self,
        directory: Directory,
        settings: StatsdSettings,
        api_feeds: frozenset[Family] = frozenset(),
        previous: Names | None = None,
    ) -> None:
        self._directory = directory
        self._lookup = Lookup()
        self._stream = Stream(directory, settings)
        self._ids: Ids = previous._ids if previous else Ids(directory)
        self._custom: Custom = Custom(settings, previous._custom if previous else None)
        self._feeding = Feeding(api_feeds, task_labels=settings.task_labels)

    dialects = ALL
    """How lines are to be read for it."""

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from those given before."""
        return self._directory.spelling + self._stream.revision + self._ids.revision

    def resolve(self, signature: Signature) -> Resolution:
        """Say what becomes of all lines of that signature. Never raises; memory is bounded."""
        if signature.name.startswith(CLIENT_TELEMETRY):
            self._stream.note_client(datadog=True)
            return Resolution("telemetry of DogStatsD's client", drop="telemetry")
        if signature.dialect:
            self._stream.note_client(datadog=signature.dialect == "datadog")
        self._stream.note_name()
        for prefix in self._stream.prefixes:
            if signature.name.startswith(prefix):
                return self._resolve_own(signature.name[len(prefix) :], signature)
        return self._resolve_stranger(signature)

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family of users' metrics that an earlier process made; None where it would not be made so now."""
        return self._custom.restore_family(spec.name, spec.kind, spec.labels, spec.help)

    def settle(self) -> None:
        """Take what is not clear yet for what is most likely, as `explain` does for single lines."""
        self._stream.settle()

    def _resolve_own(self, name: str, signature: Signature) -> Resolution:
        found = self._lookup.find(name)
        if found is not None:
            return self._resolve_event(found, signature)
        if self._lookup.is_reserved(name) and not (name.startswith("edge_worker.") and signature.tags):
            return Resolution("", drop="unmapped", note="Airflow's, by its first part, but not a name that is known")
        return self._custom.resolve(name, signature, self._stream.circumstances)

    def _resolve_stranger(self, signature: Signature) -> Resolution:
        """A name without Airflow's prefix: users' own, unless it is Airflow's under another prefix."""
        for name in (signature.name, signature.name.partition(".")[2]):
            if self._lookup.find(name) is not None:
                return Resolution("", drop="unmapped", note=f"Airflow's {name}, but statsd_prefix is another")
        return self._custom.resolve(signature.name, signature, self._stream.circumstances)

    def _resolve_event(self, found: Found, signature: Signature) -> Resolution:
        event = found.event
        if event.drop:
            return Resolution(event.name, drop=event.drop, note=event.note)
        if signature.type is not event.type and not (event.type is Type.TIMER and signature.type in TIMERS):
            return Resolution(event.name, drop="conflict", note=f"sent as {signature.type}, Airflow sends {event.type}")
        self._stream.note_release(event.releases)
        values = read_tags(event, dict(signature.tags))
        if event.twins and (values or (found.ids is None and event.variables)):
            self._stream.note_tags(sent=bool(values))
        if event.bare_alone or event.legacy_alone:
            self._stream.note_form(event, legacy=found.ids is not None)
        if "dag_id" in values and self._stream.release[0] == 2:
            self._ids.learn(values["dag_id"])
        if found.ids is None:
            return self._resolve_modern(event, values)
        return self._resolve_legacy(event, found, values)

    def _resolve_modern(self, event: Event, values: dict[str, str]) -> Resolution:
        if event.unit is Unit.FILE and values.get("bundle"):
            self._stream.note_release("3.2+")
        if values or event.plain_suffices:
            return self._feed(event, event.name, values)
        if event.needs:
            return Resolution(event.name, drop="unclear", note=event.note)
        if not event.legacy or not event.twins or self._stream.tagged:
            return self._feed(event, event.name, values)
        if self._stream.tagged is None:
            return Resolution(event.name, drop="undecided", note=NOT_YET)
        if event.bare_alone:
            return self._resolve_single(event)
        return Resolution(event.name, drop="twin", note="without tags its legacy name counts, which has the ids")

    def _resolve_single(self, event: Event) -> Resolution:
        """The name without the executor: it counts where it comes alone."""
        release = self._stream.known_release
        if self._stream.has_seen(event, legacy=True) or (release and not covers(event.bare_alone, release)):
            return Resolution(event.name, drop="twin", note="the name with the executor counts")
        if self._stream.patient and not release:
            return Resolution(event.name, drop="undecided", note="held back until it is clear that it comes alone")
        return self._feed(event, event.name, {})

    def _resolve_legacy(self, event: Event, found: Found, values: dict[str, str]) -> Resolution:
        split = self._split(found)
        rule = f"{event.name} (legacy name)"
        if split is None:
            return Resolution(rule, drop="unmapped", note="too few parts for the ids in the name")
        if list(split.values) == ["dag_id"]:
            self._ids.learn(split.values["dag_id"])
        if self._counts(event):
            values = {name: clean(name, value) for name, value in split.values.items()} | values
            return self._feed(event, rule, values)._replace(ambiguous=split.ambiguous)
        if self._stream.tagged is None and not event.plain_suffices:
            return Resolution(rule, drop="undecided", note=NOT_YET)
        return Resolution(rule, drop="twin", note=f"{event.name} counts")

    def _counts(self, event: Event) -> bool:
        """Whether an event counts under its legacy name."""
        if not event.twins:
            return True
        if event.plain_suffices:
            return False
        if self._stream.tagged and event.legacy_alone:
            return not self._stream.has_seen(event, legacy=False)
        return self._stream.tagged is False

    def _split(self, found: Found) -> Split | None:
        """The ids in a legacy name; of several forms of it 2.x sends the shortest."""
        release = self._stream.known_release
        spelled = not release or covers("3.3+", release)
        patterns = found.patterns[-1:] if self._stream.release[0] == 2 else found.patterns
        splits = (self._ids.split(pattern.variables, found.ids or "", spelled=spelled) for pattern in patterns)
        return next((split for split in splits if split is not None), None)

    def _feed(self, event: Event, rule: str, values: dict[str, str]) -> Resolution:
        if event.unit is Unit.FILE and not values.get("bundle"):
            self._stream.note_release("2.x")
        if not self._stream.knows_scale(event.unit):
            return Resolution(rule, drop="unknown_unit", note=UNIT_NOT_YET)
        return self._feeding.feed(event, rule, values, self._stream.circumstances)
