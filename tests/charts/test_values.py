"""What the schema and the templates refuse, and what the values become in the pod."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

import exporter
from exporter.config.options import OPTIONS
from exporter.metrics.catalogue.families import FAMILIES
from tests.charts.helm import CHART, NAME, ROOT, Helm, HelmError, get_container, get_pod, parse, select
from tests.contract.test_commands import list_commands
from tests.contract.test_docs import is_option

EXAMPLE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
OF_TARGETS = {"namespace", "service", "pod", "container", "endpoint", "node", "job", "instance"}
"""Labels that Prometheus Operator puts on targets."""


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"config": {"airflow": {"urll": "http://airflow"}}}, "at '/config/airflow'"),
        ({"config": {"airflow": {"password": "invented"}}}, "at '/config/airflow'"),
        ({"config": {"celery": {"broker_url": "redis://:invented@redis"}}}, "at '/config/celery'"),
        ({"config": {"airflow": {"password_file": "/somewhere"}}}, "at '/config/airflow'"),
        ({"config": {"airflow": {"task_labels": "no"}}}, "at '/config/airflow/task_labels'"),
        ({"config": {"statsd": {"mode": "graphite"}}}, "at '/config/statsd/mode'"),
        ({"config": {"collector": {"host": True}}}, "at '/config/collector'"),
        ({"files": {"airflow.password": {"secret": "a", "key": "b"}}}, "invalid propertyName 'airflow.password'"),
        ({"files": {"airflow.password_file": {"secret": "a"}}}, "at '/files/airflow.password_file'"),
        ({"files": {"airflow.ca_file": {"secret": "a", "configMap": "b", "key": "c"}}}, "at '/files/airflow.ca_file'"),
        ({"identity": {"airflow": None}}, "at '/identity'"),
        ({"identity": {"airflow": ""}}, "at '/identity/airflow'"),
        ({"identity": {"dag_id": "a"}}, "invalid propertyName 'dag_id'"),
        ({"identity": {"in-valid": "a"}}, "invalid propertyName 'in-valid'"),
        ({"identity": {"cluster": "$1"}}, "at '/identity/cluster'"),
        ({"rules": {"grafanaUrl": "https://grafana.example.org/"}}, "at '/rules/grafanaUrl'"),
        ({"extraArgs": ["log.level=debug"]}, "at '/extraArgs/0'"),
        ({"image": {"digest": "latest"}}, "at '/image/digest'"),
        ({"replicas": 2}, "at ''"),
    ],
)
def test_a_mistake_is_refused_with_its_place(helm: Helm, values: dict[str, Any], where: str) -> None:
    with pytest.raises(HelmError) as caught:
        helm.render(values)
    assert where in str(caught.value)


def test_what_the_example_of_the_exporter_shows_is_accepted(helm: Helm) -> None:
    """All but what the chart decides, and files."""
    lines = (ROOT / "examples/exporter.yml").read_text(encoding="utf-8").splitlines()
    shown = yaml.safe_load("\n".join(line.replace("# ", "", 1) if is_option(line) else line for line in lines))
    config = {name: shown[name] for name in ("buckets", "caps", "exposition", "log")}
    of_files = {"username", "oauth2", *(name for name in shown["airflow"] if name.endswith("_file"))}
    config["airflow"] = {
        name: value for name, value in shown["airflow"].items() if name not in of_files and value is not None
    }
    (written,) = select(helm.render({"config": config}), "ConfigMap")
    exporter_file = yaml.safe_load(written["data"]["exporter.yml"])
    assert exporter_file["buckets"] == config["buckets"]
    assert exporter_file["airflow"]["intervals"] == {"pools": "1m"}


def list_examples() -> list[tuple[str, dict[str, Any]]]:
    """The examples of values for this chart, on its pages."""
    pages = [CHART / "README.md", ROOT / "docs" / "kubernetes.md"]
    blocks = [(page.name, block) for page in pages for block in EXAMPLE.findall(page.read_text(encoding="utf-8"))]
    return [(name, yaml.safe_load(block)) for name, block in blocks if "identity:" in block]


def test_examples_of_the_pages_can_be_installed(helm: Helm) -> None:
    examples = list_examples()
    assert [name for name, _ in examples] == ["README.md", "kubernetes.md", "kubernetes.md"]
    for name, values in examples:
        assert select(helm.render(values), "Deployment"), name


PAGES = [CHART / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HELM_COMMANDS = [
    (page.name, words)
    for page in PAGES
    for words in list_commands(page.read_text(encoding="utf-8"))
    if words[0] == "helm"
]


@pytest.mark.parametrize(("page", "words"), HELM_COMMANDS, ids=[page for page, _ in HELM_COMMANDS])
def test_a_command_of_a_page_installs_the_chart(page: str, words: tuple[str, ...], helm: Helm) -> None:
    """Rendered with the values that the pages show for my-values.yaml, and named as in their other commands."""
    assert words[:5] == ("helm", "-n", "airflow", "upgrade", "--install")
    release, chart, *options = words[5:]
    assert options == ["--values", "my-values.yaml"]
    for _, values in list_examples():
        objects = list(parse(helm.run("template", release, ROOT / chart, "--namespace=airflow", values=values)))
        (deployment,) = select(objects, "Deployment")
        assert f"deploy/{deployment['metadata']['name']} " in (ROOT / "docs/kubernetes.md").read_text(encoding="utf-8")
        (container,) = get_pod(objects)["containers"]
        assert container["image"] == f"registry.example.org/airflow-metrics-exporter:{exporter.__version__}"


def test_the_official_chart_sends_statsd_to_the_service_of_the_example(helm: Helm) -> None:
    page = (ROOT / "docs" / "kubernetes.md").read_text(encoding="utf-8")
    (official,) = [yaml.safe_load(block) for block in EXAMPLE.findall(page) if "statsd_host" in block]
    sent = official["config"]["metrics"]
    services = {one["metadata"]["name"]: one["spec"] for one in select(helm.render(list_examples()[2][1]), "Service")}
    ports = {(port["port"], port["protocol"]) for port in services[sent["statsd_host"]]["ports"]}
    assert (sent["statsd_port"], "UDP") in ports


def test_a_threshold_that_does_not_exist_is_refused(helm: Helm) -> None:
    with pytest.raises(HelmError, match=r"rules\.thresholds\.dag_is_late: there is no such threshold"):
        helm.render({"rules": {"enabled": True, "thresholds": {"dag_is_late": 1}}})


PASSWORD_FILE = {"airflow.password_file": {"secret": "a", "key": "b"}}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"config": {"airflow": {"username": "prometheus"}}}, "username needs files.airflow.password_file"),
        ({"extraArgs": ["--airflow.username=prometheus"]}, "username needs files.airflow.password_file"),
        ({"files": PASSWORD_FILE}, "password_file needs config.airflow.username"),
        ({"config": {"celery": {"interval": "1m"}}}, "config.celery needs files.celery.broker_url_file"),
        ({"config": {"database": {"retention": "30d"}}}, "config.database needs files.database.url_file"),
    ],
)
def test_what_the_exporter_would_not_start_with_is_refused(helm: Helm, values: dict[str, Any], message: str) -> None:
    with pytest.raises(HelmError, match=re.escape(message)):
        helm.render(values)


@pytest.mark.parametrize(
    "values",
    [
        {"config": {"airflow": {"username": "a"}}, "extraEnv": [{"name": "AIRFLOW_EXPORTER_AIRFLOW_PASSWORD"}]},
        {"files": PASSWORD_FILE, "extraEnv": [{"name": "AIRFLOW_EXPORTER_AIRFLOW_USERNAME", "value": "a"}]},
        {"files": PASSWORD_FILE, "extraArgs": ["--airflow.username=a"]},
        {"config": {"celery": {"interval": "1m"}}, "extraEnv": [{"name": "AIRFLOW_EXPORTER_CELERY_BROKER_URL"}]},
        {"config": {"database": {"timeout": "1s"}}, "extraEnv": [{"name": "AIRFLOW_EXPORTER_DATABASE_URL"}]},
        {"config": {"celery": {}, "database": {}}},
    ],
)
def test_what_variables_or_flags_complete_is_not(helm: Helm, values: dict[str, Any]) -> None:
    assert select(helm.render(values), "Deployment")


def test_files_are_mounted_and_named(helm: Helm) -> None:
    files = {
        "airflow.password_file": {"secret": "airflow-exporter", "key": "password"},
        "airflow.ca_file": {"configMap": "company-ca", "key": "ca.crt"},
    }
    objects = helm.render({"config": {"airflow": {"username": "prometheus"}}, "files": files})
    variables = {one["name"]: one["value"] for one in get_container(objects)["env"]}
    (volume,) = [one for one in get_pod(objects)["volumes"] if one["name"] == "files"]
    (mount,) = [one for one in get_container(objects)["volumeMounts"] if one["name"] == "files"]
    paths = {
        f"{mount['mountPath']}/{item['path']}"
        for source in volume["projected"]["sources"]
        for item in find_items(source)
    }
    assert variables["AIRFLOW_EXPORTER_AIRFLOW_PASSWORD_FILE"] in paths
    assert variables["AIRFLOW_EXPORTER_AIRFLOW_CA_FILE"] in paths
    assert len(paths) == len(files)


def find_items(source: dict[str, Any]) -> list[dict[str, str]]:
    """The files of one Secret or ConfigMap."""
    ((_, one),) = source.items()
    items: list[dict[str, str]] = one["items"]
    return items


def test_each_option_of_a_file_has_the_variable_that_the_chart_sets() -> None:
    for option in OPTIONS:
        if option.value_type.metavar == "FILE" and option.by_variable:
            assert option.variable == "AIRFLOW_EXPORTER_" + option.key.replace(".", "_").upper()


def test_the_chart_decides_about_the_state_file_and_the_host_source(helm: Helm) -> None:
    (config,) = select(helm.render({"statsd": {"enabled": False}}), "ConfigMap")
    written = yaml.safe_load(config["data"]["exporter.yml"])
    assert written["collector"] == {"host": False, "statsd": False}
    (state,) = [one for one in get_container(helm.render())["volumeMounts"] if one["name"] == "state"]
    assert written["state"]["file"].startswith(state["mountPath"] + "/")


def test_probes_use_the_health_endpoints_and_with_tls_the_command(helm: Helm) -> None:
    plain = get_container(helm.render())
    assert plain["livenessProbe"]["httpGet"] == {"path": "/-/healthy", "port": "http"}
    assert plain["readinessProbe"]["httpGet"] == {"path": "/-/ready", "port": "http"}
    protected = get_container(helm.render({"files": {"web.config.file": {"secret": "a", "key": "b"}}}))
    assert protected["livenessProbe"]["exec"] == {"command": ["airflow-exporter", "probe"]}


@pytest.mark.parametrize(
    ("kind", "endpoints"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")]
)
def test_monitors_set_the_identity_and_keep_labels_of_targets_away(helm: Helm, kind: str, endpoints: str) -> None:
    identity = {"airflow": "production", "cluster": "eu-1"}
    objects = helm.render({"identity": identity, "monitors": {"enabled": True}, "workers": {"enabled": True}})
    (monitor,) = select(objects, kind)
    (endpoint,) = monitor["spec"][endpoints]
    rules = endpoint["relabelings"]
    assert {
        rule["targetLabel"]: rule["replacement"] for rule in rules if rule.get("targetLabel") in identity
    } == identity
    dropped = {label for rule in rules if rule["action"] == "labeldrop" for label in rule["regex"].split("|")}
    assert dropped >= OF_TARGETS & {label for family in FAMILIES for label in family.labels}
    assert "pod" in dropped, "the counters go on in the next pod"
    assert "instance" in {rule.get("targetLabel") for rule in rules}


@pytest.mark.parametrize(("interval", "timeout"), [("10s", "20s"), ("1m", "1m1s"), ("500ms", "1s")])
def test_a_timeout_above_the_interval_is_refused(helm: Helm, interval: str, timeout: str) -> None:
    """Prometheus Operator would leave out the monitor, and nothing would be scraped."""
    with pytest.raises(HelmError, match=rf"scrapeTimeout \({timeout}\) is longer than monitors\.interval"):
        helm.render({"monitors": {"enabled": True, "interval": interval, "scrapeTimeout": timeout}})


@pytest.mark.parametrize(("interval", "timeout"), [("20s", "20s"), ("1m", "20s"), ("1h", "1m30s"), ("08s", "8000ms")])
def test_a_timeout_within_the_interval_is_taken(helm: Helm, interval: str, timeout: str) -> None:
    objects = helm.render({"monitors": {"enabled": True, "interval": interval, "scrapeTimeout": timeout}})
    (endpoint,) = select(objects, "ServiceMonitor")[0]["spec"]["endpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (interval, timeout)


@pytest.mark.parametrize(
    ("values", "paths"),
    [
        ({}, ("/metrics", "/metrics")),
        ({"config": {"web": {"telemetry_path": "/central"}}}, ("/central", "/metrics")),
        ({"extraArgs": ["--web.telemetry-path=/central"]}, ("/central", "/metrics")),
        ({"workers": {"extraArgs": ["--web.telemetry-path=/worker"]}}, ("/metrics", "/worker")),
    ],
)
def test_monitors_read_the_path_that_each_exporter_serves(
    helm: Helm, values: dict[str, Any], paths: tuple[str, str]
) -> None:
    """`config` is not the workers'."""
    workers = {"enabled": True, **values.get("workers", {})}
    objects = helm.render({**values, "monitors": {"enabled": True}, "workers": workers})
    (central,) = select(objects, "ServiceMonitor")[0]["spec"]["endpoints"]
    (worker,) = select(objects, "PodMonitor")[0]["spec"]["podMetricsEndpoints"]
    assert (central["path"], worker["path"]) == paths


