"""Alertmanager's own programs; tests that need them are skipped without them, and the summary says so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.alertmanager.server import Alertmanager, Config, Inbox, find_program, hurried, readdressed, shipped_config
from tests.conftest import NOT_RUN


@pytest.fixture(scope="session")
def amtool() -> Path:
    found = find_program("amtool")
    if not found:
        pytest.skip(f"{NOT_RUN}: amtool is neither in PATH nor named by $AMTOOL_BIN")
    return Path(found)


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[Inbox]:
    with contextlib.closing(Inbox(tmp_path)) as inbox:
        yield inbox


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[Config], Alertmanager]]:
    """Starts a real Alertmanager with a configuration."""
    program = find_program("alertmanager")
    if not program:
        pytest.skip(f"{NOT_RUN}: alertmanager is neither in PATH nor named by $ALERTMANAGER_BIN")
    with contextlib.ExitStack() as stack:

        def begin(config: Config) -> Alertmanager:
            server = stack.enter_context(contextlib.closing(Alertmanager(program, tmp_path / "alertmanager", config)))
            server.wait_ready()
            return server

        yield begin


@pytest.fixture
def manager(start: Callable[[Config], Alertmanager], inbox: Inbox) -> Alertmanager:
    """The shipped configuration, no secret set, hurried."""
    return start(readdressed(hurried(shipped_config()), inbox.address))
