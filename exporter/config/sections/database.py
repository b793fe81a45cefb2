"""The options of the source of the metadata database."""

from __future__ import annotations

from exporter.config import values
from exporter.config.option import Option
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
)
