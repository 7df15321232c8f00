# The recipes of this project; CI runs the same ones. `make` alone lists them.

VENV := .venv
PYTHON := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
ETCD3 := .services/etcd3/.installed
PROTOC := .services/protoc/.installed
PATRONI := .services/patroni/.installed
RELEASE := .release
COMPILED := .compiled
PEERS := .bench
PEERS_INSTALLED := $(PEERS)/.installed
CODE := $(wildcard goconductor migrations tests examples benchmarks docs/roles.py hatch_build.py)
ON_EACH_POSTGRES := tests/migration $(wildcard $(addprefix tests/contracts/test_,store_postgres*.py bus_postgres.py \
	election_postgres.py journal_asyncpg.py))
SPREAD := -n $(or $(PROCESSES),3) --dist loadfile --no-loadscope-reorder
AGAIN := $(if $(TRY_AGAIN),--reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks --hypothesis-profile=landing)
SEEDS ?= 2 3 4
OF_THE_IMAGE := rest metrics tracing kafka kinesis sqs rabbitmq nats etcd zookeeper system grpc oidc secrets
BASE_PYTHON ?= $(shell for name in python3.13 python3.12 python3.11 python3; do \
	$$name -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

.DEFAULT_GOAL := help
.PHONY: help venv demo test test-all simulate check lint types layers proto servers failover-servers services bench bench-buses bench-gate bench-calls bench-dataflows bench-peers bench-compiled wheel-compiled test-compiled docs release-check lock format clean

help: ## List the recipes
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

venv: $(INSTALLED) ## Create .venv with everything that development needs, each download checked against requirements/dev.lock

$(INSTALLED): requirements/dev.lock pyproject.toml
	@test -n "$(BASE_PYTHON)" || { echo "Python 3.11 or newer with venv is missing: apt-get install python3-venv (Debian, Ubuntu), brew install python (macOS)" >&2; exit 1; }
	@echo "installing into $(VENV); this takes a minute or more, and pip prints nothing"
	$(BASE_PYTHON) -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/dev.lock
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(INSTALLED) ## Run three services and a saga over an embedded PostgreSQL; BUS=kafka takes a broker, SERVE=1 keeps them running
	$(PYTHON) examples/01-orders/demo.py $(if $(BUS),--bus $(BUS)) $(if $(SERVE),--serve)

test: $(INSTALLED) servers ## Run all tests on real servers, and fail if a leaf did not pass its whole contract suite; TRY_AGAIN=1 as in CI
	$(PYTHON) -m pytest --quiet $(SPREAD) $(AGAIN) --postgres=embedded -m postgres $(ON_EACH_POSTGRES)
	$(PYTHON) -m pytest --per-leaf $(SPREAD) $(AGAIN)

test-all: test failover-servers ## The same, then what takes longer: 20,000 messages over each bus, the protocol's models in full, chart and image, failovers of a real Patroni, 10,000 simulations, and the acceptance tests under SEEDS="2 3 4"
	GOCONDUCTOR_TEST_MESSAGES=20000 $(PYTHON) -m pytest --quiet $(SPREAD) -k "none_is_lost"
	GOCONDUCTOR_TEST_PROTOCOL=full $(PYTHON) -m pytest --quiet $(SPREAD) tests/protocol
	GOCONDUCTOR_TEST_HELM=1 GOCONDUCTOR_TEST_IMAGE=1 $(PYTHON) -m pytest --quiet tests/deploy/test_chart.py tests/deploy/test_image.py
	GOCONDUCTOR_TEST_CALLS=5000 $(PYTHON) -m pytest --quiet -k at_once tests/doors/test_grpc_problems.py
	GOCONDUCTOR_TEST_FUZZED=50000 $(PYTHON) -m pytest --quiet tests/doors/test_grpc_fuzz.py
	GOCONDUCTOR_TEST_UPGRADED=60 $(PYTHON) -m pytest --quiet tests/acceptance/test_rolling_upgrade.py
	GOCONDUCTOR_TEST_WORKERS=1000 $(PYTHON) -m pytest --quiet tests/gateway/test_many.py
	GOCONDUCTOR_TEST_FAILOVER=1 $(PYTHON) -m pytest --quiet -p no:randomly tests/failover
	for seed in $(SEEDS); do GOCONDUCTOR_TEST_SEED=$$seed $(PYTHON) -m pytest --quiet tests/acceptance || exit 1; done
	$(PYTHON) -m tests.simulation --seed 1000 --runs 10000
	$(MAKE) test-compiled

wheel-compiled: $(INSTALLED) ## Build a wheel whose hottest modules are compiled, for this machine's Python, in dist/compiled; needs a C compiler
	rm -rf dist/compiled
	HATCH_BUILD_HOOK_ENABLE_CUSTOM=1 $(PYTHON) -m build --wheel --no-isolation --outdir dist/compiled

test-compiled: wheel-compiled $(COMPILED)/.installed ## Run the pure tests and all contract suites on that wheel, in an environment of its own, and fail if a module that should be compiled is not
	@COMPILED=$(COMPILED) sh .ci/test-compiled $(SPREAD)

$(COMPILED)/.installed: requirements/dev.lock
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/dev.lock
	@touch $@

simulate: $(INSTALLED) ## Run N simulations (1000) from SEED (0) on, and count the faults; N=1 prints what happened; KEEP=name keeps a failure; PLANTED=1 plants bugs
	$(PYTHON) -m tests.simulation --seed $(or $(SEED),0) --runs $(or $(N),1000) $(if $(KEEP),--keep $(KEEP)) $(if $(PLANTED),--planted)

check: lint types layers ## Lint, types and layers

lint: $(INSTALLED)
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/ruff format --check $(CODE)

types: $(INSTALLED)
	$(VENV)/bin/mypy $(CODE)

layers: $(INSTALLED)
	$(VENV)/bin/lint-imports --no-logo

servers: $(INSTALLED) $(ETCD3) $(PROTOC) ## Install the servers that the tests start: as root with apt, else it says which are missing
	@PYTHON=$(PYTHON) sh .ci/services

failover-servers: $(PATRONI) ## Install what tests/failover starts beside: Patroni into .services, HAProxy as root with apt
	@PYTHON=$(PYTHON) FAILOVER=1 sh .ci/services

$(PATRONI): requirements/patroni.lock | $(INSTALLED)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target $(@D) --requirement $<
	@touch $@

$(ETCD3): requirements/etcd3.lock | $(INSTALLED)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target $(@D) --requirement $<
	@touch $@

$(PROTOC): requirements/protoc.lock | $(INSTALLED)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --upgrade --target $(@D) --requirement $<
	@touch $@

proto: $(PROTOC) ## Write the code of goconductor/grpc/v1/*.proto anew
	PYTHONPATH=$(dir $(PROTOC)) $(PYTHON) -m grpc_tools.protoc --proto_path . --python_out . --pyi_out . $(wildcard goconductor/grpc/v1/*.proto)

services: servers ## Start every server, and say where each listens, until Ctrl-C; ONLY="kafka nats" starts these
	@exec $(PYTHON) -m tests.servers $(ONLY)

bench: $(INSTALLED) ## Measure sagas per second and latencies; BUS=postgres or kafka: over three services; see benchmarks/
	$(PYTHON) benchmarks/$(if $(BUS),bench_services.py --bus $(BUS),bench_sagas.py)

bench-buses: $(INSTALLED) ## Measure each bus by itself: messages per second and latency; OPTIONS="--bus kafka,nats" takes these; see benchmarks/
	$(PYTHON) benchmarks/bench_buses.py $(OPTIONS)

bench-gate: $(INSTALLED) ## Compare with the last release in one run, by ratios, and fail where a saga became dearer; BASE=commit takes another
	$(PYTHON) benchmarks/bench_gate.py $(if $(BASE),--base $(BASE)) $(OPTIONS)

bench-calls: $(INSTALLED) ## Count the calls of Python that a saga takes, whatever else the machine does; BASE=commit compares with it
	$(PYTHON) benchmarks/bench_calls.py $(if $(BASE),--base $(BASE)) $(OPTIONS)

bench-compiled: wheel-compiled ## Compare the compiled build with pure Python in turns, by CPU seconds of Python; see benchmarks/
	rm -rf dist/pure
	$(PYTHON) -m build --wheel --no-isolation --outdir dist/pure
	$(PYTHON) benchmarks/bench_compiled.py --pure dist/pure/*.whl --compiled dist/compiled/*.whl $(OPTIONS)

bench-dataflows: $(INSTALLED) ## Count what a dataflow costs beside direct calls of its builders and a chain written by hand; OPTIONS="--time" measures, too
	$(PYTHON) benchmarks/bench_dataflows.py $(OPTIONS)

bench-peers: $(PEERS_INSTALLED) ## Measure beside peers, and write a table and plots; OPTIONS="--help" tells of a choice; see benchmarks/
	$(PEERS)/bin/python benchmarks/bench_peers.py $(OPTIONS)

$(PEERS_INSTALLED): requirements/bench.lock pyproject.toml
	@test -n "$(BASE_PYTHON)" || { echo "Python 3.11 or newer with venv is missing" >&2; exit 1; }
	$(BASE_PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/bench.lock
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

docs: $(INSTALLED) ## Build the site of the documentation in site/; a broken link fails, and nothing is fetched
	$(VENV)/bin/zensical build --strict --clean

release-check: $(INSTALLED) $(RELEASE)/.installed ## Build sdist and wheel twice and compare, list what is in them, ask for known faults; OFFLINE=1 asks nobody
	@PYTHON=$(PYTHON) TOOLS=$(RELEASE)/bin OFFLINE=$(OFFLINE) bash .ci/release-check

$(RELEASE)/.installed: requirements/release.lock
	@test -n "$(BASE_PYTHON)" || { echo "Python 3.11 or newer with venv is missing" >&2; exit 1; }
	$(BASE_PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/release.lock
	@touch $@

lock: ## Resolve requirements/*.lock anew within pyproject.toml; UPGRADE=1 takes the newest versions (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --all-extras --group dev \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements/dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraint requirements/dev.lock $(addprefix --extra ,$(OF_THE_IMAGE)) \
		--custom-compile-command "make lock" pyproject.toml --output-file requirements/image.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --group release \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) --output-file requirements/release.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --constraint requirements/dev.lock --group build \
		--custom-compile-command "make lock" --output-file requirements/build.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra kafka --extra embedded --group bench \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) pyproject.toml --output-file requirements/bench.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) requirements/etcd3.in --output-file requirements/etcd3.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade) requirements/protoc.in --output-file requirements/protoc.lock

format: $(INSTALLED) ## Mend what can be mended by itself
	$(VENV)/bin/ruff check --fix $(CODE)
	$(VENV)/bin/ruff format $(CODE)

clean: ## Remove everything that these recipes made
	rm -rf $(VENV) $(COMPILED) $(PEERS) $(RELEASE) .demo .services site .cache dist build .coverage* .*_cache .hypothesis
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
