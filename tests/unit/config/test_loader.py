"""Which value wins, where it is said to come from, what is refused, and that no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from exporter.cli import main
from exporter.config import loader
from exporter.config.loader import ConfigError, Configuration
from exporter.config.options import BY_KEY, OPTIONS
from exporter.config.settings import Setting, Settings

DATA = Path(__file__).parents[2] / "data" / "config"
INVALID = sorted(path.stem for path in DATA.glob("*.yml"))


def load(text: str = "", /, folder: Path | None = None, **flags: object) -> Configuration:
    """Load a file with this text, written to the folder, and these flags."""
    given: dict[str, object] = {key.replace("__", "."): value for key, value in flags.items()}
    if folder:
        (folder / "config.yml").write_text(text, encoding="utf-8")
        given["config.file"] = str(folder / "config.yml")
    return loader.load(given, {})


def find(configuration: Configuration, name: str) -> Setting:
    return next(entry for entry in configuration.entries if entry.name == name)


def find_problems(flags: dict[str, object], environment: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        loader.load(flags, environment or {})
    return caught.value.problems


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_file_is_refused_with_every_error_and_its_place(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(DATA)
    result = CliRunner().invoke(main, ["serve", f"--config.file={name}.yml"])
    assert result.stderr == (DATA / f"{name}.stderr").read_text(encoding="utf-8")
    assert (result.exit_code, result.stdout) == (1, "")


@pytest.mark.parametrize(
    "text", ["a: 2024-13-45", "a: !!int x", "a: !!bool x", "a: !!timestamp x", f"a: {'1' * 5000}", f"a: {'[' * 3000}"]
)
def test_a_value_that_yaml_cannot_make_is_an_error_like_others(text: str, tmp_path: Path) -> None:
    """A reload must find it, not end the process."""
    with pytest.raises(ConfigError, match=r"this looks like a number or a date|nested too deeply"):
        load(text, tmp_path)


def test_every_invalid_file_has_its_errors() -> None:
    assert sorted(path.stem for path in DATA.glob("*.stderr")) == INVALID


def test_no_error_repeats_a_secret() -> None:
    assert not [path.name for path in DATA.glob("*.stderr") if "hunter2" in path.read_text(encoding="utf-8")]


def test_nothing_given_is_the_defaults() -> None:
    assert loader.load({}, {}).settings == Settings()


@pytest.mark.parametrize(
    ("places", "seconds", "origin"),
    [
        ("flag variable file", 1, "--airflow.interval"),
        ("variable file", 2, "AIRFLOW_EXPORTER_AIRFLOW_INTERVAL"),
        ("file", 3, "config.yml:2"),
        ("", 30, "default"),
    ],
)
def test_a_flag_comes_before_a_variable_before_the_file_before_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, places: str, seconds: float, origin: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("config.yml").write_text("airflow:\n  interval: 3s\n", encoding="utf-8")
    flags: dict[str, object] = {"airflow.interval": "1s"} if "flag" in places else {}
    environment = {"AIRFLOW_EXPORTER_AIRFLOW_INTERVAL": "2s"} if "variable" in places else {}
    if "file" in places:
        flags["config.file"] = "config.yml"
    found = loader.load(flags, environment)
    assert found.settings.airflow.interval == seconds
    assert find(found, "airflow.interval").origin == origin


def test_an_empty_variable_counts_as_not_set() -> None:
    assert loader.load({}, {"AIRFLOW_EXPORTER_AIRFLOW_URL": ""}).settings == Settings()


def test_the_file_can_be_named_by_a_variable(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("log: {level: debug}", encoding="utf-8")
    assert loader.load({}, {"AIRFLOW_EXPORTER_CONFIG_FILE": str(file)}).settings.log_level == "debug"


def test_a_file_sets_what_flags_do_not(tmp_path: Path) -> None:
    settings = load(
        """
        airflow:
          intervals: {pools: 1m}
          limits: {parallelism: 0, worker_concurrency: 16}
          include_dags: etl_.*
        buckets:
          airflow_task_duration_seconds: [1, 1m, 1h]
        caps:
          airflow_dag_info: 50
        """,
        folder=tmp_path,
    ).settings
    assert settings.airflow.intervals == {"pools": 60}
    assert settings.airflow.limits == {"parallelism": 0, "worker_concurrency": 16}
    assert settings.airflow.include_dags
    assert settings.airflow.include_dags.fullmatch("etl_orders")
    assert settings.buckets == {"airflow_task_duration_seconds": (1, 60, 3600)}
    assert settings.caps == {"airflow_dag_info": 50}


def test_each_name_of_a_mapping_is_a_line_of_its_own(tmp_path: Path) -> None:
    found = load("airflow:\n  intervals:\n    pools: 90\n", folder=tmp_path)
    assert find(found, "airflow.intervals.pools").value == "1m30s"


def test_keys_without_a_value_count_as_not_given(tmp_path: Path) -> None:
    assert load("airflow:\n  url:\n  # nothing\nlog:\n", folder=tmp_path).settings == Settings()
    assert load("# nothing at all\n", folder=tmp_path).settings == Settings()


def test_paths_in_the_file_start_at_its_folder(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t", encoding="utf-8")
    settings = load("airflow: {token_file: token}", folder=tmp_path).settings
    assert settings.airflow.token_file == tmp_path / "token"


def test_anchors_and_merges_of_yaml_work(tmp_path: Path) -> None:
    text = "airflow:\n  intervals: &slow {pools: 1m}\n  limits: {parallelism: 5}\ncaps: {}\nlog: {level: &l debug}\n"
    assert load(text, folder=tmp_path).settings.airflow.intervals == {"pools": 60}


def test_a_listen_address_is_repeated_as_a_flag_separated_in_a_variable_listed_in_the_file(tmp_path: Path) -> None:
    both = ("127.0.0.1:1", "[::1]:1")
    assert load(web__listen_address=both).settings.web.listen_addresses == both
    variable = {"AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS": "127.0.0.1:1,[::1]:1"}
    assert loader.load({}, variable).settings.web.listen_addresses == both
    listed = load('web: {listen_address: ["127.0.0.1:1", "[::1]:1"]}', folder=tmp_path)
    assert listed.settings.web.listen_addresses == both


def test_a_password_comes_from_the_environment_and_is_kept_there() -> None:
    variable = "AIRFLOW_EXPORTER_AIRFLOW_PASSWORD"
    found = loader.load({"airflow.username": "reader"}, {variable: "hunter2"})
    assert found.settings.airflow.password_environment == variable
    assert find(found, "airflow.password") == Setting("airflow.password", "***", variable)
    assert "hunter2" not in repr(found)


def test_the_password_has_no_flag() -> None:
    assert not BY_KEY["airflow.password"].flag


def test_credentials_of_a_proxy_are_masked_wherever_it_comes_from(tmp_path: Path) -> None:
    written = "http://user:hunter2@proxy:3128"
    variable = {"AIRFLOW_EXPORTER_AIRFLOW_PROXY_URL": written}
    for found in (loader.load({}, variable), load(f"airflow: {{proxy_url: '{written}'}}", folder=tmp_path)):
        assert found.settings.airflow.proxy_url == written
        assert find(found, "airflow.proxy_url").value == "http://***@proxy:3128"


def test_credentials_of_a_proxy_are_refused_in_a_flag_that_everybody_can_read() -> None:
    (problem,) = find_problems({"airflow.proxy_url": "http://user:hunter2@proxy:3128"})
    assert "the variable AIRFLOW_EXPORTER_AIRFLOW_PROXY_URL or in the file" in problem
    assert "hunter2" not in problem
    assert load(airflow__proxy_url="http://proxy:3128").settings.airflow.proxy_url == "http://proxy:3128"


def test_a_token_and_a_client_secret_come_from_the_environment_and_stay_there() -> None:
    variable = "AIRFLOW_EXPORTER_AIRFLOW_TOKEN"
    found = loader.load({}, {variable: "hunter2"})
    assert found.settings.airflow.token_environment == variable
    assert find(found, "airflow.token") == Setting("airflow.token", "***", variable)
    secret = "AIRFLOW_EXPORTER_AIRFLOW_OAUTH2_CLIENT_SECRET"
    flags: dict[str, object] = {"airflow.oauth2.token_url": "https://idp.example/t", "airflow.oauth2.client_id": "me"}
    also = loader.load(flags, {secret: "hunter2"})
    assert also.settings.airflow.oauth2
    assert also.settings.airflow.oauth2.client_secret_environment == secret
    assert also.settings.airflow.oauth2.client_secret_file is None
    assert "hunter2" not in repr((found, also))


def test_a_token_or_a_client_secret_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("t", encoding="utf-8")
    given: dict[str, object] = {
        "airflow.oauth2.token_url": "https://idp.example/t",
        "airflow.oauth2.client_id": "me",
        "airflow.oauth2.client_secret_file": str(tmp_path / "t"),
    }
    problems = find_problems(given, {"AIRFLOW_EXPORTER_AIRFLOW_OAUTH2_CLIENT_SECRET": "s"})
    (problem,) = problems
    start = "airflow: the client secret is given twice; keep --airflow.oauth2.client-secret-file or "
    assert problem == f"{start}AIRFLOW_EXPORTER_AIRFLOW_OAUTH2_CLIENT_SECRET"
    twice = find_problems({"airflow.token_file": str(tmp_path / "t")}, {"AIRFLOW_EXPORTER_AIRFLOW_TOKEN": "s"})
    assert twice == ("airflow: the token is given twice; keep --airflow.token-file or AIRFLOW_EXPORTER_AIRFLOW_TOKEN",)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("airflow.url: http://x", "`airflow: {url: VALUE}`"),
        ("airflow.limits.parallelism: 5", "`airflow: {limits: {parallelism: VALUE}}`"),
        ("airflow: {limits.parallelism: 5}", "`airflow: {limits: {parallelism: VALUE}}`"),
        ("web.listen-address: ':1'", "`web: {listen_address: VALUE}`"),
        ("task-labels: false", "`airflow: {task_labels: VALUE}`"),
        ("'--log.level': info", "`log: {level: VALUE}`"),
    ],
)
def test_a_name_with_dots_in_the_file_is_answered_with_how_to_nest_it(text: str, shown: str, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(text, encoding="utf-8")
    (problem,) = find_problems({"config.file": str(tmp_path / "config.yml")})
    assert problem.endswith(f"in this file each level is a separate key: {shown}")
    assert "did you mean" not in problem


@pytest.mark.parametrize("written", ["warn", "warning", "WARNING", "Warn"])
def test_the_level_has_the_names_that_people_write(written: str) -> None:
    assert load(log__level=written).settings.log_level == "warn"


def test_a_secret_in_the_file_in_place_of_its_path_is_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("airflow: {token_file: hunter2}", encoding="utf-8")
    (problem,) = find_problems({"config.file": str(tmp_path / "config.yml")})
    assert "the file with this name" in problem
    assert "hunter2" not in problem


def test_an_exporter_that_reads_nothing_is_noticed() -> None:
    off = dict.fromkeys(("collector.airflow", "collector.statsd", "collector.host"), "false")
    assert loader.load(off, {}).notices == (
        "collector: all collectors are disabled, so no metrics are collected; enable at least one",
    )
    assert loader.load(off | {"collector.host": "true"}, {}).notices == ()
    assert loader.load(off, {"AIRFLOW_EXPORTER_DATABASE_URL": "postgresql://exporter@db/airflow"}).notices == ()
    assert loader.load(off, {"AIRFLOW_EXPORTER_CELERY_BROKER_URL": "redis://broker"}).notices == ()


def test_oauth2_is_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s", encoding="utf-8")
    oauth2 = load(
        "airflow: {oauth2: {token_url: 'https://login.example/t', client_id: me, client_secret_file: secret}}",
        folder=tmp_path,
    ).settings.airflow.oauth2
    assert oauth2
    assert (oauth2.token_url, oauth2.client_id, oauth2.client_secret_file) == (
        "https://login.example/t",
        "me",
        tmp_path / "secret",
    )
    assert (oauth2.scope, oauth2.audience) == ("", "")


def test_a_password_given_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("p", encoding="utf-8")
    problems = find_problems(
        {"airflow.username": "u", "airflow.password_file": str(tmp_path / "password")},
        {"AIRFLOW_EXPORTER_AIRFLOW_PASSWORD": "p"},
    )
    assert problems == (
        "airflow: the password is given twice; keep --airflow.password-file or AIRFLOW_EXPORTER_AIRFLOW_PASSWORD",
    )


def test_errors_of_flags_variables_and_file_come_together(tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text("log: {level: loud}", encoding="utf-8")
    problems = find_problems(
        {"airflow.interval": "soon", "config.file": str(tmp_path / "config.yml")},
        {"AIRFLOW_EXPORTER_AIRFLOW_TIMEOUT": "late"},
    )
    starts = ("AIRFLOW_EXPORTER_AIRFLOW_TIMEOUT: 'late'", "--airflow.interval: 'soon'", str(tmp_path))
    assert [problem.startswith(start) for problem, start in zip(problems, starts, strict=True)] == [True] * 3


def test_a_missing_configuration_file_is_an_error() -> None:
    assert find_problems({"config.file": "nowhere.yml"}) == ("--config.file: the file nowhere.yml does not exist",)


def test_the_path_of_the_api_is_left_out_of_the_url_with_a_notice() -> None:
    found = load(airflow__url="https://example.org/airflow/api/v2/")
    assert found.settings.airflow.url == "https://example.org/airflow"
    assert found.notices == (
        "--airflow.url: the path of the API is dropped from the URL; https://example.org/airflow is used",
    )


def test_a_misspelt_variable_is_noticed_and_those_of_kubernetes_are_not() -> None:
    environment = {
        "AIRFLOW_EXPORTER_AIRFLOW_INTERVALL": "1m",
        "AIRFLOW_EXPORTER_SERVICE_HOST": "192.0.2.1",
        "AIRFLOW_EXPORTER_PORT_10112_TCP_ADDR": "192.0.2.1",
        "AIRFLOW_EXPORTER_PORT": "tcp://192.0.2.1:10112",
    }
    assert [notice.partition(":")[0] for notice in loader.load({}, environment).notices] == [
        "AIRFLOW_EXPORTER_AIRFLOW_INTERVALL"
    ]


def test_the_probe_finds_the_address_whatever_else_is_wrong() -> None:
    assert loader.get_listen_address({}, {}) == "127.0.0.1:10112"
    wrong: dict[str, object] = {"airflow.interval": "soon", "config.file": "nowhere"}
    assert loader.get_listen_address(wrong, {"AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS": ":9,:8"}) == ":9"


def test_no_two_options_share_a_flag_a_variable_or_a_place_in_the_file() -> None:
    for names in ([o.flag for o in OPTIONS], [o.variable for o in OPTIONS], [o.key for o in OPTIONS]):
        given = [name for name in names if name]
        assert len(given) == len(set(given))


def test_every_option_can_be_set_somewhere_and_its_help_is_one_sentence() -> None:
    for option in OPTIONS:
        assert option.flag or option.variable or option.by_file
        assert option.help[0].isupper()
        assert not option.help.endswith(".")


def test_every_default_can_be_written_as_it_is_shown() -> None:
    for option in OPTIONS:
        shown = option.format(option.default)
        if shown and option.names is None:
            assert option.value_type.parse(shown) == option.default


def test_the_url_of_the_database_turns_its_source_on_and_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://exporter@db/airflow")
    variable = {"AIRFLOW_EXPORTER_DATABASE_URL": "postgresql://exporter@db/airflow"}
    twice = find_problems({"database.url_file": str(path)}, variable)
    assert twice == ("database: the URL is given twice; keep --database.url-file or AIRFLOW_EXPORTER_DATABASE_URL",)
    start = "database: options are set without the URL of the database; add --database.url-file or "
    assert find_problems({"database.timeout": "9s"}, {}) == (f"{start}AIRFLOW_EXPORTER_DATABASE_URL",)
