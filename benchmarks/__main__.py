"""All benchmarks, one after the other: python -m benchmarks [--smoke]."""

from __future__ import annotations

import argparse
import subprocess
import sys

BENCHMARKS: dict[str, tuple[str, ...]] = {
    "exposition": ("--quick", "--no-goals"),
    "startup": ("--runs", "1", "--no-goals"),
    "memory": ("--lines", "10000"),
    "statsd": ("--quick", "--rates", "2500", "--climb", "10000", "--seconds", "1", "--dags", "100"),
    "poll": ("--quick",),
    "host": ("--sizes", "100", "--seconds", "10", "--no-goals"),
    "idle": ("--seconds", "10", "--processes", "150", "--no-goals"),
    "diagnosis": ("--quick",),
    "database": ("--smoke",),
    "celery": ("--smoke",),
    "scaling": ("--smoke",),
    "host_psutil": ("--processes", "100", "--no-goals"),
}
"""Each with what makes it short; so short a run fails where something is broken, not for its ratios."""


def main() -> int:
    """Run each in a process of its own; the exit code is 1 if one failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="see in minutes whether they work; the figures mean little"
    )
    smoke = parser.parse_args().smoke
    failed = []
    for name, short in BENCHMARKS.items():
        print(f"\n== {name} ==", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *(short if smoke else ())]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    print(f"\nfailed: {', '.join(failed)}" if failed else "\nall benchmarks ran")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
