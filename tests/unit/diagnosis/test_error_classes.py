"""The classes of failed tries: what is described is what the metrics have."""

from __future__ import annotations

from exporter.diagnosis.error_classes import CLASSES, NAMES
from exporter.metrics.catalogue.api import failures


def test_the_metrics_have_these_classes() -> None:
    assert failures.ERROR_CLASSES == NAMES


def test_each_class_is_described_in_sentences() -> None:
    for one in CLASSES:
        assert one.meaning.endswith(".")
        assert one.suggestion.endswith(".")
        assert not one.setting.endswith(".")
