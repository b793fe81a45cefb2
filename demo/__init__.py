"""A real Airflow on this machine, and the exporter reading it."""
