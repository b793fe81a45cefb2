"""What the sources of the database and of Celery know is kept when a configuration is reloaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.config.settings import CelerySettings, DatabaseSettings, Settings
from exporter.engine import Engine

VARIABLE = "TEST_SOURCE_URL"


def test_sources_whose_settings_are_the_same_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "postgresql://nowhere.invalid/airflow")
    only = {name: name in ("database", "celery") for name in Settings().collectors}
    database, celery = DatabaseSettings(url_environment=VARIABLE), CelerySettings(broker_url_environment=VARIABLE)
    settings = Settings(collectors=only, database=database, celery=celery)
    engine = Engine(settings)
    before = engine.sources
    assert before.keys() == {"database", "celery"}
    kept = {source.name: source for source in engine._build_sources(replace(settings, birth_hold=1.0))}
    assert kept == before
    others = replace(settings, database=replace(database, timeout=3.0), celery=replace(celery, queues=("a",)))
    assert all(source is not before[source.name] for source in engine._build_sources(others))
