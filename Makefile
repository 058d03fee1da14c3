# Every target sets up what it needs; see README.md.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench fuzz pictures setup-demo setup-test clean
PYTHON ?= python3
BIN := .venv/bin

help:
	@echo "make demo    a throw-away Asterisk with phones that call each other, and Fonoteka beside it"
	@echo "make test    every test: unit, pbx (real Asterisk), store, api, portal (Chromium)"
	@echo "make check   format, lint, types, unit tests"
	@echo "make fuzz    asks the API for everything its description allows and forbids, a hundred times as long as the tests do"
	@echo "make bench   every benchmark; each prints what it measured against a peer"
	@echo "make pictures  the guides' pictures anew, from the running portal, into docs/pictures"

.venv/.ready: pyproject.toml portal/build_hook.py portal/package-lock.json
	@sh lab/setup.sh python3-venv
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

setup-demo: .venv/.ready
	@sh lab/setup.sh mmdebstrap sip-tester sox espeak-ng

setup-test: setup-demo
	@sh lab/setup.sh chromium postgresql nginx-light fonts-dejavu-core poppler-utils

demo: setup-demo
	@$(BIN)/fonoteka demo

# All of it runs, whatever fails; times of all tests: build/junit-*.xml.
test: setup-test
	@$(BIN)/python -m tests.run

check: .venv/.ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	cd portal && PATH="$(CURDIR)/$(BIN):$$PATH" npm run --silent check
	$(BIN)/python -m pytest -q tests/unit tests/docs

fuzz: setup-test
	FONOTEKA_FUZZ_EXAMPLES=400 $(BIN)/python -m pytest tests/api/test_schemathesis.py

bench: setup-test
	@sh lab/setup.sh ffmpeg lame
	@for script in bench/mixer.py bench/agent.py bench/ready.py bench/load.py bench/portal_queries.py; do $(BIN)/python $$script || exit 1; done

pictures: setup-test
	$(BIN)/python -m tests.portal.guide

clean:
	rm -rf .venv api/static build dist .mypy_cache .ruff_cache .pytest_cache
