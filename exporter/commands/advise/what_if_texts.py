"""The result of `advise --what-if` as text for a terminal and as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from exporter.commands.advise.texts import indent
from exporter.tuning.simulation.change import WhatIf
from exporter.tuning.simulation.comparison import MAX_ERROR, ScopeResult, Waits, WhatIfResult
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.slowdown.fit import FittedSlowdown

HOUR = 3600.0
FULL_MACHINES = (
    "With the change more tasks run at once than ever in the window, and nothing shows whether the machines have room "
    "for them. The row `if full` is for machines that have none: the waits will be somewhere between the two rows. To "
    "know more, run the exporter with --collector.host on the machines where tasks run."
)


def to_text(result: WhatIfResult, settings: SimulatedSettings, notes: Sequence[str]) -> Iterator[str]:
    """The result as lines for a terminal."""
    yield "WHAT IF " + ", ".join(describe_change(change, settings) for change in result.changes)
    yield from (f"  note: {note}" for note in notes)
    if result.refusal:
        yield f"  Cannot say what would happen: {result.refusal}."
    for scope in result.scopes:
        yield from format_scope(scope, show_after=not result.refusal)
    if result.fitted is not None and not result.refusal:
        yield from indent(describe_slowdown(result.fitted), "  ", "  ")
    if not result.refusal and any(scope.worst for scope in result.scopes):
        yield from indent(FULL_MACHINES, "  ", "  ")


def describe_change(change: WhatIf, settings: SimulatedSettings) -> str:
    """A change with the value as it is."""
    current = change.get_current(settings)
    return f"{change} (now {'unlimited' if math.isinf(current) else format(current, 'g')})"


def describe_slowdown(fitted: FittedSlowdown) -> str:
    """How much tries slow each other down in the simulation, and how that is known."""
    capacity, unit = fitted.slowdown.capacity, "CPUs" if fitted.slowdown.knows_shares else "tasks"
    match fitted.basis:
        case "cpus":
            return f"Tries take longer where they want more CPUs than the machines have for tasks: {capacity:.1f}."
        case "durations":
            return (
                f"Tries take longer where they want more than {capacity:.1f} {unit} at once: in the window the same "
                "tasks took longer while more ran."
            )
        case "stretch":
            return f"Tries take longer where more than {capacity:.1f} tasks run: that is the recorded stretch."
        case _:
            return "Tries keep the durations that they had: nothing shows that they slow each other down."


def format_scope(scope: ScopeResult, *, show_after: bool) -> Iterator[str]:
    """The waits of some tries as lines."""
    yield f"  {scope.name}: {scope.observed.tries:,} tries"
    yield f"    {'':10} {'waited in all':>14} {'mean':>9} {'p95':>9} {'longest':>9} {'runs queued':>12} {'mean run':>9}"
    rows = [("observed", scope.observed), ("simulated", scope.before)]
    if show_after:
        rows.append(("with it", scope.after))
    if show_after and scope.worst is not None:
        rows.append(("if full", scope.worst))
    yield from (format_waits(name, waits) for name, waits in rows)
    if show_after and scope.after.never > scope.before.never:
        yield f"    {scope.after.never - scope.before.never:,} tries would never start"
    yield f"    error of the simulation on the settings as they were: {scope.error:+.1%} (allowed: {MAX_ERROR:.0%})"


def format_waits(name: str, waits: Waits) -> str:
    """A row of the table."""
    return (
        f"    {name:10} {waits.seconds / HOUR:12.2f} h {waits.mean:7.1f} s {waits.p95:7.1f} s {waits.longest:7.0f} s "
        f"{waits.queued_run_seconds / HOUR:10.2f} h {waits.mean_run:7.1f} s"
    )


def to_json(result: WhatIfResult, settings: SimulatedSettings, notes: Sequence[str]) -> dict[str, Any]:
    """The result as JSON."""
    return {
        "changes": [
            {"setting": one.name, "value": one.value, "current": to_number(one.get_current(settings))}
            for one in result.changes
        ],
        "refusal": result.refusal or None,
        "notes": list(notes),
        "scopes": [to_json_scope(scope, show_after=not result.refusal) for scope in result.scopes],
        "tries_with_unknown_wait": result.unknown_waits,
        "slowdown": to_json_slowdown(result.fitted),
    }


def to_json_slowdown(fitted: FittedSlowdown | None) -> dict[str, Any] | None:
    """From what on tries slow each other down, as JSON."""
    if fitted is None or not fitted.basis:
        return None
    unit = "cpus" if fitted.slowdown.knows_shares else "tasks"
    return {"basis": fitted.basis, "capacity": round(fitted.slowdown.capacity, 3), "unit": unit}


def to_json_scope(scope: ScopeResult, *, show_after: bool) -> dict[str, Any]:
    """The waits of some tries as JSON."""
    return {
        "name": scope.name,
        "error": round(scope.error, 4),
        "observed": to_json_waits(scope.observed),
        "simulated": to_json_waits(scope.before),
        "changed": to_json_waits(scope.after) if show_after else None,
        "changed_if_full": to_json_waits(scope.worst) if show_after and scope.worst else None,
    }


def to_json_waits(waits: Waits) -> dict[str, Any]:
    """Waits in seconds."""
    return {
        "tries": waits.tries,
        "seconds": round(waits.seconds, 3),
        "mean_seconds": round(waits.mean, 3),
        "p95_seconds": round(waits.p95, 3),
        "longest_seconds": round(waits.longest, 3),
        "tries_that_never_start": waits.never,
        "queued_run_seconds": round(waits.queued_run_seconds, 3),
        "mean_run_seconds": round(waits.mean_run, 3),
    }


def to_number(value: float) -> float | None:
    """A limit for JSON; None for unlimited."""
    return None if math.isinf(value) else value
