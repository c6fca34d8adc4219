# Every command of this project. `make` alone lists them. It works with the make 3.81 of macOS and
# with any POSIX shell.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .local/venvs
# One pip for all environments, of a version that is quick. Modules are compiled when first used.
PIP := 26.3
INSTALL := install --quiet --quiet --no-compile
DOCS := PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m
SETUP := $(VENV)/.ready $(TOOLS)/sam/.ready $(TOOLS)/ministack/.ready $(TOOLS)/moto/.ready \
	.local/npm/.ready
# Where it is set, every process that a test starts would compile all modules again.
unexport PYTHONDONTWRITEBYTECODE
# Locks for every system and Python from 3.11 on. They name no index: pip uses the configured one.
COMPILE = "$(CURDIR)/$(TOOLS)/audit/bin/uv" pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock'
.DEFAULT_GOAL := help
.PHONY: help setup dev up down token quick test check check-text check-types check-template bench \
	chaos soak soak-charges mutants fuzz docs fill build deploy uninstall lock audit sbom clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything into this folder (the other commands do this first)
	@$(MAKE) --silent --jobs=4 $(SETUP)

$(VENV)/.pip-$(PIP):
	@echo "setting up pip ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python $(INSTALL) pip==$(PIP) 2>/dev/null || \
	$(BIN)/python -m ensurepip >/dev/null || { echo "This Python has no pip and cannot make one:" \
	"apt-get install python3-venv, or make PYTHON=/path/to/python3.13 ..."; exit 1; }
	@$(BIN)/python -m pip --disable-pip-version-check $(INSTALL) pip==$(PIP)
	@touch $@

$(VENV)/.ready: tests/requirements.txt $(VENV)/.pip-$(PIP)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip $(INSTALL) -r tests/requirements.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m infra.cli "$$@"\n' \
	"$(CURDIR)" "$(CURDIR)/$(BIN)" > $(BIN)/topup && chmod +x $(BIN)/topup
	@touch $@

$(TOOLS)/%/.ready: infra/local/requirements-%.txt $(VENV)/.pip-$(PIP)
	@echo "setting up $* ..."
	@$(PYTHON) -m venv --without-pip $(TOOLS)/$*
	@$(BIN)/python -m pip --python $(TOOLS)/$*/bin/python $(INSTALL) -r $<
	@touch $@

# The official Stripe CLI and a DynamoDB on disk. Without npm the tests that need them are skipped.
.local/npm/.ready: infra/local/npm/package.json
	@mkdir -p .local/npm && cp infra/local/npm/package.json .local/npm/
	@if command -v npm >/dev/null; then echo "setting up the Stripe CLI ..."; \
	cd .local/npm && npm install --silent --no-audit --no-fund --no-package-lock; \
	else echo "npm is missing: tests with the Stripe CLI and with dynoxide will be skipped"; fi
	@touch $@

# TOPUP_CATALOGUE=FILE serves another catalogue: `dev` and `up` build with it in plans.json's place.
dev: setup ## run the local stack in the foreground; Ctrl-C stops it and keeps the data
	@exec $(BIN)/python -m infra.local dev

up: setup ## the same in the background; returns when it answers
	@exec $(BIN)/python -m infra.local up

down: ## stop the one in the background
	@test ! -x $(BIN)/python || $(BIN)/python -m infra.local down

token: ## print a token: make token SUB=alice [SCOPE=quota.write] [TTL=-60] [AUD=other] [CLAIMS='{"email_verified":true}']
	@$(BIN)/python -m infra.local token --sub "$(SUB)" --scope "$(SCOPE)" \
	--ttl=$(or $(TTL),3600) --aud "$(or $(AUD),topup)" --claims '$(CLAIMS)'

# Without restores, fresh interpreters and the widest sweeps, which take most of the time.
quick: $(VENV)/.ready ## the tests of the logic and of the handlers, in half a minute
	@exec $(BIN)/python -m pytest tests/unit tests/functional --quiet --numprocesses 2 \
	--dist worksteal $(foreach name,*restor* *starting* *any_text* *openapi*,--ignore-glob="$(name)")

