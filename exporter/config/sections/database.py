"""The options of the source of the metadata database."""

from __future__ import annotations

from exporter.config import values
from exporter.config.option import Option, file_only_option
from exporter.config.settings import Settings

DEFAULTS = Settings()
DATABASE_URL = "database.url"
OPTIONS = (
    Option(
        "database.url_file",
        values.SECRET_FILE,
        "File with the URL of Airflow's metadata database, as Airflow's `[database] sql_alchemy_conn`, but with a "
        "user that may only read statistics; reloaded when it changes",
    ),
    Option(
        DATABASE_URL,
        values.TEXT,
        "URL of the database, if it is not in a file; there is no flag, because every user could read it",
        by_flag=False,
        by_file=False,
        secret=True,
    ),
    Option("database.interval", values.duration_type(5), "How often the database is read", DEFAULTS.database.interval),
    Option(
        "database.timeout",
        values.duration_type(0.1),
        "Timeout of one statement in the database, and of connecting to it",
        DEFAULTS.database.timeout,
    ),
    Option(
        "database.retention",
        values.duration_type(3600),
        "How old rows may become before `airflow db clean` should remove them; their number is estimated",
        DEFAULTS.database.retention,
    ),
    Option(
        "database.statement_texts",
        values.SWITCH,
        "Show the text of the most expensive statements, without their values, as a label",
        DEFAULTS.database.statement_texts,
    ),
    file_only_option(
        "airflow.limits.database_connections_per_process",
        values.whole_number_type(1),
        "Value of Airflow's `[database] sql_alchemy_pool_size` + `sql_alchemy_max_overflow`, if its API does not show "
        "the configuration",
    ),
)
