"""What Grafana is given: dashboards that are built by `boards`, and provisioning files."""
