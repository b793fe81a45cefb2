"""Resolves Airflow's StatsD names to families and labels, for every release, dialect and setting.

Airflow sends most events twice: under a modern name with tags, and under a legacy name with ids in it. If Airflow sends
tags, the modern name counts. Otherwise the legacy name counts, because the modern one has no ids.
"""

from __future__ import annotations

from exporter.config.settings import StatsdSettings
from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.custom import CustomFamilies
from exporter.sources.statsd.airflow_names.event import Event, covers_release
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.id_split import IdSplit, IdSplitter
from exporter.sources.statsd.airflow_names.line_shapes import SEPARATORS, LineShapes, StreamState
from exporter.sources.statsd.airflow_names.lookup import (
    ONLY_DAG,
    SHARED_FIRST_PARTS,
    EventLookup,
    EventMatch,
    LegacyName,
)
from exporter.sources.statsd.airflow_names.planner import EventPlanner, format_legacy_rule
from exporter.sources.statsd.airflow_names.plans import MAX_PLANS, EventPlan, PlanKey, build_plan_key
from exporter.sources.statsd.airflow_names.prefixes import (
    PrefixDetector,
    PrefixVerdict,
    format_prefix_note,
    format_prefixes,
    join_notes,
    list_splits_at_dots,
)
from exporter.sources.statsd.airflow_names.stream_hints import StreamHints
from exporter.sources.statsd.airflow_names.targets import TargetBuilder, extract_team, extract_variables, merge_values
from exporter.sources.statsd.model import (
    ALL_DIALECTS,
    IdCorrections,
    KeyParts,
    MetricType,
    Resolution,
    Signature,
    SimilarLine,
)
from exporter.sources.statsd.parser import CLIENT_TELEMETRY_PREFIX

TIMERS = (MetricType.TIMER, MetricType.HISTOGRAM, MetricType.DISTRIBUTION)


