"""What a mapping file of statsd_exporter does here."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.metrics.family import Kind
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.statsd.mapping import families
from exporter.sources.statsd.mapping.file import BUCKETS, MappingError
from exporter.sources.statsd.mapping.mapper import load_mapping, parse_mapping
from exporter.sources.statsd.model import Action, MetricType, Signature

WORDS = st.sampled_from(["a", "b", "ccc", "*"])
PATTERNS = st.lists(WORDS, min_size=1, max_size=4).map(".".join)


def show(text: str, name: str, kind: MetricType = MetricType.COUNTER, *tags: tuple[str, str]) -> str:
    """The series that a name feeds, or why it feeds none."""
    resolution = parse_mapping(text).resolve(Signature(name, kind, tags))
    if resolution.drop:
        return resolution.drop
    [target] = resolution.targets
    labels = zip(target.family.labels, target.labels, strict=True)
    return target.family.name + "".join(f" {label}={value}" for label, value in labels)


def write(*patterns: str, ordered: bool = True) -> str:
    head = f"defaults: {{glob_disable_ordering: {str(not ordered).lower()}}}\nmappings:\n"
    return head + "".join(f"- match: '{pattern}'\n  name: rule_{index}\n" for index, pattern in enumerate(patterns))


def test_a_name_without_a_mapping_comes_out_escaped_with_its_tags() -> None:
    assert show("", "9a.b--c/d", MetricType.COUNTER, ("dag.id", "x"), ("flag", "")) == "_9a_b_c_d dag_id=x"


def test_times_are_summaries_in_seconds_and_sizes_keep_their_unit() -> None:
    mapper = parse_mapping("")
    [timer] = mapper.resolve(Signature("t", MetricType.TIMER)).targets
    [size] = mapper.resolve(Signature("s", MetricType.HISTOGRAM)).targets
    assert (timer.family.kind, timer.scale, timer.action) == (Kind.SUMMARY, 0.001, Action.OBSERVE)
    assert (size.scale, [quantile for quantile, _ in size.family.objectives]) == (1.0, [0.5, 0.9, 0.99])


def test_the_first_of_several_globs_wins_and_a_star_takes_one_segment() -> None:
    text = write("a.*.c", "a.b.*", "*.b.c")
    assert [show(text, name) for name in ("a.b.c", "a.b.d", "z.b.c", "a.b", "a.b.c.d")] == [
        *("rule_0", "rule_1", "rule_2", "a_b", "a_b_c_d")
    ]


def test_a_shorter_glob_counts_after_a_longer_one() -> None:
    assert show(write("a.b.c", "a.b"), "a.b") == "rule_1"


def test_without_ordering_literals_win_and_dead_ends_are_left_where_patterns_need_it() -> None:
    assert show(write("a.*.*", "a.b.c", ordered=False), "a.b.c") == "rule_1"
    assert show(write("a.*.*", "a.b.c", ordered=False), "a.b.d") == "a_b_d"
    assert show(write("a.*.d", "a.b.c", ordered=False), "a.b.d") == "rule_0"


@given(st.lists(PATTERNS, min_size=1, max_size=6), st.lists(WORDS, min_size=1, max_size=4).map(".".join))
def test_with_ordering_the_trie_finds_what_one_by_one_would(patterns: list[str], name: str) -> None:
    def fits(pattern: str) -> bool:
        ours, theirs = pattern.split("."), name.split(".")
        return len(ours) == len(theirs) and all(a in ("*", b) for a, b in zip(ours, theirs, strict=True))

    first = next((index for index, pattern in enumerate(patterns) if fits(pattern)), None)
    match = parse_mapping(write(*patterns)).match(name, "counter") if "*" not in name else None
    assert "*" in name or (match and match.rule.position) == first


def test_globs_go_before_regexes_and_regexes_match_anywhere() -> None:
    text = """
mappings:
- {match: 'b\\.(?P<x>\\w+)', match_type: regex, name: by_regex, labels: {got: '$x ${1} $$ $9'}}
- {match: a.b.c, name: by_glob}
"""
    assert show(text, "a.b.c") == "by_glob"
    assert show(text, "a.b.d") == "by_regex got=d d $ "


def test_the_helm_charts_ways_of_writing_work() -> None:
    text = """
