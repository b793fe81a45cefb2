"""When causes began and ended, and when the inbox was told of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.alertmanager.server import Notice

Read = Callable[[], Sequence[Notice]]
TABLE = (
    "| alert | cause | to | cause to notification | end of cause to resolution |",
    "| --- | --- | --- | ---: | ---: |",
)


@dataclass
class Trial:
    """One alert that one cause must fire, and that must resolve when the cause has ended."""

    alert: str
    cause: str
    labels: Mapping[str, str] = field(default_factory=dict)
    began: float = 0.0
    ended: float = 0.0
    notified: float | None = None
    resolved: float | None = None
    receivers: tuple[str, ...] = ()

    def look(self, notices: Iterable[Notice]) -> None:
        """Find in what the inbox holds when this alert was told of, and when its end was."""
        for notice in notices:
            if notice.received < self.began or not (states := set(self._states(notice))):
                continue
            if "firing" in states and self.notified is None:
                self.notified = notice.received
            if "firing" in states:
                self.receivers = tuple(sorted({*self.receivers, notice.receiver}))
            if self.ended and notice.received > self.ended and self.resolved is None and states == {"resolved"}:
                self.resolved = notice.received

    def _states(self, notice: Notice) -> Iterator[str]:
        wanted = {"alertname": self.alert, **self.labels}.items()
        for alert in notice.alerts:
            if wanted <= alert["labels"].items():
                yield alert["status"]

    def __str__(self) -> str:
        fired = f"{self.notified - self.began:.0f} s" if self.notified else "NEVER"
        gone = f"{self.resolved - self.ended:.0f} s" if self.resolved else "NEVER"
        return f"| {self.alert} | {self.cause} | {', '.join(self.receivers)} | {fired} | {gone} |"


class Journal:
    """All trials of one run, looked up in what the inbox has recorded."""

    def __init__(self, read: Read, say: Callable[[str], None]) -> None:
        self.trials: list[Trial] = []
        self._read = read
        self._say = say

    def begin(self, cause: str, alerts: Mapping[str, Mapping[str, str]]) -> None:
        """A cause begins now: of these alerts, with these labels, the inbox must be told."""
        now = time.time()
        self.trials += [Trial(alert, cause, labels, began=now) for alert, labels in alerts.items()]
        self._say(f"  begun: {cause}")

    def end(self, cause: str) -> None:
        """A cause has ended now."""
        now = time.time()
        for trial in self.trials:
            if trial.cause == cause:
                trial.ended = now
        self._say(f"  ended: {cause}")

    def look(self) -> list[Notice]:
        """Read the inbox."""
        notices = list(self._read())
        for trial in self.trials:
            trial.look(notices)
        return notices

    def wait(self, what: str, done: Callable[[Trial], Any], causes: Iterable[str], seconds: float) -> bool:
        """Wait until all trials of these causes are so far; what is missing in the end is said, and is in the table."""
        wanted = set(causes)
        end = time.monotonic() + seconds
        while True:
            self.look()
            missing = [trial for trial in self.trials if trial.cause in wanted and not done(trial)]
            if not missing:
                return True
            if time.monotonic() > end:
                self._say(f"  not {what} after {seconds:.0f} s: " + ", ".join(trial.alert for trial in missing))
                return False
            time.sleep(0.5)

    def is_notified(self, cause: str) -> bool:
        """Whether the inbox has been told of all alerts of this cause."""
        self.look()
        return all(trial.notified for trial in self.trials if trial.cause == cause)

    def wait_notified(self, *causes: str, seconds: float) -> bool:
        """Wait until the inbox has been told of all these causes."""
        return self.wait("notified", lambda trial: trial.notified, causes, seconds)

    def wait_resolved(self, *causes: str, seconds: float) -> bool:
        """Wait until the inbox has been told of the end of all these causes, of which it was told at all."""
        return self.wait("resolved", lambda trial: trial.resolved or not trial.notified, causes, seconds)

    def table(self) -> list[str]:
        """A line for each alert."""
        return [*TABLE, *map(str, self.trials)]
