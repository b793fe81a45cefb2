"""A resource that all its users share evenly, of which none can use more than a whole unit: cores, a database.

This is processor sharing with a cap for each user. All users progress at the same rate, so that a virtual clock which
runs at that rate gives the next one to finish, whatever their number.
"""

from __future__ import annotations

import math
from heapq import heappop, heappush
from typing import Generic, TypeVar

User = TypeVar("User")


class SharedResource(Generic[User]):
    """Work in progress on one resource."""

    def __init__(self, units: float) -> None:
        self.units = units
        """Seconds of work that it does in a second."""
        self.slowdown = 1.0
        """How many times as long all work takes for another reason."""
        self.done_seconds = 0.0
        """Work done until `update` was called last."""
        self.busy_seconds = 0.0
        """Unit seconds in which it was busy: more than the work done while it is slowed down."""
        self.changes = 0
        """How often the next end may have changed."""
        self._users: list[tuple[float, int, User]] = []
        self._count = 0
        self._virtual = 0.0
        self._now = 0.0

    def __len__(self) -> int:
        """Its users."""
        return len(self._users)

    @property
    def rate(self) -> float:
        """Seconds of work that each user gets done in a second."""
        count = len(self._users)
        return (1.0 if count <= self.units else self.units / count) / self.slowdown

    def update(self, now: float) -> None:
        """Do the work until now."""
        passed, count = now - self._now, len(self._users)
        if passed > 0 and count:
            rate = self.rate
            self._virtual += passed * rate
            self.done_seconds += passed * rate * count
            self.busy_seconds += passed * min(count, self.units)
        self._now = now

    def add(self, now: float, user: User, seconds: float) -> None:
        """Begin some work of a user."""
        self.update(now)
        self._count += 1
        self.changes += 1
        heappush(self._users, (self._virtual + seconds, self._count, user))

    def remove_next(self, now: float) -> User:
        """End the work that ends next, which is now."""
        self.update(now)
        self.changes += 1
        finished, _, user = heappop(self._users)
        self._virtual = max(self._virtual, finished)
        return user

    def slow_down(self, now: float, factor: float) -> None:
        """Let all work take `factor` times as long from now on."""
        self.update(now)
        self.changes += 1
        self.slowdown = factor

    def get_next_end(self) -> float:
        """When the next work ends if nothing changes; infinite without users."""
        if not self._users:
            return math.inf
        return self._now + max(0.0, self._users[0][0] - self._virtual) / self.rate