test: setup ## every test
	@exec $(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

check: setup ## format, lint, types, template, docs
	@$(MAKE) --silent --jobs=2 check-types check-template check-text

check-text:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	@$(DOCS) tools.docs.fill --check
	$(BIN)/python -m pytest --quiet tests/repo/test_docs.py tests/repo/test_threats.py

check-types:
	$(BIN)/mypy

check-template:
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam validate --lint
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.lint_regions

bench: setup ## the benchmarks, into .local/bench.json and .svg: make bench [ONLY="work cpu"]
	@$(BIN)/python -m infra.local build >/dev/null
	@PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m bench $(ONLY)

chaos: setup ## half an hour of faults: every fault in every order, and ten minutes on the wire with a killed database
	@TOPUP_CHAOS_SECONDS=$(or $(SECONDS_OF_CHAOS),600) exec $(BIN)/python -m pytest tests/chaos \
	--numprocesses 3 --dist loadscope

# The same seed gives the same histories, so the order of sets must not depend on the process.
soak: setup ## a million deliveries, and of events out 100 000, with faults: make soak [SEED=7] [DELIVERIES=20000] [HISTORY=12]
	@PYTHONHASHSEED=0 PYTHONPATH=functions:tests:. exec $(BIN)/python -m soak \
	$(if $(SEED),--seed "$(SEED)") $(if $(DELIVERIES),--deliveries $(DELIVERIES)) $(if $(HISTORY),--history $(HISTORY))
	$(if $(HISTORY),,@PYTHONHASHSEED=0 PYTHONPATH=functions:tests:. exec $(BIN)/python -m soak.told \
	$(if $(SEED),--seed "$(SEED)") $(if $(DELIVERIES),--faulted $(DELIVERIES)))

soak-charges: setup ## a million histories of automatic charges, with faults: make soak-charges [HISTORIES=20000]
	@PYTHONHASHSEED=0 PYTHONPATH=functions:tests:. exec $(BIN)/python -m soak.charges $(or $(HISTORIES),1000000)

# First known bugs in the money path, then generated ones. SAMPLE=0 tries all of them.
mutants: setup ## plant bugs that tests must find: make mutants [SEED=1] [SAMPLE=700] [ONLY=holds]
	@$(BIN)/python -m tests.mutants
	@PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m mutants.machine \
	--seed $(or $(SEED),1) --sample $(or $(SAMPLE),700) --only "$(ONLY)"

fuzz: setup ## call the API for five minutes with valid and invalid requests; fails at a 5xx
	@PYTHONPATH=functions:tests:. $(BIN)/python -m support.fuzzing $(or $(SECONDS_OF_FUZZING),300)

docs: setup ## fill all blocks of the docs, also those that come from runs
	@$(DOCS) tools.docs.readme_pictures
	@$(DOCS) tools.docs.runs
	@$(DOCS) tools.docs.fill --runs

fill: setup ## fill the blocks of the docs that need no run
	@$(DOCS) tools.docs.fill

build: setup ## build the artifact that Lambda runs, in .aws-sam/build
	@exec $(BIN)/python -m infra.local build

# The answers are kept in .topup, in a file of the stage. ASK=1 asks again, YES=1 does not ask.
deploy: build ## deploy to AWS, then connect with Stripe: make deploy [STAGE=prod] [ASK=1] [YES=1]
	@exec $(BIN)/python -m infra.deploy.commands deploy "$(or $(STAGE),default)" \
	$(if $(ASK),--ask) $(if $(YES),--yes)

uninstall: setup ## delete a stack but keep its books and users: make uninstall STAGE=prod
	@exec $(BIN)/python -m infra.deploy.commands uninstall "$(or $(STAGE),)"

lock: $(TOOLS)/audit/.ready ## pin every package of every environment, with its hashes
	@cd functions && $(COMPILE) ../requirements.txt --output-file requirements.txt
	@cd tests && $(COMPILE) requirements.in --output-file requirements.txt
	@cd infra/local && for name in sam ministack moto audit; do \
	$(COMPILE) requirements-$$name.in --output-file requirements-$$name.txt || exit 1; done

audit: $(TOOLS)/audit/.ready ## compare what runs in Lambda with known advisories
	@$(TOOLS)/audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off \
	-r functions/requirements.txt || { echo "not audited: an advisory is named above," \
	"or PyPI's advisories cannot be reached from here"; exit 1; }

sbom: build ## write the artifact's bill of materials, as CycloneDX, in .aws-sam/topup.cdx.json
	@exec $(BIN)/python -m infra.build.sbom

clean: down ## remove everything that these commands made, also the local stack's data
	rm -rf .local .aws-sam $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
