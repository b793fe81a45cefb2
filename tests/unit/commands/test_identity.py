"""Which labels say which Airflow it is: what may be one, and what PromQL, texts and queries become of them."""

from __future__ import annotations

import pytest

from exporter.commands.identity import (
    IdentityError,
    parse_identity,
    rewrite_dashboard_text,
    rewrite_promql,
    rewrite_template,
)

FURTHER = ("cluster", "namespace")


def test_the_labels_are_read_in_their_order() -> None:
    assert parse_identity("airflow") == ("airflow",)
    assert parse_identity("airflow, cluster,namespace") == ("airflow", "cluster", "namespace")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("cluster", "write airflow first"),
        ("cluster,airflow", "write airflow first"),
        ("airflow,", "not a label name"),
        ("airflow,my-cluster", "not a label name"),
        ("airflow,__name__", "not a label name"),
        ("airflow,cluster,cluster", "given twice"),
        ("airflow,instance", "distinguishes objects within one"),
        ("airflow,dag_id", "distinguishes objects within one"),
        ("airflow,owners", "distinguishes objects within one"),
    ],
)
def test_what_cannot_identify_an_airflow_is_refused(text: str, said: str) -> None:
    with pytest.raises(IdentityError, match=said):
        parse_identity(text)


@pytest.mark.parametrize(
    ("expression", "rewritten"),
    [
        ("sum by (airflow, dag_id) (a)", "sum by (airflow, cluster, namespace, dag_id) (a)"),
        ("sum(a) by(dag_id,airflow)", "sum(a) by(dag_id,airflow, cluster, namespace)"),
        ("SUM BY (airflow) (a)", "SUM BY (airflow, cluster, namespace) (a)"),
        ("a * on (airflow) group_left (owners) b", "a * on (airflow, cluster, namespace) group_left (owners) b"),
        ("max without (airflow) (a)", "max without (airflow) (a)"),
        ("a - ignoring (airflow) b", "a - ignoring (airflow) b"),
        ("sum by (job) (airflow)", "sum by (job) (airflow)"),
        ('a{airflow="by (airflow)"}', 'a{airflow="by (airflow)"}'),
        ("a{x='on (airflow)'} # by (airflow)\n", "a{x='on (airflow)'} # by (airflow)\n"),
        ("count by # why\n (airflow) (a)", "count by # why\n (airflow, cluster, namespace) (a)"),
        ("a unless on () (airflow)", "a unless on () (airflow)"),
        ("a and on (namespace, pod) b", "a and on (namespace, cluster, namespace, pod) b"),
        ("max by (airflow, namespace) (a)", "max by (airflow, cluster, namespace, namespace) (a)"),
    ],
)
def test_lists_of_labels_that_are_kept_have_the_further_ones(expression: str, rewritten: str) -> None:
    assert rewrite_promql(expression, FURTHER) == rewritten


def test_texts_name_them_links_choose_them_and_queries_match_them() -> None:
    text = (
        "of Airflow{{ with $labels.airflow }} {{ . }}{{ end }} is late"
        " /d/x?var-airflow={{ $labels.airflow | urlquery }}&var-dag_id=1"
        ' {{ with printf "airflow_ui_info{airflow=%q}" $labels.airflow | query }}{{ end }}'
    )
    assert rewrite_template(text, ("cluster",)) == (
        "of Airflow{{ with $labels.airflow }} {{ . }}{{ end }}"
        "{{ with $labels.cluster }} cluster={{ . }}{{ end }} is late"
        " /d/x?var-airflow={{ $labels.airflow | urlquery }}&var-cluster={{ $labels.cluster | urlquery }}&var-dag_id=1"
        ' {{ with printf "airflow_ui_info{airflow=%q,cluster=%q}" $labels.airflow $labels.cluster | query }}{{ end }}'
    )


def test_queries_and_links_of_dashboards_go_by_their_variables() -> None:
    assert rewrite_dashboard_text('a{airflow="$airflow", x="y"}', FURTHER) == (
        'a{airflow="$airflow", cluster="$cluster", namespace="$namespace", x="y"}'
    )
    assert (
        rewrite_dashboard_text("?${airflow:queryparam}&x", ("cluster",))
        == "?${airflow:queryparam}&${cluster:queryparam}&x"
    )
