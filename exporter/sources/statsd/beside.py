"""Airflow's own names and a mapping file at once: each line may feed metrics of both.

Names without a mapping feed only this exporter's metrics, so that nothing is exposed twice that the file does not ask
for. Metrics of the mapping file never take a name that the catalogue or a custom metric uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from exporter.metrics.catalogue.statsd import custom
from exporter.metrics.family import MAPPED, Family
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.airflow_names.custom import list_reserved
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.mapping.families import MappedFamilies
from exporter.sources.statsd.mapping.mapper import Mapper, load_mapping
from exporter.sources.statsd.model import (
    ALL_DIALECTS,
    RETRIABLE_DROPS,
    IdCorrections,
    KeyParts,
    Resolution,
    Resolver,
    Signature,
)


class ReservedNames:
    """The names of samples that a mapping file may not use: those of the catalogue and of custom metrics."""

    def __init__(self) -> None:
        self._names = frozenset(list_reserved())

    def __contains__(self, name: object) -> bool:
        return name in self._names or str(name).startswith(custom.PREFIX)


class BesideResolver:
    """Resolves a line by Airflow's names and by a mapping file."""

    dialects = ALL_DIALECTS
    """The tag formats that are parsed for it."""

    def __init__(self, names: AirflowNameResolver, mapper: Mapper) -> None:
        self.names = names
        self.mapper = mapper

    @property
    def revision(self) -> int:
        """Grows when resolutions may differ from earlier ones."""
        return self.names.revision

    def find_similar(self, _key: KeyParts) -> None:
        """None: what the file makes of a line may differ for each."""

    def look_up(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature. Never raises, and reserves no family name."""
        own = self.names.recall(signature) or self.names.look_up(signature)
        return merge(own, self.mapper.look_up(signature))

    def resolve(self, signature: Signature) -> Resolution:
        """What becomes of all lines of that signature; reserves the name of a new family."""
        found = self.look_up(signature)
        if found.claim:
            found.claim()
        return found

    def restore_family(self, spec: FamilySpec) -> Family | None:
        """The family that an earlier process made at run time; None if it would not be made now."""
        return (self.names if spec.name.startswith(custom.PREFIX) else self.mapper).restore_family(spec)

    def release(self, families: list[Family]) -> None:
        """Free the names of families whose last series expired."""
        self.names.release(families)
        self.mapper.release(families)

    def take_corrections(self) -> IdCorrections | None:
        """Corrected ids of DAGs and tasks; a mapping file decides itself how it reads ids."""
        return self.names.take_corrections()


def load_beside(path: Path, names: AirflowNameResolver, before: Resolver | None) -> BesideResolver:
    """The resolver for a mapping file beside Airflow's names. Raises MappingError."""
    families = before.mapper.families if isinstance(before, BesideResolver) else MappedFamilies(ReservedNames(), MAPPED)
    return BesideResolver(names, load_mapping(path, families, exposes_unmapped=False))


def find_names(resolver: Resolver | None) -> AirflowNameResolver | None:
    """The part of a resolver that knows Airflow's names; None if it has none."""
    if isinstance(resolver, BesideResolver):
        return resolver.names
    return resolver if isinstance(resolver, AirflowNameResolver) else None


def list_conflicts(mapper: Mapper) -> Iterator[str]:
    """Yield each mapping whose metric would have the name of another metric of this exporter, as a sentence."""
    reserved = ReservedNames()
    for rule in mapper.file.rules:
        if not rule.drop and (rule.name in reserved or f"{rule.name}_total" in reserved):
            yield f"{rule.title}: {rule.name} is a name of this exporter: it is dropped as mapped_conflict"


def merge(own: Resolution, mapped: Resolution) -> Resolution:
    """What becomes of a line that feeds the targets of both."""
    if not mapped.targets:
        return own if mapped.drop in ("unmapped", "mapped_drop") else add_mapped_drop(own, mapped)
    plans = own.plan if own.targets else own.drop, mapped.plan
    return Resolution(
        " + ".join(rule for rule in (own.rule, mapped.rule) if rule),
        (*own.targets, *mapped.targets),
        # A line that only the file knows is not missing anywhere.
        drop="" if own.drop == "unmapped" else own.drop,
        note=own.note,
        ambiguous=own.ambiguous,
        plan=None if None in plans else plans,
        claim=join_claims(own.claim, mapped.claim),
    )


def add_mapped_drop(own: Resolution, mapped: Resolution) -> Resolution:
    """The resolution of Airflow's names, with the reason why the file's metric cannot be fed."""
    if own.drop in RETRIABLE_DROPS:
        return own
    drop = "mapped_capped" if mapped.drop == "capped" else "mapped_conflict"
    return own._replace(drop=drop, plan=None if own.plan is None else (own.plan, drop))


def join_claims(first: Callable[[], object] | None, second: Callable[[], object] | None) -> Callable[[], object] | None:
    """A function that reserves the names of both."""
    if first is None or second is None:
        return first or second

    def claim() -> None:
        first()
        second()

    return claim