def test_workers_ask_the_central_exporter(helm: Helm) -> None:
    def get_arguments(**values: Any) -> list[str]:
        arguments: list[str] = get_container(helm.render({"workers": {"enabled": True}, **values}), "DaemonSet")["args"]
        return arguments

    assert f"--host.task-names-from=http://{NAME}:10112" in get_arguments()
    protected = get_arguments(files={"web.config.file": {"secret": "a", "key": "b"}})
    assert f"--host.task-names-from=https://{NAME}:10112" in protected


def test_workers_may_ask_where_the_network_policy_names_who_may_read(helm: Helm) -> None:
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}
    values = {"networkPolicy": {"enabled": True, "metricsFrom": [prometheus]}, "workers": {"enabled": True}}
    objects = helm.render(values)
    central, worker = sorted(select(objects, "NetworkPolicy"), key=lambda one: len(one["metadata"]["name"]))
    labels = select(objects, "DaemonSet")[0]["spec"]["template"]["metadata"]["labels"]
    allowed = [
        peer["podSelector"]["matchLabels"] for peer in central["spec"]["ingress"][0]["from"] if "podSelector" in peer
    ]
    assert [one.items() <= labels.items() for one in allowed] == [True]
    assert worker["spec"]["ingress"][0]["from"] == [prometheus]


def test_notes_say_where_to_send_statsd(helm: Helm) -> None:
    notes = helm.run("install", NAME, CHART, "--namespace=airflow", "--dry-run=client")
    assert f"AIRFLOW__METRICS__STATSD_HOST={NAME}-statsd.airflow.svc" in notes
    assert "AIRFLOW__METRICS__STATSD_PORT=8125" in notes
    assert 'airflow="production"' in notes