mappings:
- {match: airflow.operator_successes_(.*), match_type: regex, name: airflow_operator_successes, labels: {operator: $1}}
- {match: airflow.dag.*.*.duration, name: airflow_task_duration, labels: {dag_id: $1, task_id: $2}}
"""
    assert show(text, "airflow.operator_successes_Bash") == "airflow_operator_successes operator=Bash"
    assert show(text, "airflow.dag.d.t.duration", MetricType.TIMER) == "airflow_task_duration dag_id=d task_id=t"
    assert show(text, "airflow.dag.d.group.t.duration", MetricType.TIMER) == "airflow_dag_d_group_t_duration"


def test_one_name_may_have_several_label_sets_but_one_kind() -> None:
    mapper = parse_mapping("mappings: [{match: a, name: n}, {match: b.*, name: n, labels: {xx: $1}}]")
    assert [len(mapper.resolve(Signature(name, MetricType.COUNTER)).targets) for name in ("a", "b.c")] == [1, 1]
    assert mapper.resolve(Signature("a", MetricType.GAUGE)).drop == "conflict"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("observer_type: histogram, summary_options: {max_age: 5m}", "summary_options: cannot stand beside"),
        ("observer_type: summary, histogram_options: {buckets: [1]}", "histogram_options: cannot stand beside"),
        ("observer_type: wide", "observer_type: is 'wide', not one of summary, histogram"),
        ("buckets: [2, 1]", "buckets: must ascend"),
        ("buckets: [x]", "buckets: is 'x', not a number"),
        ("quantiles: [{quantile: 2, error: 0}]", "between 0 and 1"),
        ("scale: fast", "scale: is 'fast', not a number"),
        ("honor_labels: maybe", "honor_labels: is 'maybe', not true or false"),
        ("labels: {a-b: x}", "labels.a-b: a label has two or more"),
        ("labels: [x]", "labels: must have keys and values"),
        ("ttl: soon", "ttl: is 'soon', not a duration"),
    ],
)
def test_every_mistake_has_its_text(line: str, problem: str) -> None:
    with pytest.raises(MappingError) as told:
        parse_mapping(f"mappings: [{{match: a, name: n, {line}}}]")
    assert [problem in text for text in told.value.problems] == [True]


def test_a_mapping_may_be_for_one_type_of_metric() -> None:
    text = "mappings: [{match: a.*, match_metric_type: gauge, name: g}, {match: a.*, name: all}]"
    assert (show(text, "a.b", MetricType.GAUGE), show(text, "a.b", MetricType.TIMER)) == ("g", "all")


def test_labels_of_the_mapping_win_unless_tags_are_honoured() -> None:
    text = "mappings: [{match: a, name: n, honor_labels: %s, labels: {dag: mapped}}]"
    assert show(text % "false", "a", MetricType.COUNTER, ("dag", "sent")) == "n dag=mapped"
    assert show(text % "true", "a", MetricType.COUNTER, ("dag", "sent")) == "n dag=sent"


def test_dropped_and_nameless_metrics_feed_nothing() -> None:
    text = "mappings: [{match: a, name: n, action: drop}, {match: 'b(x?)', match_type: regex, name: $1}]"
    assert (show(text, "a"), show(text, "b")) == ("mapped_drop", "no_name")


def test_a_resolution_names_its_mapping() -> None:
    assert parse_mapping(write("x", "a.*")).resolve(Signature("a.b", MetricType.COUNTER)).rule == "mappings[1] a.*"


def test_a_label_is_reserved_where_the_lines_of_one_series_differ_by_it() -> None:
    assert show("", "a", MetricType.TIMER, ("quantile", "1")) == "conflict"
    assert show("", "a", MetricType.COUNTER, ("quantile", "1")) == "a quantile=1"
    assert show("", "a", MetricType.COUNTER, ("__name", "1")) == "conflict"


def test_names_without_end_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MAX_NAMES", 3)
    mapper = parse_mapping("")
    drops = [mapper.resolve(Signature(f"n{index}", MetricType.COUNTER)).drop for index in range(5)]
    assert drops == ["", "", "", "capped", "capped"]


def test_options_of_summaries_reach_their_families() -> None:
    text = """
defaults:
  quantiles: [{quantile: 0.25, error: 0.1}]
  summary_options:
    max_age: 1m30s
    age_buckets: 3
    quantiles: [{quantile: 0.9, error: 0.1}, {quantile: 0.9, error: 0.2}]
"""
    [target] = parse_mapping(text).resolve(Signature("t", MetricType.TIMER)).targets
    family = target.family
    assert (family.max_age, family.age_buckets, family.objectives) == (90.0, 3, ((0.9, 0.2),))


def test_merge_keys_null_and_anchors_are_read() -> None:
    text = """