class AirflowNameResolver:
    """Resolves Airflow's names. `api_feeds` are the families that the API feeds, so that StatsD does not.

    After a reload the families and the learned ids of the `previous` resolver are kept; hints in the stream are
    collected again.
    """

    def __init__(
        self,
        directory: Directory,
        settings: StatsdSettings,
        api_feeds: frozenset[Family] = frozenset(),
        previous: AirflowNameResolver | None = None,
    ) -> None:
        self._directory = directory
        self._lookup = EventLookup()
        self._stream = StreamHints(directory, settings)
        self._configured = settings.prefix
        same = previous if previous and previous._configured == settings.prefix else None
        self._prefixes: PrefixDetector = same._prefixes if same else PrefixDetector(event.name for event in EVENTS)
        self._ids: IdSplitter = previous._ids if previous else IdSplitter(directory)
        self._custom: CustomFamilies = CustomFamilies(settings, previous._custom if previous else None)
        self._planner = EventPlanner(self._stream, TargetBuilder(api_feeds, task_labels=settings.task_labels))
        self._noted: set[tuple[Event, bool, bool]] = set()
        self._plans: dict[PlanKey, EventPlan] = {}
        self._shapes = LineShapes(self._lookup, self._prefixes, self._ids)
        self._state = StreamState(-1, old=False, dots_escaped=False)

    dialects = ALL_DIALECTS
    """The tag formats that are parsed for it."""

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from earlier ones."""
        return self._directory.revision + self._stream.revision + self._ids.revision + self._prefixes.revision

    @property
    def remarks(self) -> list[str]:
        """What users should know about how Airflow sends, as sentences."""
        return self._prefixes.remarks()

    def resolve(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature; reserves the name of a new family."""
        found = self.look_up(signature)
        if found.claim:
            found.claim()
        return found

    def look_up(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature. Never raises; memory is bounded."""
        if signature.name.startswith(CLIENT_TELEMETRY_PREFIX):
            self._stream.record_client(datadog=True)
            return Resolution("telemetry of DogStatsD's client", drop="telemetry")
        if signature.dialect:
            self._stream.record_client(datadog=signature.dialect == "datadog")
        self._stream.record_name()
        self._prefixes.set_known(self._stream.prefixes)
        for prefix, name in self._prefixes.strip(signature.name):
            found = self._lookup.find(name)
            if found is not None:
                if found.legacy is None:
                    self._prefixes.confirm(prefix, name)
                resolution = self._mark(prefix, self._resolve_event(found, signature))
                if signature.tags and found.legacy is None and self._prefixes.is_settled(prefix):
                    self._add_tagged_shape(found.event, signature)
                return resolution
        return self._resolve_unknown(signature)

    def find_similar(self, key: KeyParts) -> SimilarLine | None:
        """The shape of earlier lines that differ from this one only in ids; None if that is not known.

        Of a user's metric beyond the limit it is the shape of all that are refused.
        """
        found = self._shapes.find(key, self._get_state())
        return self._find_refused(key) if found is None and self._custom.is_full else found

    def _find_refused(self, key: KeyParts) -> SimilarLine | None:
        """The shape of a user's metric beyond the limit: a flood of invented names ends here, before each is parsed."""
        kind, _, name, separator, _ = key
        tails = [tail for _, tail in self._prefixes.strip(name)]
        learning = self._stream.undecided or (separator and not self._stream.knows_client(datadog=separator == ":"))
        doubtful = learning or len(tails) != 1 or self._prefixes.foreign
        if doubtful or self._lookup.find(tails[0]) or self._lookup.is_reserved(tails[0]):
            return None
        if name.startswith(CLIENT_TELEMETRY_PREFIX) or self._prefixes.search(name).name:
            return None
        return self._custom.find_refused(tails[0], kind)

    def recall(self, signature: Signature) -> Resolution | None:
        """What becomes of a line that differs from an earlier one only in ids; None if that is to be looked up."""
        name, kind, tags, rate, dialect = signature
        separator = SEPARATORS[dialect]
        text = ",".join([f"{key}{separator}{value}" for key, value in tags])
        if bool(tags) != bool(separator):
            return None
        found = self._shapes.find((kind, rate, name, separator, text), self._get_state())
        return found and found[0].resolve(found[1])

    def _add_tagged_shape(self, event: Event, signature: Signature) -> None:
        """Remember where the tags are, once a single line can no longer change how the stream is read."""
        values = extract_variables(event, dict(signature.tags))
        key = build_plan_key(event, values, signature.type, legacy=False, tagged=True)
        plan = self._plans.get(key) if values else None
        if plan is not None and not self._stream.undecided:
            self._shapes.add_tagged(event, signature, plan)

    def take_corrections(self) -> IdCorrections | None:
        """Corrected ids of DAGs and tasks, whose dots were not known before."""
        return self._ids.take_corrections(dots_escaped=self._get_state().dots_escaped)

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family of a user's metric that an earlier process created; None if it would not be created now."""
        return self._custom.restore_family(spec.name, spec.kind, spec.labels, spec.help)

    def release(self, families: list[Family]) -> None:
        """Free the names of users' metrics whose last series expired."""
        self._custom.release(families)

    def assume_defaults(self) -> None:
        """Assume the most likely where something is not known yet, as `explain` does for single lines."""
        self._stream.assume_defaults()

    def _resolve_unknown(self, signature: Signature) -> Resolution:
        """A name that is not Airflow's under a known prefix: it is Airflow's under another, or a user's."""
        finding = self._prefixes.search(signature.name)
        found = self._lookup.find(finding.name) if finding.verdict is PrefixVerdict.RECOGNISED else None
        if found is not None:
            return self._mark(finding.prefix, self._resolve_event(found, signature))
        foreign = self._prefixes.foreign and self._prefixes.strip_foreign(signature.name)
        if foreign and any(self._lookup.find(name) for _, name in foreign):
            return Resolution("", drop="unmapped", note="a name of another Airflow: this Airflow uses the known prefix")
        if self._may_be_airflows(signature.name):
            return Resolution("", drop="undecided", note=format_prefix_note(finding))
        return self._resolve_custom(signature, format_prefix_note(finding) if finding.name else "")

    def _may_be_airflows(self, name: str) -> bool:
        """Whether a name may prove to be Airflow's soon: only at the beginning of the stream."""
        if not self._stream.undecided or self._prefixes.confirmed:
            return False
        tails = (tail for _, tail in list_splits_at_dots(name) if tail.partition(".")[0] not in SHARED_FIRST_PARTS)
        return any(self._lookup.find(tail) for tail in tails)

    def _resolve_custom(self, signature: Signature, doubt: str) -> Resolution:
        """A user's metric, unless the first part of its name belongs to Airflow."""
        own = next(self._prefixes.strip(signature.name), None)
        name = own[1] if own else signature.name
        if own and self._lookup.is_reserved(name) and not (name.startswith("edge_worker.") and signature.tags):
            note = doubt or "its first part belongs to Airflow, but the name is not known"
            return Resolution("", drop="unmapped", note=note)
        context = self._stream.sender_context if signature.type is MetricType.TIMER else None
        resolution = self._custom.resolve(name, signature, context)
        return resolution._replace(note=join_notes(doubt, resolution.note)) if doubt else resolution

    def _mark(self, prefix: str, resolution: Resolution) -> Resolution:
        """Add a note if the prefix of the name was recognised automatically."""
        if prefix not in self._prefixes.recognised:
            return resolution
        return resolution._replace(
            note=join_notes(f"{format_prefixes([prefix])} was recognised as Airflow's", resolution.note)
        )

    def _resolve_event(self, found: EventMatch, signature: Signature) -> Resolution:
        event = found.event
        if event.drop:
            return Resolution(event.name, drop=event.drop, note=event.note)
        if signature.type is not event.type and not (event.type is MetricType.TIMER and signature.type in TIMERS):
            return Resolution(event.name, drop="conflict", note=f"sent as {signature.type}, Airflow sends {event.type}")
        values = extract_variables(event, dict(signature.tags)) if signature.tags else {}
        tagged, legacy = bool(values), found.legacy
        self._note(event, tagged=tagged, legacy=legacy is not None)
        if legacy and not legacy.only_dag and not self._planner.counts_legacy(event):
            return self._resolve_twin(legacy, signature, tagged=tagged)
        state = self._get_state()
        if "dag_id" in values:
            self._ids.learn_tag(values["dag_id"], old=state.old)
        split = None
        if legacy:
            split = self._split(found, state)
            if split is None:
                note = "too few parts for the ids in the name, or too many"
                return Resolution(format_legacy_rule(event), drop="unmapped", note=note)
            values = merge_values(split.values, values, found.ids)
        key = build_plan_key(event, values, signature.type, legacy=legacy is not None, tagged=tagged)
        plan = self._plans.get(key) or self._make_plan(key, values)
        self._complete(values, signature)
        if split is None or legacy is None:
            return plan.resolve(values)
        if split.doubtful and plan.targets:
            self._ids.record_doubtful(values)
        if split.exact and not self._stream.undecided:
            self._shapes.add_legacy(legacy, signature, plan, split.values)
        return plan.resolve(values, ambiguous=split.ambiguous)

    def _resolve_twin(self, legacy: LegacyName, signature: Signature, *, tagged: bool) -> Resolution:
        """A legacy name that does not count, or not yet, whatever its ids are."""
        key = build_plan_key(legacy.event, {}, signature.type, legacy=True, tagged=tagged)
        plan = self._plans.get(key) or self._make_plan(key, {})
        if tagged == bool(signature.tags) and not self._stream.undecided:
            self._shapes.add_twin(legacy, signature, plan)
        return plan.resolve({})

    def _complete(self, values: dict[str, str], signature: Signature) -> None:
        """Add the team, and replace the name of a file by its path in Airflow's API."""
        if signature.tags:
            values.update(extract_team(signature.tags))
        if "file" in values:
            values["file"] = self._directory.get_file_path(values.get("bundle", ""), values["file"])

    def _note(self, event: Event, *, tagged: bool, legacy: bool) -> None:
        """Record what a name shows about the stream as a whole, once for all names of an event."""
        form = event, tagged, legacy
        if form in self._noted:
            return
        self._noted.add(form)
        self._stream.record_release(event.releases)
        if event.twins and (tagged or (not legacy and event.variables and not event.tags_optional)):
            self._stream.record_tags(sent=tagged)
        if event.modern_only_releases or event.legacy_may_come_alone:
            self._stream.record_form(event, legacy=legacy)

    def _get_state(self) -> StreamState:
        """What plans depend on. If it has changed, cached plans are removed."""
        revision = self._stream.revision + self._directory.revision + self._prefixes.revision
        if revision != self._state.revision:
            self._plans.clear()
            self._shapes.clear()
            release, old = self._stream.known_release, self._stream.release[0] == 2
            dots_escaped = not old and (not release or covers_release("3.3+", release))
            self._state = StreamState(revision, old, dots_escaped)
        return self._state

    def _make_plan(self, key: PlanKey, values: dict[str, str]) -> EventPlan:
        known = values if key.legacy or key.tagged else {}
        plan = self._planner.build_plan(key, known)
        self._get_state()
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _split(self, found: EventMatch, state: StreamState) -> IdSplit | None:
        """The ids in a legacy name. If an event has several legacy names, 2.x sends the shortest."""
        patterns = found.legacy.patterns if found.legacy else ()
        for pattern in patterns[-1:] if state.old else patterns:
            split = self._ids.split(pattern.variables, found.ids, dots_escaped=state.dots_escaped)
            if split is not None:
                if pattern.variables == ONLY_DAG:
                    self._ids.learn(split.values["dag_id"])
                return split
        return None
