# make run     set up, start everything on this machine, show conversations, keep serving (ARGS=--once: end after them)
# make test    set up, then every test but the slow suites, on a real Kafka and a real Postgres (JOBS=0: in one process)
# make lowest  tests of what the lowest versions of everything that Argosy says it works with could break
# make packages  what needs the package index: the wheel, frameworks beside it, clients that others generate
# make docs    the site of the documentation in site/, every link checked
# make lock    resolve the versions anew: constraints.txt (what is installed here), constraints-lowest.txt
# make faults  the slow suites: storms of faults; ends with a table of scenarios (ARGS="-n 2 --storm-seeds 10": two at once, more storms)
# make bench   measure, side by side with the floor (ARGS="turns workers recovery stall idle graphs ingest moves watch backlog": some of it)
# make rolling  one fleet of this version and another one, rolled back and forth (ARGS="--beside DIR": that one's checkout)
# make test-compose  deploy/compose.yaml in a real Docker engine: up, turns and streams through Caddy, processes killed, down (root)
# make check   format, lint, types
PYTHON ?= python3
# Tests wait for servers and processes a quarter of their time: three of them keep two cores busy.
JOBS ?= 3
# Every process of a test would compile all of Argosy anew: a third of what starting it costs.
unexport PYTHONDONTWRITEBYTECODE
BIN := .venv/bin
# Files in their order: those of a folder share what they start, and the many short ones of tests/unit come late, so that
# no process ends long before the others.
SPREAD := -n $(JOBS) --dist loadfile --no-loadscope-reorder
JARS := from argosy.config import default_data_dir; from argosy.local.kafka_jars import kafka_jars; kafka_jars(default_data_dir() / "cache")
BUILT_OF := hatch_build.py $(wildcard proto/argosy/rpc/*.proto)
# What a checkout that is installed in place needs besides, and of which uv hears nothing.
UNHEARD := editables
# Compiled as pip would: a process that may write no bytecode would otherwise compile all of it at each start.
ADD := $(BIN)/uv pip install --quiet --compile-bytecode
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --all-extras pyproject.toml

.PHONY: run test lowest packages docs lock faults bench rolling test-compose check clean

run: .venv
	@$(BIN)/argosy up --demo examples/support_tickets.jsonl $(ARGS)

.venv: .venv/installed

.venv/installed-uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed (PYTHON=/path/to/python3)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv
	@touch $@

.venv/installed: pyproject.toml constraints.txt $(BUILT_OF) | .venv/installed-uv
	$(ADD) --python $(BIN)/python -c constraints.txt -e '.[embedded,kafka]' $(UNHEARD)
	@touch $@

.venv/installed-dev: pyproject.toml constraints.txt $(BUILT_OF) | .venv/installed-uv
	$(ADD) --python $(BIN)/python -c constraints.txt -e '.[dev]' $(UNHEARD)
	@touch .venv/installed $@

.venv-lowest/installed: pyproject.toml constraints-lowest.txt $(BUILT_OF) | .venv/installed-uv
	$(PYTHON) -m venv .venv-lowest
	$(ADD) --python .venv-lowest/bin/python -c constraints-lowest.txt -e '.[dev,docs]' $(UNHEARD)
	@touch $@

test: .venv/installed-dev
	@sh tests/install_needs.sh
	@$(BIN)/python -c '$(JARS)'
	$(BIN)/python -m pytest -m "not slow and not packages" $(SPREAD) $(ARGS)

# Each dependency at work: pydantic-settings, structlog, prometheus, rich, msgspec, jsonpatch (unit), PyJWT (identity), typer and rich
# (command line), httpx2 (client), fastapi, uvicorn and httptools (gateway), grpc and protobuf (calls, streams), asyncpg
# (store), confluent-kafka (logs, journey), the embedded PostgreSQL and psutil (in process, processes), apsw, numpy, usearch,
# kglite, gRPC's health and reflection (shards), all of them but those of shards (journey).
LOWEST := tests/journey/test_emit.py \
  tests/journey/test_command_line.py::test_a_turn_can_be_submitted_waited_for_and_shown_by_command \
  tests/journey/test_command_line.py::test_the_fleet_is_shown_once_or_live_until_ctrl_c \
  tests/journey/test_journey.py::test_every_kind_of_step_and_wait_completes \
  tests/journey/test_journey.py::test_running_suspended_and_queued_turns_can_be_cancelled \
  tests/logs/test_kafka_admin.py tests/logs/test_kafka_writer.py tests/processes/test_child.py \
  tests/client/test_fleet.py tests/client/test_streams.py tests/client/test_retries.py tests/client/test_in_process.py \
  tests/gateway/test_openapi.py tests/gateway/test_bad_input.py tests/gateway/test_enqueue.py tests/gateway/test_batch.py \
  tests/gateway/test_http_bounds.py tests/gateway/test_hostile_clients.py tests/gateway/test_other_protocols.py \
  tests/gateway/test_metrics.py tests/gateway/stream/test_turn_stream.py \
  tests/rpc/test_tls.py tests/dispatch/test_poke_service.py tests/dispatch/stream/test_service.py tests/dispatch/stream/test_signed_streams.py \
  tests/store/test_pool.py tests/store/test_accept.py tests/store/test_session_settings.py \
  tests/shards/test_engine.py tests/shards/test_vectors.py tests/shards/test_view.py tests/shards/test_server.py \
  tests/workflow/test_payload.py tests/workflow/test_emit.py tests/identity tests/unit

lowest: .venv-lowest/installed
	@sh tests/install_needs.sh
	@.venv-lowest/bin/python -c '$(JARS)'
	.venv-lowest/bin/python -m pytest -m "not slow and not packages" $(SPREAD) $(LOWEST) $(ARGS)
	NO_MKDOCS_2_WARNING=1 .venv-lowest/bin/mkdocs build --strict --clean --site-dir .venv-lowest/site

packages: .venv/installed-dev
	$(BIN)/python -m pytest -m "packages and not slow" $(SPREAD) tests/packaging $(ARGS)

.venv/installed-docs: pyproject.toml constraints.txt $(BUILT_OF) | .venv/installed-uv
	$(ADD) --python $(BIN)/python -c constraints.txt -e '.[docs]' $(UNHEARD)
	@touch $@

docs: .venv/installed-docs  # not --quiet: it would count no warning, and --strict would fail of none
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --clean

lock: .venv/installed-dev
	$(LOCK) --upgrade -o constraints.txt
	$(LOCK) --upgrade --resolution lowest-direct -o constraints-lowest.txt

faults: .venv/installed-dev
	@sh tests/install_needs.sh
	@$(BIN)/python -c '$(JARS)'
	$(BIN)/python -m pytest -m slow --timeout 900 --faults-table faults.txt $(ARGS)

bench: .venv/installed-dev
	@sh tests/install_needs.sh
	@$(BIN)/python -c '$(JARS)'
	$(BIN)/python -m bench $(ARGS)

rolling: .venv/installed-dev
	@sh tests/install_needs.sh
	@$(BIN)/python -c '$(JARS)'
	$(BIN)/python -m tests.rolling $(ARGS)

test-compose: .venv/installed-dev
	$(BIN)/python -m tests.compose $(ARGS)

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf .venv .venv-lowest site
