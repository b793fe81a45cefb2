# Legacy builders and BuildKit both build this. The base is named once; keep it at the Python that CI tests.
ARG PYTHON_IMAGE=python:3.13.9-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ARG REVISION=
WORKDIR /source
COPY pyproject.toml hatch_build.py constraints.txt README.md LICENSE ./
COPY exporter exporter
COPY docs/runbooks docs/runbooks
COPY prometheus/rules prometheus/rules
COPY prometheus/alerts prometheus/alerts
COPY prometheus/localhost.yml prometheus/
COPY prometheus/longterm/trends.yml prometheus/longterm/
COPY prometheus/native/histograms.yml prometheus/native/
COPY alertmanager/alertmanager.yml alertmanager/inbox.py alertmanager/
COPY alertmanager/receivers alertmanager/receivers
COPY alertmanager/templates alertmanager/templates
COPY grafana/dashboards grafana/dashboards
COPY grafana/provisioning grafana/provisioning
COPY charts/airflow-metrics-exporter charts/airflow-metrics-exporter
COPY examples examples
COPY packages/systemd packages/systemd
# The environment has no pip: nothing in the image can install packages.
RUN python -m venv --without-pip /opt/exporter \
    && AIRFLOW_EXPORTER_BUILD_REVISION="${REVISION}" python -m pip --python /opt/exporter/bin/python install --no-cache-dir --disable-pip-version-check \
        --constraint constraints.txt '.[speed,regex,celery,database]'

FROM ${PYTHON_IMAGE}
ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Airflow metrics exporter" \
      org.opencontainers.image.description="Prometheus metrics of Apache Airflow: its REST API, StatsD events, processes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN python -m pip uninstall --yes --quiet --root-user-action=ignore pip \
    && install --directory --owner=10112 --group=10112 --mode=0775 /var/lib/airflow-exporter
COPY --from=build /opt/exporter /opt/exporter
ENV PATH=/opt/exporter/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS=:10112 \
    AIRFLOW_EXPORTER_STATSD_LISTEN_UDP=:8125 \
    AIRFLOW_EXPORTER_STATSD_LISTEN_TCP=:8125
# A number, so that Kubernetes can see that it is not root.
USER 10112:10112
WORKDIR /var/lib/airflow-exporter
EXPOSE 10112/tcp 8125/udp 8125/tcp
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 CMD ["airflow-exporter", "probe"]
ENTRYPOINT ["airflow-exporter"]
CMD ["serve"]