x-common: &common {observer_type: histogram, histogram_options: {buckets: [1, .inf]}}
mappings:
- {<<: *common, match: a, name: a, labels: ~, help: null}
"""
    [target] = parse_mapping(text).resolve(Signature("a", MetricType.TIMER)).targets
    assert (target.family.kind, target.family.buckets, target.family.labels) == (Kind.HISTOGRAM, (1.0,), ())


def test_scalars_keep_their_spelling() -> None:
    text = "mappings: [{match: a, name: a, labels: {code: 0200, flag: yes, ratio: 1.50, day: 2026-01-01}}]"
    assert show(text, "a") == "a code=0200 day=2026-01-01 flag=yes ratio=1.50"


def test_a_file_read_again_goes_on_with_the_families_of_the_old() -> None:
    before = parse_mapping("mappings: [{match: a.*, name: a, labels: {who: $1}}]")
    after = parse_mapping("mappings: [{match: a.b, name: a, labels: {who: ours}}]", before)
    [old], [new] = (mapper.resolve(Signature("a.b", MetricType.COUNTER)).targets for mapper in (before, after))
    assert old.family is new.family
    assert (old.labels, new.labels) == (("b",), ("ours",))
    assert after.resolve(Signature("a.b", MetricType.GAUGE)).drop == "conflict"


def test_options_of_the_other_kind_and_options_given_twice_are_mistakes() -> None:
    quantiles = "[{quantile: 0.5, error: 0.1}]"
    for text, place in (
        ("{match: a, name: a, observer_type: histogram, summary_options: {}}", "mappings[0].summary_options"),
        ("{match: a, name: a, observer_type: summary, histogram_options: {}}", "mappings[0].histogram_options"),
        ("{match: a, name: a, buckets: [1], histogram_options: {buckets: [2]}}", "mappings[0].buckets"),
        (
            f"{{match: a, name: a, quantiles: {quantiles}, summary_options: {{quantiles: {quantiles}}}}}",
            "mappings[0].quantiles",
        ),
    ):
        with pytest.raises(MappingError) as told:
            parse_mapping(f"mappings: [{text}]")
        assert [problem.split(":")[0] for problem in told.value.problems] == [place]


def test_all_problems_are_told_at_once_with_their_places() -> None:
    with pytest.raises(MappingError) as told:
        parse_mapping(
            "defaults: {ttl: 5}\nmappings:\n- {match: a b, name: 9x, colour: red}\n- {match: (, match_type: regex}\n"
        )
    assert [problem.split(":")[0] for problem in told.value.problems] == [
        *("defaults.ttl", "mappings[0].colour", "mappings[0].match", "mappings[0].name"),
        *("mappings[1].name", "mappings[1].match"),
    ]


def test_a_glob_mapping_says_what_it_is_for() -> None:
    with pytest.raises(MappingError) as told:
        parse_mapping("mappings: [{name: a}]")
    assert told.value.problems == ("mappings[0].match: is missing: say which StatsD names the mapping is for",)


def test_a_file_is_described_by_its_mappings() -> None:
    text = "mappings: [{match: a, name: a}, {match: ^b, match_type: regex, name: b}]"
    assert parse_mapping(text).format_summary() == "mappings: 1 with globs (in their order), 1 with regular expressions"


def test_a_file_that_is_not_there_or_not_yaml_is_told(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text("mappings:\n- *x")
    for path, part in ((tmp_path / "none.yml", "cannot be read"), (broken, "line 2: not YAML")):
        with pytest.raises(MappingError, match=part):
            load_mapping(path)


@given(st.text(max_size=80) | st.text("defaultsmpinghc:[]{}-*&$1 \n'\"", max_size=80))
def test_no_file_does_worse_than_to_be_refused(text: str) -> None:
    with contextlib.suppress(MappingError):
        assert parse_mapping(text).format_summary()


@given(st.lists(PATTERNS, max_size=5), st.text(max_size=30), st.sampled_from(list(MetricType)), st.booleans())
def test_no_name_makes_a_mapper_raise(patterns: list[str], name: str, kind: MetricType, ordered: bool) -> None:
    resolution = parse_mapping(write(*patterns, ordered=ordered)).resolve(Signature(name, kind))
    assert bool(resolution.targets) != bool(resolution.drop)


SAVED = """
defaults: {observer_type: histogram, ttl: 1m}
mappings:
- {match: a.*, name: rows_$1, labels: {shop: $1}, match_metric_type: counter}
- {match: 'b\\.(.*)', match_type: regex, name: 'seen_${1}_s', observer_type: summary, help: Seen}
- {match: c, name: rows_fixed, action: drop}
"""


@pytest.mark.parametrize(
    ("spec", "origin"),
    [
        (FamilySpec("rows_a", Kind.COUNTER, ("shop",)), ("Received over StatsD", 60.0)),
        (FamilySpec("rows_a", Kind.COUNTER, ()), None),
        (FamilySpec("rows_a", Kind.HISTOGRAM, ("shop",), BUCKETS), ("Received over StatsD", 60.0)),
        (FamilySpec("rows_a", Kind.HISTOGRAM, ("shop",), (1.0, 2.0)), None),
        (FamilySpec("seen_x_s", Kind.SUMMARY, ()), ("Seen", 60.0)),
        (FamilySpec("seen_x_s", Kind.HISTOGRAM, (), BUCKETS), None),
        (FamilySpec("other", Kind.SUMMARY, ()), None),
        (FamilySpec("other", Kind.COUNTER, ("tag",)), ("Received over StatsD", 60.0)),
    ],
)
def test_a_saved_family_is_made_as_the_file_makes_it_now(spec: FamilySpec, origin: tuple[str, float] | None) -> None:
    family = parse_mapping(SAVED).restore_family(spec._replace(declared=False))
    assert (family and (family.help, family.ttl)) == origin
