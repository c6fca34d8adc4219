# Every command of this project. `make` alone lists them. It runs on the make 3.81 of macOS and in any POSIX shell.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .local/venvs
# One pip for all environments, of a version that reads long lists of releases quickly. What is used is compiled when it is first used.
PIP := 26.3
INSTALL := install --quiet --quiet --no-compile
SETUP := $(VENV)/.ready $(TOOLS)/sam/.ready $(TOOLS)/ministack/.ready $(TOOLS)/moto/.ready .local/npm/.ready
unexport PYTHONDONTWRITEBYTECODE # whoever sets it would compile everything anew in every process that a test starts
.DEFAULT_GOAL := help
.PHONY: help setup dev up down token test check check-text check-types check-template bench chaos soak mutants fuzz docs build deploy uninstall lock audit sbom clean

help: ## list the commands
	@awk -F':.*## ' '/^[a-z]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install everything into this folder (the other commands do it by themselves)
	@$(MAKE) --silent --jobs=4 $(SETUP)

$(VENV)/.pip-$(PIP):
	@echo "setting up pip ..."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.13 ..."; exit 1; }
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(BIN)/python $(INSTALL) pip==$(PIP) 2>/dev/null || $(BIN)/python -m ensurepip >/dev/null || { \
	echo "This Python has no pip and cannot make one: apt-get install python3-venv, or make PYTHON=/path/to/python3.13 ..."; exit 1; }
	@$(BIN)/python -m pip --disable-pip-version-check $(INSTALL) pip==$(PIP)
	@touch $@

$(VENV)/.ready: requirements.txt tests/requirements.txt $(VENV)/.pip-$(PIP)
	@echo "setting up $(VENV) ..."
	@$(BIN)/python -m pip $(INSTALL) -r tests/requirements.txt
	@printf '#!/bin/sh\nPYTHONPATH="%s" exec "%s/python" -m infra.cli "$$@"\n' "$(CURDIR)" "$(CURDIR)/$(BIN)" > $(BIN)/topup && chmod +x $(BIN)/topup
	@touch $@

$(TOOLS)/%/.ready: infra/local/requirements-%.txt $(VENV)/.pip-$(PIP)
	@echo "setting up $* ..."
	@$(PYTHON) -m venv --without-pip $(TOOLS)/$*
	@$(BIN)/python -m pip --python $(TOOLS)/$*/bin/python $(INSTALL) -r $<
	@touch $@

# The official Stripe CLI and a DynamoDB on disk, for tests. Without npm those tests say why they are skipped.
.local/npm/.ready: infra/local/npm/package.json
	@mkdir -p .local/npm && cp infra/local/npm/package.json .local/npm/
	@if command -v npm >/dev/null; then echo "setting up the Stripe CLI ..."; cd .local/npm && npm install --silent --no-audit --no-fund --no-package-lock; \
	else echo "npm is not here: tests with the Stripe CLI and with dynoxide will be skipped"; fi
	@touch $@

dev: setup ## the whole product on this machine, in the foreground; Ctrl-C stops it and keeps the data
	@exec $(BIN)/python -m infra.local dev

up: setup ## the same in the background; returns when it answers
	@exec $(BIN)/python -m infra.local up

down: ## stop the one in the background
	@test ! -x $(BIN)/python || $(BIN)/python -m infra.local down

token: ## print a token of the stand: make token SUB=alice [SCOPE=quota.write] [TTL=-60] [AUD=other]
	@$(BIN)/python -m infra.local token --sub "$(SUB)" --scope "$(SCOPE)" --ttl=$(or $(TTL),3600) --aud "$(or $(AUD),topup)"

test: setup ## every test
	@exec $(BIN)/python -m pytest --numprocesses 3 --dist loadscope --no-loadscope-reorder

check: setup ## format, lint, types, template, docs
	@$(MAKE) --silent --jobs=2 check-types check-template check-text

check-text:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python -m pytest --quiet tests/repo/test_docs.py tests/repo/test_threats.py

check-types:
	$(BIN)/mypy

