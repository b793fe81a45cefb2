"""Airflow's StatsD names to families and labels, whatever the release, the dialect and the settings.

Most events come twice: under a modern name with tags, and under a legacy name with ids in it. Where tags are sent the
modern name counts; where they are not, the legacy name does, since the modern one does not say what it is about.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.config.settings import StatsdSettings
from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.custom import Custom
from exporter.sources.statsd.airflow_names.event import Event, Unit, covers
from exporter.sources.statsd.airflow_names.events import EVENTS
from exporter.sources.statsd.airflow_names.id_split import Ids, Split
from exporter.sources.statsd.airflow_names.lookup import OPEN_HEADS, Found, Lookup
from exporter.sources.statsd.airflow_names.plans import MAX_PLANS, Plan, PlanKey, make_key
from exporter.sources.statsd.airflow_names.prefixes import MIN_SIGNS, Finding, Prefixes, Verdict, list_tails, spell
from exporter.sources.statsd.airflow_names.stream_hints import Stream
from exporter.sources.statsd.airflow_names.targets import Feeding, merge, read_tags, read_team
from exporter.sources.statsd.model import ALL, Resolution, Signature, Spellings, Type
from exporter.sources.statsd.parser import CLIENT_TELEMETRY

TIMERS = (Type.TIMER, Type.HISTOGRAM, Type.DISTRIBUTION)
NOT_YET = "held back until it is clear whether Airflow sends tags; the configuration can say so"
ONLY_DAG = ("dag_id",)
UNIT_NOT_YET = "held back until it is clear whether it is in seconds; the configuration can say so"


class Moment(NamedTuple):
    """What is known of the stream as a whole, as far as ids are read by it. Plans hold for one revision."""

    revision: int
    old: bool
    """Airflow 2 sends."""
    spelled: bool
    """Dots in ids may come as two underscores."""


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
        self._configured = settings.prefix
        same = previous if previous and previous._configured == settings.prefix else None
        self._prefixes: Prefixes = same._prefixes if same else Prefixes(event.name for event in EVENTS)
        self._ids: Ids = previous._ids if previous else Ids(directory)
        self._custom: Custom = Custom(settings, previous._custom if previous else None)
        self._feeding = Feeding(api_feeds, task_labels=settings.task_labels)
        self._noted: set[tuple[Event, bool, bool]] = set()
        self._plans: dict[PlanKey, Plan] = {}
        self._moment = Moment(-1, old=False, spelled=False)

    dialects = ALL
    """How lines are to be read for it."""

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from those given before."""
        return self._directory.spelling + self._stream.revision + self._ids.revision + self._prefixes.revision

    @property
    def remarks(self) -> list[str]:
        """What users should know of how Airflow sends, in sentences."""
        return self._prefixes.remarks()

    def resolve(self, signature: Signature) -> Resolution:
        """Say what becomes of all lines of that signature, and take the name of a family of users that is new."""
        found = self.find(signature)
        if found.claim:
            found.claim()
        return found

    def find(self, signature: Signature) -> Resolution:
        """Say what becomes of all lines of that signature. Never raises; memory is bounded."""
        if signature.name.startswith(CLIENT_TELEMETRY):
            self._stream.note_client(datadog=True)
            return Resolution("telemetry of DogStatsD's client", drop="telemetry")
        if signature.dialect:
            self._stream.note_client(datadog=signature.dialect == "datadog")
        self._stream.note_name()
        self._prefixes.tell_known(self._stream.prefixes)
        for prefix, name in self._prefixes.cut(signature.name):
            found = self._lookup.find(name)
            if found is not None:
                if found.ids is None:
                    self._prefixes.confirm(prefix, name)
                return self._mark(prefix, self._resolve_event(found, signature))
        return self._resolve_unknown(signature)

    def take_spellings(self) -> Spellings | None:
        """DAGs and tasks that were taken for others before their dots were known."""
        return self._ids.take_spellings(spelled=self._look().spelled)

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family of users' metrics that an earlier process made; None where it would not be made so now."""
        return self._custom.restore_family(spec.name, spec.kind, spec.labels, spec.help)

    def settle(self) -> None:
        """Take what is not clear yet for what is most likely, as `explain` does for single lines."""
        self._stream.settle()

    def _resolve_unknown(self, signature: Signature) -> Resolution:
        """A name that is not Airflow's under any prefix that is known: Airflow's under another, or a user's."""
        finding = self._prefixes.search(signature.name)
        found = self._lookup.find(finding.name) if finding.verdict is Verdict.RECOGNISED else None
        if found is not None:
            return self._mark(finding.prefix, self._resolve_event(found, signature))
        if any(self._lookup.find(name) for _, name in self._prefixes.cut_foreign(signature.name)):
            return Resolution("", drop="unmapped", note="another Airflow's: the known prefix is in use")
        if self._may_be_airflows(signature.name):
            return Resolution("", drop="undecided", note=describe_doubt(finding))
        return self._resolve_custom(signature, describe_doubt(finding) if finding.name else "")

    def _may_be_airflows(self, name: str) -> bool:
        """Whether a name may prove to be Airflow's in a moment: only while the stream has just begun."""
        if not self._stream.patient or self._prefixes.confirmed:
            return False
        tails = (tail for _, tail in list_tails(name) if tail.partition(".")[0] not in OPEN_HEADS)
        return any(self._lookup.find(tail) for tail in tails)

    def _resolve_custom(self, signature: Signature, doubt: str) -> Resolution:
        """A name that is taken for a user's, unless it begins as only Airflow's do."""
        own = next(self._prefixes.cut(signature.name), None)
        name = own[1] if own else signature.name
        if own and self._lookup.is_reserved(name) and not (name.startswith("edge_worker.") and signature.tags):
            note = doubt or "Airflow's, by its first part, but not a name that is known"
            return Resolution("", drop="unmapped", note=note)
        resolution = self._custom.resolve(name, signature, self._stream.circumstances)
        return resolution._replace(note=join(doubt, resolution.note)) if doubt else resolution

    def _mark(self, prefix: str, resolution: Resolution) -> Resolution:
        """Say of what came under a prefix that nothing but the names showed that it did."""
        if prefix not in self._prefixes.recognised:
            return resolution
        return resolution._replace(note=join(f"{spell([prefix])} was recognised as Airflow's", resolution.note))

    def _resolve_event(self, found: Found, signature: Signature) -> Resolution:
        event = found.event
        if event.drop:
            return Resolution(event.name, drop=event.drop, note=event.note)
        if signature.type is not event.type and not (event.type is Type.TIMER and signature.type in TIMERS):
            return Resolution(event.name, drop="conflict", note=f"sent as {signature.type}, Airflow sends {event.type}")
        values = read_tags(event, dict(signature.tags)) if signature.tags else {}
        tagged, legacy = bool(values), found.ids is not None
        self._note(event, tagged=tagged, legacy=legacy)
        moment = self._look()
        if "dag_id" in values and (moment.old or "__" in values["dag_id"]):
            self._ids.learn(values["dag_id"], certain=True)
        split = None
        if legacy:
            split = self._split(found, moment)
            if split is None:
                return Resolution(name_legacy(event), drop="unmapped", note="too few parts for the ids in the name")
            values = merge(split.values, values, found.ids or "")
        key = make_key(event, values, signature.type, legacy=legacy, tagged=tagged)
        plan = self._plans.get(key) or self._make_plan(key, values)
        self._complete(values, signature)
        if split is None:
            return plan.fill(values)
        if split.doubtful and plan.feeds:
            self._ids.note_doubtful(values)
        return plan.fill(values, ambiguous=split.ambiguous)

    def _complete(self, values: dict[str, str], signature: Signature) -> None:
        """Add what is not in the variables of an event: the team, and the path of a file as Airflow's API has it."""
        if signature.tags:
            values.update(read_team(signature.tags))
        if "file" in values:
            values["file"] = self._directory.find_file(values.get("bundle", ""), values["file"])

    def _note(self, event: Event, *, tagged: bool, legacy: bool) -> None:
        """What a name shows of the stream as a whole; it does so once for all names of an event."""
        form = event, tagged, legacy
        if form in self._noted:
            return
        self._noted.add(form)
        self._stream.note_release(event.releases)
        if event.twins and (tagged or (not legacy and event.variables and not event.tags_optional)):
            self._stream.note_tags(sent=tagged)
        if event.bare_alone or event.legacy_alone:
            self._stream.note_form(event, legacy=legacy)

    def _look(self) -> Moment:
        """What plans depend on; those that do not hold any more are forgotten."""
        revision = self._stream.revision + self._directory.spelling
        if revision != self._moment.revision:
            self._plans.clear()
            release, old = self._stream.known_release, self._stream.release[0] == 2
            spelled = not old and (not release or covers("3.3+", release))
            self._moment = Moment(revision, old, spelled)
        return self._moment

    def _make_plan(self, key: PlanKey, values: dict[str, str]) -> Plan:
        known = values if key.legacy or key.tagged else {}
        plan = self._plan_legacy(key, known) if key.legacy else self._plan_modern(key, known)
        self._look()
        if len(self._plans) >= MAX_PLANS:
            self._plans.clear()
        self._plans[key] = plan
        return plan

    def _plan_modern(self, key: PlanKey, values: dict[str, str]) -> Plan:
        event = key.event
        if event.unit is Unit.FILE and key.bundle:
            self._stream.note_release("3.2+")
        if key.tagged or event.plain_suffices:
            return self._feed(event, event.name, values)
        if event.needs:
            return Plan(event.name, drop="unclear", note=event.note)
        if not event.legacy or not event.twins or self._stream.tagged:
            return self._feed(event, event.name, values)
        if self._stream.tagged is None:
            return Plan(event.name, drop="undecided", note=NOT_YET)
        if event.bare_alone:
            return self._plan_single(event)
        return Plan(event.name, drop="twin", note="without tags its legacy name counts, which has the ids")

    def _plan_single(self, event: Event) -> Plan:
        """The name without the executor: it counts where it comes alone."""
        release = self._stream.known_release
        if self._stream.has_seen(event, legacy=True) or (release and not covers(event.bare_alone, release)):
            return Plan(event.name, drop="twin", note="the name with the executor counts")
        if self._stream.patient and not release:
            return Plan(event.name, drop="undecided", note="held back until it is clear that it comes alone")
        return self._feed(event, event.name, {})

    def _plan_legacy(self, key: PlanKey, values: dict[str, str]) -> Plan:
        event, rule = key.event, name_legacy(key.event)
        if self._counts(event):
            return self._feed(event, rule, values)
        if self._stream.tagged is None and not event.plain_suffices:
            return Plan(rule, drop="undecided", note=NOT_YET)
        return Plan(rule, drop="twin", note=f"{event.name} counts")

    def _counts(self, event: Event) -> bool:
        """Whether an event counts under its legacy name."""
        if not event.twins:
            return True
        if event.plain_suffices:
            return False
        if self._stream.tagged and event.legacy_alone:
            return not self._stream.has_seen(event, legacy=False)
        return self._stream.tagged is False

    def _split(self, found: Found, moment: Moment) -> Split | None:
        """The ids in a legacy name; of several forms of it 2.x sends the shortest."""
        for pattern in found.patterns[-1:] if moment.old else found.patterns:
            split = self._ids.split(pattern.variables, found.ids or "", spelled=moment.spelled)
            if split is not None:
                if pattern.variables == ONLY_DAG:
                    self._ids.learn(split.values["dag_id"])
                return split
        return None

    def _feed(self, event: Event, rule: str, values: dict[str, str]) -> Plan:
        if event.unit is Unit.FILE and not values.get("bundle"):
            self._stream.note_release("2.x")
        if not self._stream.knows_scale(event.unit):
            return Plan(rule, drop="unknown_unit", note=UNIT_NOT_YET, counts=True)
        return self._feeding.plan(event, rule, values, self._stream.circumstances)


def name_legacy(event: Event) -> str:
    return f"{event.name} (legacy name)"


def describe_doubt(finding: Finding) -> str:
    """Why a name that holds one of Airflow's is not taken for it."""
    if not finding.name:
        return "held back until it is clear whether the names that come are Airflow's; --statsd.prefix says so at once"
    return (
        f"Airflow's {finding.name} with {spell([finding.prefix])}: taken for it once {MIN_SIGNS} different names of "
        "Airflow came with that prefix; --statsd.prefix says so at once"
    )


def join(*notes: str) -> str:
    return "; ".join(note for note in notes if note)
