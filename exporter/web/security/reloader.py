"""What the web configuration file asks for, kept up to date while the server runs."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exporter.web.security.basic_auth import Keyring
from exporter.web.security.settings import WebConfig, WebConfigError

log = logging.getLogger(__name__)

Fingerprint = frozenset[tuple[Path, tuple[int, int, int] | None]]
"""Of each file its change time, size and inode; None for one that is not there."""


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """One state of the file, swapped as a whole."""

    config: WebConfig
    keyring: Keyring

    @property
    def context(self) -> ssl.SSLContext | None:
        """For new handshakes; None is plain HTTP."""
        return self.config.context


class Protection:
    """The rules in force. `refresh` is called from one thread at a time; `rules` may be read from any."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises WebConfigError if the file cannot be used."""
        self._path = path
        self._files: frozenset[Path] = frozenset({path} if path else ())
        self._noticed = self._settled = found = fingerprint(self._files)
        self.failures = 0
        """How many changes of the files could not be used."""
        self.rules = self._load()
        self._settle(found)

    def refresh(self) -> bool:
        """Look at the files, and use them if they changed. A change that cannot be used leaves the rules in force.

        Files are used once they are found unchanged by two calls in a row: a file half written, or a
        certificate whose key is yet to come, is never read.
        """
        found = fingerprint(self._files)
        if found == self._settled:
            return False
        if found != self._noticed:
            self._noticed = found
            return False
        adopted = self._adopt()
        self._settle(found)
        return adopted

    def _adopt(self) -> bool:
        try:
            rules = self._load()
            refuse_exposure(self.rules, rules)
        except WebConfigError as error:
            self._files |= error.files
            self._reject(error.problems)
            return False
        self.rules = rules
        log.info("the web configuration changed and is in use", extra={"file": str(self._path)})
        return True

    def _load(self) -> Rules:
        config = WebConfig()
        if self._path:
            from exporter.web.security.file import load  # noqa: PLC0415 - YAML is large, and most have no such file

            config = load(self._path)
            self._files = config.files | {self._path}
        if config.http2:
            log.warning("http2 is on in the web configuration, but this server speaks HTTP/1.1 only")
        return Rules(config, Keyring(config.users))

    def _settle(self, found: Fingerprint) -> None:
        """Take as known what was found before reading, so that a change made meanwhile is noticed."""
        kept = frozenset(entry for entry in found if entry[0] in self._files)
        self._settled = self._noticed = kept | fingerprint(self._files - {path for path, _ in kept})

    def _reject(self, problems: Iterable[str]) -> None:
        self.failures += 1
        for problem in problems:
            log.error("the web configuration changed but cannot be used, the old one stays: %s", problem)


def refuse_exposure(old: Rules, new: Rules) -> None:
    """Raise WebConfigError if a protection would go while the server runs.

    An editor that empties a file before writing it, or a mount that fails, must not open the server.
    """
    lost = []
    if old.context and not new.context:
        lost.append("it has no tls_server_config any more; restart to serve without TLS")
    if len(old.keyring) and not len(new.keyring):
        lost.append("it has no basic_auth_users any more; restart to serve without passwords")
    if old.context and new.context and old.context.verify_mode > new.context.verify_mode:
        lost.append("its client_auth_type asks for less; restart to serve clients without certificates")
    if lost:
        raise WebConfigError(tuple(lost), new.config.files)


def fingerprint(files: Iterable[Path]) -> Fingerprint:
    """What tells whether one of the files was changed, replaced or removed."""
    return frozenset((path, identify(path)) for path in files)


def identify(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):  # the latter where it is no file name at all
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