check-template:
	AWS_DEFAULT_REGION=us-east-1 SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam validate --lint
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.lint_regions

bench: setup ## the benchmarks, as ratios within one run; writes .local/bench.json and a plot, .local/bench.svg
	@$(BIN)/python -m infra.local build >/dev/null
	@PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m bench $(ONLY)

chaos: setup ## ten minutes of faults on the wire: answers lost, requests dropped, the database killed
	@TOPUP_CHAOS_SECONDS=$(or $(SECONDS_OF_CHAOS),600) $(BIN)/python -m pytest tests/chaos -q -s

# The same seed plays the same histories: the order of a set of texts must not depend on the process either.
soak: setup ## a million deliveries with every fault, judged by the model: make soak [SEED=7] [DELIVERIES=20000] [HISTORY=12]
	@PYTHONHASHSEED=0 PYTHONPATH=functions:tests:. exec $(BIN)/python -m soak $(if $(SEED),--seed "$(SEED)") \
	$(if $(DELIVERIES),--deliveries $(DELIVERIES)) $(if $(HISTORY),--history $(HISTORY))

mutants: setup ## plant known bugs in the money path, then faults that a machine makes: the tests must notice them [SEED=1] [SAMPLE=700, 0 for all] [ONLY=holds]
	@$(BIN)/python -m tests.mutants
	@PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m mutants.machine --seed $(or $(SEED),1) --sample $(or $(SAMPLE),700) --only "$(ONLY)"

fuzz: setup ## call the API for five minutes as its description allows and forbids: no 5xx, no answer that is not described
	@PYTHONPATH=functions:tests:. $(BIN)/python -m support.fuzzing $(or $(SECONDS_OF_FUZZING),300)

docs: setup ## write operations.md, guarantees.md, performance.md and cost.md in docs/, and the pictures, from runs
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.docs.readme_pictures
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.docs.dashboard_picture
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.docs.operations_guide
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.docs.guarantees_page
	@PYTHONPATH=functions:client/src:tests:. $(BIN)/python -m bench page
	@PYTHONPATH=functions:tests:. $(BIN)/python -m tools.docs.cost_page

build: setup ## the artifact that Lambda runs, in .aws-sam/build
	@exec $(BIN)/python -m infra.local build

# Asked once: the answers are kept in .topup, in a file of the stage. ASK=1 asks anew, YES=1 changes a stack without asking.
deploy: build ## to the AWS account that this shell is signed in to, then connect with Stripe: make deploy [STAGE=prod] [ASK=1] [YES=1]
	@exec $(BIN)/python -m infra.deploy.commands deploy "$(or $(STAGE),default)" $(if $(ASK),--ask) $(if $(YES),--yes)

uninstall: setup ## delete the stack of a stage; its books and users are kept: make uninstall STAGE=prod
	@exec $(BIN)/python -m infra.deploy.commands uninstall "$(or $(STAGE),)"

lock: $(TOOLS)/audit/.ready ## functions/requirements.txt: what requirements.txt needs, whole and by hash
	@{ echo '# What runs in Lambda, whole, each file by its hash. Made from requirements.txt by `make lock`; do not edit.'; \
	$(TOOLS)/audit/bin/pip-compile --quiet --no-header --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links \
	--output-file - requirements.txt; } > .local/lock.txt && mv .local/lock.txt functions/requirements.txt

audit: $(TOOLS)/audit/.ready ## compare what runs in Lambda with the known advisories; what cannot be looked up is a failure
	@$(TOOLS)/audit/bin/pip-audit --strict --require-hashes --disable-pip --progress-spinner off -r functions/requirements.txt || { \
	echo "not audited: either an advisory is named above, or PyPI's advisories cannot be asked from here"; exit 1; }

sbom: build ## the bill of materials of the built artifact, as CycloneDX, in .aws-sam/topup.cdx.json
	@exec $(BIN)/python -m infra.build.sbom

clean: down ## remove everything that the commands above made, the stand's data too
	rm -rf .local .aws-sam $(VENV) .hypothesis .mypy_cache .pytest_cache .ruff_cache
