"""Options that cannot be combined, or that need others."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.config.options import BY_KEY, CLIENT_SECRET, PASSWORD, TOKEN
from exporter.config.sections.celery import BROKER_URL
from exporter.config.sections.database import DATABASE_URL
from exporter.config.sections.statsd import MAPPING_CONFIG


def check_combinations(given: set[str], *, skips_verification: bool) -> list[str]:
    """The problems of the options that are set; `skips_verification` says that certificates are not verified."""
    problems = [*check_credentials(given), *check_oauth2(given)]
    if "airflow.client_key_file" in given and "airflow.client_certificate_file" not in given:
        problems.append(
            f"airflow: a key is set without its certificate; add {name_of('airflow.client_certificate_file')}"
        )
    problems += [*check_task_names(given), *check_celery(given), *check_database(given), *check_mapping(given)]
    if skips_verification and "airflow.ca_file" in given:
        problems.append(
            f"airflow: {name_of('airflow.ca_file')} has no effect while certificates are not checked; keep one"
        )
    return problems


def check_credentials(given: set[str]) -> Iterator[str]:
    """Yield the problems of the credentials: more than one kind, or an incomplete one."""
    passwords = sorted(given & {PASSWORD, "airflow.password_file"})
    ways = {
        "a user and a password": bool(given & {"airflow.username", *passwords}),
        "a token file": "airflow.token_file" in given,
        "a token in a variable": TOKEN in given and "airflow.token_file" not in given,
        "OAuth2": any(key.startswith("airflow.oauth2.") for key in given),
    }
    chosen = [way for way, is_given in ways.items() if is_given]
    if len(chosen) > 1:
        yield f"airflow: more than one kind of credentials ({', '.join(chosen)}); keep one"
    for noun, key in (("password", PASSWORD), ("token", TOKEN), ("client secret", CLIENT_SECRET)):
        if {key, f"{key}_file"} <= given:
            yield f"airflow: the {noun} is given twice; keep {name_of(f'{key}_file')} or {name_of(key)}"
    if "airflow.username" in given and not passwords:
        yield f"airflow: a user without a password; add {name_of('airflow.password_file')} or {name_of(PASSWORD)}"
    if passwords and "airflow.username" not in given:
        yield f"airflow: a password without a user; add {name_of('airflow.username')}"


def check_oauth2(given: set[str]) -> Iterator[str]:
    """Yield the problem of OAuth2 options of which some are missing."""
    needed = ("airflow.oauth2.token_url", "airflow.oauth2.client_id", f"{CLIENT_SECRET}_file")
    present = given | ({f"{CLIENT_SECRET}_file"} if CLIENT_SECRET in given else set())
    missing = [name_of(key) for key in needed if key not in present]
    if missing and any(key.startswith("airflow.oauth2.") for key in given):
        yield f"airflow: the OAuth2 options are incomplete; add {' and '.join(missing)}"


def check_task_names(given: set[str]) -> Iterator[str]:
    """Yield the problems of the options for task names from another exporter."""
    options = {key.removeprefix("host.task_names_") for key in given if key.startswith("host.task_names_")}
    if options and "from" not in options:
        yield f"host: credentials for task names are set without the exporter; add {name_of('host.task_names_from')}"
    for one, other in (("username", "password_file"), ("password_file", "username")):
        if one in options and other not in options:
            option, needed = name_of(f"host.task_names_{one}"), name_of(f"host.task_names_{other}")
            yield f"host: {option} has no effect without {needed}"
    if "client_key_file" in options and "client_certificate_file" not in options:
        yield f"host: a key is set without its certificate; add {name_of('host.task_names_client_certificate_file')}"


def check_celery(given: set[str]) -> Iterator[str]:
    """Yield the problems of the options for Celery's broker."""
    urls = given & {BROKER_URL, f"{BROKER_URL}_file"}
    file, variable = name_of(f"{BROKER_URL}_file"), name_of(BROKER_URL)
    if len(urls) > 1:
        yield f"celery: the URL of the broker is given twice; keep {file} or {variable}"
    if not urls and any(key.startswith("celery.") for key in given):
        yield f"celery: options are set without the URL of the broker; add {file} or {variable}"
    if "celery.broker_client_key_file" in given and "celery.broker_client_certificate_file" not in given:
        yield f"celery: a key is set without its certificate; add {name_of('celery.broker_client_certificate_file')}"


def check_database(given: set[str]) -> Iterator[str]:
    """Yield the problems of the options for the metadata database."""
    urls = given & {DATABASE_URL, f"{DATABASE_URL}_file"}
    file, variable = name_of(f"{DATABASE_URL}_file"), name_of(DATABASE_URL)
    if len(urls) > 1:
        yield f"database: the URL is given twice; keep {file} or {variable}"
    if not urls and any(key.startswith("database.") for key in given):
        yield f"database: options are set without the URL of the database; add {file} or {variable}"


def check_mapping(given: set[str]) -> Iterator[str]:
    """Yield the problem of options for a mapping file that is not set."""
    for key in ("statsd.mapping_mode", "statsd.mapping_max_series"):
        if key in given and MAPPING_CONFIG not in given:
            yield f"statsd: {name_of(key)} has no effect without a mapping file; add {name_of(MAPPING_CONFIG)}"


def name_of(key: str) -> str:
    """The flag of an option, or its variable if it has no flag."""
    return BY_KEY[key].flag or BY_KEY[key].variable
