"""What is asked about one DAG or run at a time: modules like those of `objects`."""
