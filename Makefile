# `make` shows what there is. Needs Python 3.11 to 3.14, git and make; everything else is set up here.

SHELL := /bin/bash
.DEFAULT_GOAL := help

VENV ?= .venv
BIN := $(VENV)/bin
AIRFLOW_VERSIONS ?= 3.3.2 2.11.2
E2E_MINUTES ?= 8
TEST_WORKERS ?= 3
PYTEST_ARGS ?=
SEED ?= 0
FUZZ_REQUESTS ?= 100000
BENCH_ARGS ?=
export AIRFLOW_VERSIONS E2E_MINUTES

# The first Python that suits and can make environments; commands that exist but do not run (shims) are passed over.
SUITS := import ensurepip, sqlite3, ssl, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
define FIND_PYTHON
for python in $(PYTHON) python3 python3.12 python3.13 python3.14 python3.11 $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.1[1234].*/bin/python3; do \
  if "$$python" -c '$(SUITS)' >/dev/null 2>&1; then break; fi; python=; \
done; \
[ -n "$$python" ] || { echo "error: no Python 3.11 to 3.14 with its venv module found;" \
  "install one (Debian: apt-get install python3-venv) or run: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
endef

.PHONY: help
help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(VENV)/.exporter ## start a real Airflow with busy DAGs and the exporter (Ctrl-C stops both)
	@$(BIN)/python -m demo

.PHONY: test
test: lint unit ## run lint and all tests that need neither an Airflow nor containers (minutes)

.PHONY: lint
lint: $(VENV)/.dev ## run ruff, mypy --strict, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: unit
unit: $(VENV)/.dev ## run all tests except e2e and benchmarks
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(PYTEST_ARGS)

.PHONY: e2e
e2e: $(VENV)/.dev ## the exactness test on real Airflows (AIRFLOW_VERSIONS, E2E_MINUTES; half an hour or so)
	$(BIN)/python -m pytest tests/e2e/exactness/test_exactness.py -m e2e -v $(PYTEST_ARGS)

.PHONY: e2e-statsd
e2e-statsd: $(VENV)/.dev ## counters from StatsD of real Airflows, without the API, compared with their databases
	$(BIN)/python -m pytest tests/e2e/exactness/test_statsd.py -m e2e -v $(PYTEST_ARGS)

.PHONY: e2e-host
e2e-host: $(VENV)/.dev ## resources of tasks on real Airflows, compared with what the tasks measure (AIRFLOW_VERSIONS)
	$(BIN)/python -m pytest tests/e2e/host/test_usage.py -m e2e -v $(PYTEST_ARGS)

.PHONY: e2e-workers
e2e-workers: $(VENV)/.dev ## the number of Celery workers with a real Redis, compared with the processes (AIRFLOW_VERSIONS)
	$(BIN)/python -m pytest tests/e2e/host/test_workers.py -m e2e -v $(PYTEST_ARGS)

.PHONY: e2e-boards
e2e-boards: $(VENV)/.dev ## every query of dashboards and rules returns data, over a real Airflow (E2E_BOARDS_MINUTES)
	$(BIN)/python -m pytest tests/e2e/dashboards -m e2e -v -s $(PYTEST_ARGS)

.PHONY: e2e-compose
e2e-compose: $(VENV)/.dev ## docker-compose.yaml on the Docker engine that is there: healthy, scraped, alerted, recovered
	$(BIN)/python -m pytest tests/e2e/compose -m e2e -v -s $(PYTEST_ARGS)

.PHONY: e2e-charts
e2e-charts: $(VENV)/.dev ## containers with what the Helm chart renders, on the Docker engine that is there (E2E_IMAGE)
	$(BIN)/python -m tests.charts.tools .ci-tools
	PATH=$(CURDIR)/.ci-tools:$$PATH $(BIN)/python -m pytest tests/e2e/charts -m e2e -v -s $(PYTEST_ARGS)

.PHONY: e2e-alerts
e2e-alerts: $(VENV)/.dev ## real causes fire the shipped alerts, a healthy Airflow none (HEALTHY=60m: a whole hour)
	$(BIN)/python -m pytest tests/e2e/alerts -m e2e -n 2 -rP -v $(PYTEST_ARGS)

.PHONY: e2e-celery-alerts
e2e-celery-alerts: $(VENV)/.dev ## real causes fire Celery's alerts, with a real Redis, RabbitMQ and workers (four minutes)
	$(BIN)/python -m pytest tests/e2e/celery -m e2e -n 0 -rP -v $(PYTEST_ARGS)

.PHONY: e2e-database-alerts
e2e-database-alerts: $(VENV)/.dev ## real causes fire the metadata database's alerts, with a real PostgreSQL and MariaDB (three minutes)
	$(BIN)/python -m pytest tests/e2e/database -m e2e -n 0 -rP -v $(PYTEST_ARGS)

.PHONY: e2e-diagnosis
e2e-diagnosis: $(VENV)/.dev ## faults in real Airflows, each named with cause and knob (E2E_FAULTS=today: a third); reasons compared with the schedulers
	$(BIN)/python -m pytest tests/e2e/diagnosis -m e2e -v -s $(PYTEST_ARGS)

.PHONY: charts
charts: $(VENV)/.dev ## the Helm chart: lint, Kubernetes' schemas, rules, the process that it starts (fetches Helm, x86-64)
	$(BIN)/python -m tests.charts.tools .ci-tools
	PATH=$(CURDIR)/.ci-tools:$$PATH $(BIN)/python -m pytest -n $(TEST_WORKERS) tests/charts $(PYTEST_ARGS)

.PHONY: e2e-longterm
e2e-longterm: $(VENV)/.dev ## the rules in VictoriaMetrics and vmalert, and remote write over a restart (apt-get install victoria-metrics; a minute)
	$(BIN)/python -m pytest tests/e2e/longterm -m e2e -n 0 -v $(PYTEST_ARGS)

.PHONY: e2e-failures
e2e-failures: $(VENV)/.dev ## the class of each failed try of real Airflows, as each task's name says it (AIRFLOW_VERSIONS; 2 minutes each)
	$(BIN)/python -m pytest tests/e2e/failures -m e2e -v -s $(PYTEST_ARGS)

.PHONY: e2e-ramp
e2e-ramp: $(VENV)/.dev ## a real Airflow 3.3 whose parallelism is ramped, beside the advice, and a larger pool (20 minutes, a quiet machine)
	$(BIN)/python -m pytest tests/e2e/advise/test_ramp.py -m e2e -n 0 -v -s $(PYTEST_ARGS)

.PHONY: e2e-advise
e2e-advise: $(VENV)/.dev ## advice on simulated Airflows with a known optimum, from a real Prometheus (SEED, E2E_ADVISE_MIXES; minutes)
	$(BIN)/python -m pytest tests/e2e/advise/test_advise.py -m e2e -n 0 -v -s --seed=$(SEED) $(PYTEST_ARGS)

.PHONY: chaos
chaos: $(VENV)/.dev ## kill the exporter and disturb all around it, over real Airflows: nothing is lost (CHAOS_MINUTES, CHAOS_SEED, AIRFLOW_VERSIONS)
	$(BIN)/python -m pytest tests/e2e/chaos -m e2e -n 0 -v -s $(PYTEST_ARGS)

.PHONY: soak
soak: $(VENV)/.dev ## days of work, compressed: memory, descriptors and the state file do not grow (SOAK_MINUTES, SOAK_SEED)
	$(BIN)/python -m pytest tests/e2e/soak -m e2e -n 0 -v -s $(PYTEST_ARGS)

.PHONY: fuzz-http
fuzz-http: $(VENV)/.dev ## invented HTTP traffic against a real exporter (FUZZ_REQUESTS, SEED)
	$(BIN)/python -m tests.fuzz.fuzz_http --requests $(FUZZ_REQUESTS) --seed $(SEED)

.PHONY: slow
slow: $(VENV)/.dev ## run the tests that take seconds of CPU each: rules with two replicas or clusters, floods, further seeds of the model of Airflow
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal -m slow $(PYTEST_ARGS)

.PHONY: packages
packages: ## sdist, wheel, Debian packages, SBOM, checksums in dist/ (needs uv; DEB_PYTHONS, DEB_ARCHS choose Debian packages)
	@uv venv --quiet --clear .ci-tools/packages && uv pip install --quiet --python .ci-tools/packages/bin/python \
	  --require-hashes --requirement packages/tools.txt
	PATH=$(CURDIR)/.ci-tools/packages/bin:$$PATH packages/build.sh dist

.PHONY: e2e-debian
e2e-debian: $(VENV)/.dev ## the Debian package in a Debian whose systemd runs (root, debootstrap, nfpm, uv; minutes)
	$(BIN)/python -m pytest tests/e2e/packages -m e2e -v -n 0 $(PYTEST_ARGS)

.PHONY: bounds
bounds: $(VENV)/.dev ## scan 3,000 processes with Airflow's titles within its time limit while all cores are busy
	$(BIN)/python -m pytest tests/integration/host -m bounds -v -s $(PYTEST_ARGS)

.PHONY: bench
bench: $(VENV)/.dev ## benchmarks, as ratios to a peer in the same run
	$(BIN)/python -m benchmarks $(BENCH_ARGS)

.PHONY: bench-statsd
bench-statsd: $(VENV)/.dev ## benchmark StatsD; BENCH_ARGS="--peer PATH" compares with a statsd_exporter
	$(BIN)/python -m benchmarks.statsd $(BENCH_ARGS)

.PHONY: bench-host
bench-host: $(VENV)/.dev ## CPU of the host source, compared with Debian's process and node exporters (apt-get install them)
	$(BIN)/python -m benchmarks.host $(BENCH_ARGS)

.PHONY: bench-dashboards
bench-dashboards: $(VENV)/.dev ## duration of the dashboards' queries in Prometheus with 2,000 DAGs of 10 tasks
	$(BIN)/python -m benchmarks.dashboards $(BENCH_ARGS)

.PHONY: docs
docs: $(VENV)/.dev ## generate docs/, prometheus/kubernetes/ and the files of the chart again
	$(BIN)/python -m docs.generate
	$(BIN)/python -m docs.kubernetes

.PHONY: site
site: $(VENV)/.site ## build the documentation as a site in build/site, and check its links (a minute)
	$(BIN)/python -m sphinx --quiet --fail-on-warning --keep-going -c docs/site . build/site
	$(BIN)/python -m docs.site.check build/site

.PHONY: dashboards
dashboards: $(VENV)/.dev ## generate grafana/dashboards/ from grafana/boards/
	$(BIN)/python -m grafana.boards
	$(BIN)/python -m docs.chart

.PHONY: golden
golden: $(VENV)/.dev ## update the golden files of the tests; review the diff
	$(BIN)/python -m pytest --update-golden

.PHONY: clean
clean: ## stop the demo, and remove environments, caches and its files
	@if [ -x $(BIN)/python ] && [ -d .demo/airflow ]; then \
	  $(BIN)/python -m demo.airflow down --workdir .demo/airflow >/dev/null; fi
	rm -rf $(VENV) .demo .e2e .bench .ci-tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# ---- environments: made once, completed when what they are made from changes ----------------------

INSTALL = $(BIN)/python -m demo.progress "installing" $(VENV)/install.log \
  $(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --constraint constraints.txt --editable

$(BIN)/python:
	@$(FIND_PYTHON); echo "Making $(VENV) with $$python"; "$$python" -m venv $(VENV)

$(VENV)/.exporter: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the exporter into $(VENV) ..."
	@$(INSTALL) .
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing the exporter and what its tests need into $(VENV) ..."
	@$(INSTALL) '.[dev]'
	@touch $@ $(VENV)/.exporter

$(VENV)/.site: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what the site is built with into $(VENV) ..."
	@$(INSTALL) '.[docs]'
	@touch $@
