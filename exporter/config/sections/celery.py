"""The options of the Celery source."""

from __future__ import annotations

from exporter.config import values
from exporter.config.option import Option
from exporter.config.settings import Settings
from exporter.config.values import ValueType

DEFAULTS = Settings()
BROKER_URL = "celery.broker_url"


def parse_queues(raw: object) -> tuple[str, ...]:
    """Names separated by commas, or a list of names. Raises ValueError for anything else."""
    names = raw.split(",") if isinstance(raw, str) else raw
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError("queues are names separated by commas, or a list of names")
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


QUEUES = ValueType("QUEUE,...", parse_queues, ", ".join)
OPTIONS = (
    Option(
        "celery.broker_url_file",
        values.SECRET_FILE,
        "File with the URL of Celery's broker, as Airflow's `[celery] broker_url`; reloaded when it changes",
    ),
    Option(
        BROKER_URL,
        values.TEXT,
        "URL of the broker, if it is not in a file; there is no flag, because every user could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option(
        "celery.broker_transport_options_file",
        values.SECRET_FILE,
        "File with a JSON object, as Airflow's `[celery_broker_transport_options]`: Sentinel's master_name and "
        "sentinel_kwargs, global_keyprefix",
    ),
    Option(
        "celery.broker_ca_file",
        values.READABLE_FILE,
        "PEM file with the CA certificates that verify the broker, instead of the public ones",
    ),
    Option(
        "celery.broker_client_certificate_file",
        values.READABLE_FILE,
        "PEM file with the client certificate for the broker",
    ),
    Option(
        "celery.broker_client_key_file",
        values.READABLE_FILE,
        "PEM file with the key of the client certificate, if it is not in the same file",
    ),
    Option(
        "celery.interval", values.duration_type(5), "How often queues and workers are read", DEFAULTS.celery.interval
    ),
    Option("celery.timeout", values.duration_type(0.1), "Timeout of a request to the broker", DEFAULTS.celery.timeout),
    Option(
        "celery.remote_control",
        values.SWITCH,
        "Ask the workers by Celery's remote control; without it only their heartbeats are known",
        DEFAULTS.celery.remote_control,
    ),
    Option(
        "celery.reply_timeout",
        values.duration_type(0.1),
        "How long the answers of the workers are waited for",
        DEFAULTS.celery.reply_timeout,
    ),
    Option(
        "celery.queues",
        QUEUES,
        "Queues to read beside those that tasks and workers name, separated by commas",
        DEFAULTS.celery.queues,
    ),
)
