# Every target sets up what it needs; see README.md.
.DEFAULT_GOAL := help
.PHONY: help demo test test-scale check coverage docs bench fuzz kills faults lock deb try-deb setup-demo setup-test clean
PYTHON ?= python3
BIN := .venv/bin

help:
	@echo "make demo      a throw-away Asterisk whose telephones call each other, with Fonoteka beside it"
	@echo "make test      every test: unit, store, API, real Asterisk, portal in Chromium"
	@echo "make test-scale store, API and faults on PostgreSQL and S3"
	@echo "make check     format, lint, imports, types, the portal's checks, unit tests"
	@echo "make coverage  branch coverage of the layers that run in one process"
	@echo "make docs      check the documents, take the guides' pictures again"
	@echo "make bench     every benchmark, each against a peer"
	@echo "make fuzz      a hundred times as many generated API requests as make test"
	@echo "make kills     what must survive kill -9, killed fifty times at each kind of step"
	@echo "make faults    parts killed 200 times at random while real calls go on; links and clocks that fail"
	@echo "make deb       a Debian package for the release of this machine, in build/"
	@echo "make try-deb   that package in a clean Debian: installed, run, removed, purged"
	@echo "make lock      write requirements.lock and requirements-dev.lock from pyproject.toml"

# Every version and its hash are in the lock file: the same environment on every machine.
.venv/.ready: requirements-dev.lock pyproject.toml portal/build_hook.py portal/package-lock.json
	@sh lab/setup.sh python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

setup-demo: .venv/.ready
	@sh lab/setup.sh mmdebstrap sip-tester sox espeak-ng

setup-test: setup-demo
	@sh lab/setup.sh chromium postgresql pgbouncer nginx-light fonts-dejavu-core poppler-utils systemd libfaketime
	@$(BIN)/python -m tests.support.radosgw

demo: setup-demo
	@$(BIN)/fonoteka demo

# All of it runs, whatever fails; times of all tests: build/junit-*.xml.
test: setup-test
	@$(BIN)/python -m tests.run

# The store, the API and the faults on PostgreSQL and S3 (Ceph's radosgw): 21 minutes.
SCALE := FONOTEKA_TEST_STORES=postgresql-s3 $(BIN)/python -m pytest -q -m "not long and not one_machine"
test-scale: setup-test
	$(SCALE) --numprocesses 2 --dist loadfile tests/store tests/api
	$(SCALE) tests/faults

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd portal && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile tests/unit tests/docs

# The layers that run in this process. Parts that tests start as programs of their own do not count.
coverage: setup-test
	$(BIN)/python -m pytest -q --numprocesses 2 --dist loadfile --cov --cov-report=term:skip-covered \
	tests/unit tests/store tests/api tests/intruder

# Documents: links, names, the form of decisions; then the pictures of the guides.
docs: setup-test
	$(BIN)/python -m pytest -q tests/docs
	$(BIN)/python -m tests.portal.guide

fuzz: setup-test
	FONOTEKA_FUZZ_EXAMPLES=400 $(BIN)/python -m pytest tests/api/test_schemathesis.py

kills: setup-test
	$(BIN)/python -m pytest -m long -s tests/store

faults: setup-test
	$(BIN)/python -m pytest -m long -s tests/faults

bench: setup-test
	@sh lab/setup.sh ffmpeg lame
	@for script in bench/mixer.py bench/agent.py bench/ready.py bench/load.py bench/portal_queries.py; do $(BIN)/python $$script || exit 1; done

deb: .venv/.ready
	@sh deploy/debian/build.sh

try-deb: deb
	@sh lab/setup.sh mmdebstrap
	$(BIN)/python -m pytest -m long -s tests/debian

# Newer versions within the bounds of pyproject.toml: pass UPGRADE=--upgrade.
LOCK := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(UPGRADE)
lock: .venv/.ready
	$(LOCK) --output-file requirements.lock
	$(LOCK) --extra dev --output-file requirements-dev.lock

clean:
	rm -rf .venv api/static build dist .mypy_cache .ruff_cache .pytest_cache
