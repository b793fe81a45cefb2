"""A stand-in for a resolver of StatsD names; subclasses define `look_up`."""

from __future__ import annotations

from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.model import ALL_DIALECTS, KeyParts, Resolution, Signature


class FakeResolver:
    """Learns nothing, and makes no families."""

    dialects = ALL_DIALECTS
    revision = 0

    def find_similar(self, _key: KeyParts) -> None:
        """No line is like another."""

    def look_up(self, signature: Signature) -> Resolution:
        """Drop every line."""
        return Resolution(signature.name, drop="unmapped")

    def resolve(self, signature: Signature) -> Resolution:
        """The same as `look_up`."""
        return self.look_up(signature)

    def restore_family(self, _: FamilySpec) -> Family | None:
        """No family outlasts a process."""
        return None

    def release(self, families: object) -> None:
        """No family is remembered."""

    def take_corrections(self) -> None:
        """No id was given out wrongly."""
