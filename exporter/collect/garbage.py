"""Python's garbage collector, and what was put out of its reach."""

from __future__ import annotations

import gc


def free_frozen() -> None:
    """Free what nothing refers to any more, also among the objects that are frozen.

    StatsD's receiver freezes what exists, so that collections are short. Sources that are replaced later are among it:
    their objects refer to each other, and would never be freed.
    """
    was_frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if was_frozen:
        gc.freeze()
