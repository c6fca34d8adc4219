# Every command of this project. `make` alone lists them.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .local/venvs
SETUP := $(VENV)/.ready $(TOOLS)/sam/.ready $(TOOLS)/ministack/.ready .local/npm/.ready
.DEFAULT_GOAL := help
.PHONY: help setup dev up down token test check bench chaos mutants docs build deploy clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## install everything into this folder (the other commands do it by themselves)

$(VENV)/.ready: requirements.txt tests/requirements.txt
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m infra.ops "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)" > $(BIN)/topup && chmod +x $(BIN)/topup
	@touch $@

$(TOOLS)/%/.ready: infra/local/requirements-%.txt
	@echo "setting up $* ..."
	@$(PYTHON) -m venv $(TOOLS)/$*
	@$(TOOLS)/$*/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# The official Stripe CLI and a DynamoDB on disk, for tests. Without npm those tests say why they are skipped.
.local/npm/.ready: infra/local/npm/package.json
	@mkdir -p .local/npm && cp infra/local/npm/package.json .local/npm/
	@if command -v npm >/dev/null; then echo "setting up the Stripe CLI ..."; cd .local/npm && npm install --silent --no-audit --no-fund --no-package-lock; \
	else echo "npm is not here: tests with the Stripe CLI and with dynoxide will be skipped"; fi
	@touch $@

dev: $(SETUP) ## the whole product on this machine, in the foreground; Ctrl-C stops it and keeps the data
	@exec $(BIN)/python -m infra.local dev

up: $(SETUP) ## the same in the background; returns when it answers
	@exec $(BIN)/python -m infra.local up

down: ## stop the one in the background
	@test ! -x $(BIN)/python || $(BIN)/python -m infra.local down

token: ## print a token of the stand: make token SUB=alice [SCOPE=quota.write] [TTL=-60] [AUD=other]
	@$(BIN)/python -m infra.local token --sub "$(SUB)" --scope "$(SCOPE)" --ttl=$(or $(TTL),3600) --aud "$(or $(AUD),topup)"

test: $(SETUP) ## every test
	@exec $(BIN)/python -m pytest

check: $(SETUP) ## format, lint, types, template, docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam validate --lint
	$(TOOLS)/sam/bin/cfn-lint template.yaml

bench: $(SETUP) ## the benchmarks, as ratios within one run; writes .local/bench.json
	@PYTHONPATH=functions:tests:. $(BIN)/python -m bench

chaos: $(SETUP) ## ten minutes of faults on the wire: answers lost, requests dropped, the database killed
	@TOPUP_CHAOS_SECONDS=$(or $(SECONDS_OF_CHAOS),600) $(BIN)/python -m pytest tests/chaos -q -s

mutants: $(SETUP) ## plant one bug after another in the money path: the tests must catch every one
	@exec $(BIN)/python -m tests.mutants

docs: $(SETUP) ## write docs/operations.md, docs/guarantees.md and the README's pictures from runs
	@PYTHONPATH=functions:tests:. $(BIN)/python -m readme_pictures
	@PYTHONPATH=functions:tests:. $(BIN)/python -m operations_guide
	@PYTHONPATH=functions:tests:. $(BIN)/python -m guarantees_page

build: $(SETUP) ## the artifact that Lambda runs, in .aws-sam/build
	@exec $(BIN)/python -m infra.local build

deploy: build ## to the AWS account that this shell is signed in to: make deploy [STAGE=prod]
	SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam deploy --config-env $(or $(STAGE),default) --guided

clean: down ## remove everything that the commands above made, the stand's data too
	rm -rf .local .aws-sam $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
