"""The options of the host source."""

from __future__ import annotations

from exporter.config import urls, values
from exporter.config.option import Option
from exporter.config.settings import Settings

DEFAULTS = Settings()
OPTIONS = (
    Option(
        "collector.host",
        values.SWITCH,
        "Read this machine: Airflow's components, running tasks, and the machine itself",
        DEFAULTS.collectors["host"],
    ),
    Option(
        "host.machine",
        values.SWITCH,
        "Read CPU, memory, disks and network of the whole machine; switch it off where node_exporter runs",
        DEFAULTS.host.machine,
    ),
    Option("host.interval", values.duration_type(1), "How often all processes are looked at", DEFAULTS.host.interval),
    Option(
        "host.task_names_from",
        urls.BASE_URL,
        "Exporter to ask for the names of running tasks, on a worker where Airflow's API is not read",
        DEFAULTS.host.task_names_from,
    ),
    Option("host.task_names_username", values.TEXT, "User to sign in as at that exporter", ""),
    Option(
        "host.task_names_password_file",
        values.SECRET_FILE,
        "File that holds that user's password, read anew each time",
    ),
    Option(
        "host.task_names_ca_file",
        values.READABLE_FILE,
        "PEM file of the authorities that may have signed that exporter's certificate, instead of the public ones",
    ),
    Option(
        "host.task_names_client_certificate_file",
        values.READABLE_FILE,
        "PEM file of the certificate that is shown to that exporter",
    ),
    Option(
        "host.task_names_client_key_file",
        values.READABLE_FILE,
        "PEM file of that certificate's key, unless the certificate's file holds it too",
    ),
    Option("path.procfs", values.FOLDER, "Where the machine's /proc is mounted", DEFAULTS.host.procfs),
    Option("path.sysfs", values.FOLDER, "Where the machine's /sys is mounted", DEFAULTS.host.sysfs),
    Option("path.rootfs", values.FOLDER, "Where the machine's / is mounted", DEFAULTS.host.rootfs),
)
