"""What the proof on real causes changes of the shipped rules, and that it changes nothing else."""

from __future__ import annotations

import pytest

from tests.e2e.alerts import overrides

FACTOR = 20


@pytest.mark.parametrize(
    ("shipped", "hastened"),
    [
        ("rate(a[10m])", "rate(a[30s])"),
        ("rate(a[5m])", "rate(a[20s])"),
        ("max_over_time(a[1h30m:1m])", "max_over_time(a[270s:2s])"),
        ("increase(a[7d]) > 900", "increase(a[30240s]) > 900"),
        ("avg_over_time(a[30m] offset 6h)", "avg_over_time(a[90s] offset 1080s)"),
        ('a{b="[5x]"} > 120', 'a{b="[5x]"} > 120'),
    ],
)
def test_windows_become_narrower_and_numbers_stay(shipped: str, hastened: str) -> None:
    assert overrides.hasten_expression(shipped, FACTOR) == hastened


def test_an_alert_holds_for_less() -> None:
    rule = {"alert": "A", "expr": "a > 1", "for": "15m", "keep_firing_for": "10s", "labels": {"severity": "warning"}}
    changed = overrides.hasten_rule(rule, FACTOR)
    assert changed == {**rule, "for": "45s", "keep_firing_for": "1s"}


def test_waits_among_the_settings_are_shorter_and_other_settings_stay() -> None:
    wait = {"record": "airflow:threshold:scheduled_wait_seconds", "expr": "vector(900)"}
    share = {"record": "airflow:threshold:cpu_ratio", "expr": "vector(0.8)"}
    assert overrides.hasten_rule(wait, FACTOR)["expr"] == "vector(20)"
    assert overrides.hasten_rule(share, FACTOR) == share


def test_every_wait_is_a_setting_that_is_shipped() -> None:
    recorded = {
        rule.get("record")
        for _, document in overrides.shipped_rules()
        for group in document["groups"]
        for rule in group["rules"]
    }
    assert recorded >= set(overrides.WAITS)


def test_every_shipped_rule_is_there_and_keeps_its_labels() -> None:
    for _, document in overrides.shipped_rules():
        changed = overrides.hasten(document, FACTOR)
        for before, after in zip(document["groups"], changed["groups"], strict=True):
            assert after["interval"] == "2s"
            for one, other in zip(before["rules"], after["rules"], strict=True):
                kept = set(one) - {"expr", "for", "keep_firing_for"}
                assert {name: one[name] for name in kept} == {name: other[name] for name in kept}


def test_the_configuration_has_our_addresses() -> None:
    config = overrides.prometheus_config({"127.0.0.1:1": "e2e"}, "127.0.0.1:2", seconds=2)
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["127.0.0.1:1"], "labels": {"airflow": "e2e"}}]
    assert config["alerting"]["alertmanagers"] == [{"static_configs": [{"targets": ["127.0.0.1:2"]}]}]
    assert config["rule_files"] == ["rules/*.yml", "alerts/*.yml"]
    assert config["global"]["scrape_interval"] == "2s"
