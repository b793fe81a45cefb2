"""Reload of the web configuration file: TLS certificates, users and headers change without a restart."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from exporter.web.security.basic_auth import UserDatabase
from exporter.web.security.settings import WebConfig, WebConfigError

log = logging.getLogger(__name__)

FileStats = frozenset[tuple[Path, tuple[int, int, int] | None]]
"""Modification time, size and inode of each file; None for a file that does not exist."""


@dataclass(frozen=True, slots=True, eq=False)
class ActiveWebConfig:
    """The web configuration in use; a reload replaces the whole object."""

    config: WebConfig
    users: UserDatabase

    @property
    def ssl_context(self) -> ssl.SSLContext | None:
        """The context for new TLS handshakes; None for plain HTTP."""
        return self.config.ssl_context


class WebConfigReloader:
    """Holds the configuration in use. `reload_if_changed` is called from one thread; `active` is read from any."""

    def __init__(self, path: Path | None = None) -> None:
        """Raises WebConfigError if the file cannot be used."""
        self._path = path
        self._files: frozenset[Path] = frozenset({path} if path else ())
        self._last_stats = self._loaded_stats = stats = stat_files(self._files)
        self.failures = 0
        """Number of changes that could not be used."""
        self.active = self._load()
        self._mark_loaded(stats)

    def reload_if_changed(self) -> bool:
        """Reload the files if they changed. Returns whether a new configuration is in use; an error keeps the old one.

        A change is loaded when two calls in a row see the same files, so that a half-written file, or a
        new certificate whose key is not written yet, is not read.
        """
        stats = stat_files(self._files)
        if stats == self._loaded_stats:
            return False
        if stats != self._last_stats:
            self._last_stats = stats
            return False
        reloaded = self._reload()
        self._mark_loaded(stats)
        return reloaded

    def _reload(self) -> bool:
        try:
            loaded = self._load()
            refuse_weaker_config(self.active, loaded)
        except WebConfigError as error:
            self._files |= error.files
            self._log_problems(error.problems)
            return False
        self.active = loaded
        log.info("the web configuration was reloaded", extra={"file": str(self._path)})
        return True

    def _load(self) -> ActiveWebConfig:
        config = WebConfig()
        if self._path:
            from exporter.web.security.file import load_web_config  # noqa: PLC0415 - yaml is only loaded if there is such a file

            config = load_web_config(self._path)
            self._files = config.files | {self._path}
        if config.http2:
            log.warning("http2 is on in the web configuration, but this server speaks HTTP/1.1 only")
        return ActiveWebConfig(config, UserDatabase(config.users))

    def _mark_loaded(self, stats: FileStats) -> None:
        """Keep the stats from before the files were read, so that a change made during the read is noticed."""
        kept = frozenset(entry for entry in stats if entry[0] in self._files)
        self._loaded_stats = self._last_stats = kept | stat_files(self._files - {path for path, _ in kept})

    def _log_problems(self, problems: Iterable[str]) -> None:
        self.failures += 1
        for problem in problems:
            log.error("the web configuration was not reloaded, the old one stays in use: %s", problem)


def refuse_weaker_config(old: ActiveWebConfig, new: ActiveWebConfig) -> None:
    """Raise WebConfigError if the new configuration drops TLS, the users or the client certificates.

    An editor that empties a file before it writes, or a failed mount, must not leave the server unprotected.
    """
    weaker = []
    if old.ssl_context and not new.ssl_context:
        weaker.append("tls_server_config was removed; restart the exporter to serve without TLS")
    if len(old.users) and not len(new.users):
        weaker.append("basic_auth_users was removed; restart the exporter to serve without passwords")
    if old.ssl_context and new.ssl_context and old.ssl_context.verify_mode > new.ssl_context.verify_mode:
        weaker.append("client_auth_type became weaker; restart the exporter to accept clients without certificates")
    if weaker:
        raise WebConfigError(tuple(weaker), new.config.files)


def stat_files(files: Iterable[Path]) -> FileStats:
    """The stats that show whether a file was changed, replaced or removed."""
    return frozenset((path, stat_file(path)) for path in files)


def stat_file(path: Path) -> tuple[int, int, int] | None:
    """Modification time, size and inode; None if the file does not exist."""
    try:
        stat = path.stat()
    except (OSError, ValueError):  # ValueError: the path has a NUL byte
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
