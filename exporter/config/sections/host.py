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
        "Read this machine: Airflow's components, running tasks and the machine itself",
        DEFAULTS.collectors["host"],
    ),
    Option(
        "host.machine",
        values.SWITCH,
        "Read CPU, memory, disks and network of the whole machine; not needed if node_exporter runs there",
        DEFAULTS.host.machine,
    ),
    Option("host.interval", values.duration_type(1), "How often all processes are scanned", DEFAULTS.host.interval),
    Option(
        "host.task_names_from",
        urls.BASE_URL,
        "Exporter that knows the names of running tasks; for workers that do not read Airflow's API",
        DEFAULTS.host.task_names_from,
    ),
    Option("host.task_names_username", values.TEXT, "User name for that exporter", ""),
    Option(
        "host.task_names_password_file",
        values.SECRET_FILE,
        "File with the password of that user; reloaded when it changes",
    ),
    Option(
        "host.task_names_ca_file",
        values.READABLE_FILE,
        "PEM file of the CA certificates to verify that exporter with, instead of the public ones",
    ),
    Option(
        "host.task_names_client_certificate_file",
        values.READABLE_FILE,
        "PEM file of the client certificate for that exporter",
    ),
    Option(
        "host.task_names_client_key_file",
        values.READABLE_FILE,
        "PEM file of the key of the client certificate, unless the certificate file contains it",
    ),
    Option("path.procfs", values.FOLDER, "Mount point of the machine's /proc", DEFAULTS.host.procfs),
    Option("path.sysfs", values.FOLDER, "Mount point of the machine's /sys", DEFAULTS.host.sysfs),
    Option("path.rootfs", values.FOLDER, "Mount point of the machine's /", DEFAULTS.host.rootfs),
)
