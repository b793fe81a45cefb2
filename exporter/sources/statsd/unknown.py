"""The resolver of last resort: users' own counters, gauges and timers under their plain names are not known to it."""

from __future__ import annotations

from exporter.directory import Directory
from exporter.settings import StatsdSettings
from exporter.sources.statsd.event import Resolution, Signature


class Unknown:
    """Knows no name: everything is counted as unmapped."""

    def __init__(self, settings: StatsdSettings, directory: Directory) -> None:
        self.settings = settings
        self._directory = directory

    @property
    def revision(self) -> int:
        """Grows when ids become known."""
        return self._directory.revision

    @revision.setter
    def revision(self, _: int) -> None:
        """Only the directory's revision counts."""

    def resolve(self, signature: Signature) -> Resolution:
        """Nothing comes of any name."""
        del signature
        return Resolution("", drop="unmapped")
