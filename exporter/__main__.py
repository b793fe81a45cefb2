"""`python -m exporter`: the same command as `airflow-exporter`."""

from exporter.cli import main

if __name__ == "__main__":
    main()
