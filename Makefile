# Everything that a person or CI runs. Needs Rust and make; each target does its own set-up.

CARGO ?= cargo
PLAN ?= plans/basecoat.yaml
ARGS ?=
BIN ?= $(CURDIR)/.tools
export PATH := $(BIN)/bin:$(PATH)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Shows this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

.PHONY: rehearse
rehearse: ## Fails a service over in virtual time and writes a report (PLAN=..., ARGS="--fault ...")
	@$(CARGO) run --quiet --locked --package muster-cli -- rehearse $(PLAN) $(ARGS)

.PHONY: build
build: ## Builds the muster command, optimised: target/release/muster
	$(CARGO) build --locked --release --package muster-cli

.PHONY: build-account
build-account: ## The same, with the commands that talk to AWS
	$(CARGO) build --locked --release --package muster-cli --features account

# The functions as they are deployed. cargo-lambda brings zig, which links for the C library of Lambda's runtime, whatever runs here.
ARCHITECTURE ?= arm64
LAMBDA_TARGET = $(if $(filter arm64,$(ARCHITECTURE)),aarch64,x86_64)-unknown-linux-gnu
FUNCTIONS_TARGET ?= $(CURDIR)/target

.PHONY: functions
functions: $(BIN)/packaging ## Builds the Lambda functions for deployment: target/lambda/NAME (ARCHITECTURE=arm64 or x86_64)
	rustup target add $(LAMBDA_TARGET)
	PATH="$(BIN)/lambda/bin:$(PATH)" CARGO_TARGET_DIR=$(FUNCTIONS_TARGET) $(BIN)/lambda/bin/cargo-lambda lambda build --locked --profile function --package muster-functions --target $(LAMBDA_TARGET) --lambda-dir target/lambda

$(BIN)/packaging: tests/stack/packaging.txt
	python3 -m venv $(BIN)/lambda
	$(BIN)/lambda/bin/pip install --quiet --disable-pip-version-check --requirement tests/stack/packaging.txt
	touch $@

.PHONY: test
test: ## Runs every test
	$(CARGO) test --locked --workspace --all-features

.PHONY: check
check: format lint test isolated simulate schema-drift template end-to-end deny ## What CI runs

.PHONY: format
format: ## Checks the formatting
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## Clippy, with warnings denied
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- --deny warnings
	$(CARGO) clippy --locked --workspace --all-features --test end_to_end -- --deny warnings

.PHONY: isolated
isolated: ## The bytes of a rehearsal do not depend on how it was built
	./.ci/same-bytes

# Random disasters, each call in each way, each point of death: `make simulate` takes some minutes, `make soak` hours.
RELEASE = $(or $(CARGO_TARGET_DIR),target)/release/muster
PLANS := plans/basecoat.yaml plans/kaireon.yaml plans/kredete.yaml

.PHONY: simulate
simulate: build ## Lets the plans go through 2,000 disasters each, each fault of each call, and half a year of backups
	$(RELEASE) simulate $(PLANS) --runs 2000
	$(RELEASE) simulate $(PLANS) --flow region-failover --every-call --at-most 1
	$(RELEASE) simulate $(PLANS) --flow region-failover --every-death --at-most 1
	$(RELEASE) backups simulate $(PLANS) --days 183

.PHONY: soak
soak: soak-simulate planted soak-policies soak-install ## What takes too long for every change

.PHONY: soak-simulate
soak-simulate: build
	$(RELEASE) simulate $(PLANS) --runs 100000
	$(RELEASE) simulate $(PLANS) --every-call --at-most all
	$(RELEASE) simulate $(PLANS) --every-death --at-most all
	$(RELEASE) backups simulate $(PLANS) --runs 10
	$(CARGO) test --locked --workspace --all-features --lib -- --ignored many::

.PHONY: planted
planted: ## Plants bugs into a scratch copy, and sees the simulation catch each
	tests/planted/run

.PHONY: schema
schema: ## Writes the JSON Schemas anew
	$(CARGO) run --quiet --locked --package muster-cli -- schema plan > schema/plan.schema.json
	$(CARGO) run --quiet --locked --package muster-cli -- schema report > schema/report.schema.json

.PHONY: schema-drift
schema-drift: ## Fails where a schema is not what the types say
	@$(CARGO) run --quiet --locked --package muster-cli -- schema plan | diff - schema/plan.schema.json
	@$(CARGO) run --quiet --locked --package muster-cli -- schema report | diff - schema/report.schema.json

# What lints the templates is installed once, and again when its list changes.
LINT := $(BIN)/lint
TEMPLATES := template.yaml template-witness.yaml

.PHONY: template
template: $(LINT)/python $(LINT)/node ## Lints the templates, their policies and the state machines
	@for template in $(TEMPLATES); do SAM_CLI_TELEMETRY=0 $(LINT)/bin/sam validate --lint --region us-west-2 --template $$template || exit 1; done
	@$(LINT)/bin/cfn-lint $(TEMPLATES)
	@$(LINT)/bin/python tests/lint/policies.py $(TEMPLATES)
	@for machine in statemachines/*.asl.json; do $(LINT)/node_modules/.bin/asl-validator --json-path $$machine || exit 1; done

$(LINT)/python: tests/lint/requirements.txt
	python3 -m venv $(LINT)
	$(LINT)/bin/pip install --quiet --disable-pip-version-check --requirement tests/lint/requirements.txt
	touch $@

$(LINT)/node: tests/lint/package-lock.json
	mkdir -p $(LINT)
	cp tests/lint/package.json tests/lint/package-lock.json $(LINT)
	npm ci --silent --no-audit --no-fund --prefix $(LINT)
	touch $@

.PHONY: deny
deny: $(BIN)/bin/cargo-deny ## Checks licences, bans and sources of the dependencies
	$(CARGO) deny --locked check licenses bans sources

# A tool of ours is built once, and kept where TOOL_CACHE says (CI keeps it outside the clone).
TOOL_CACHE ?= $(BIN)/target
$(BIN)/bin/cargo-deny:
	CARGO_TARGET_DIR=$(TOOL_CACHE) CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet cargo-deny@0.20.2 --locked --no-default-features --profile dev --root $(BIN)

# The local stack: AWS on this machine, without Docker and without an account. A target directory of its own, since its binaries are stripped
# and without debug information: twenty of them have to be unpacked and started. All of it is built as `make test` builds (the whole workspace, all
# features), so that they share what is compiled: tests/tests/architecture.rs holds that this changes nothing that a function does.
STACK = $(BIN)/aws/bin/python tests/stack/stack.py
STACK_TARGET ?= $(CURDIR)/target/local
STACK_CARGO = CARGO_TARGET_DIR=$(STACK_TARGET) CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_STRIP=true $(CARGO)

.PHONY: local
local: $(BIN)/aws/python stack-binaries servers ## Starts AWS on this machine, with Muster deployed and a service to protect (ARGS="--plan veto")
	@$(STACK) start --target $(STACK_TARGET)/debug $(ARGS)

.PHONY: local-stop
local-stop: $(BIN)/aws/python ## Ends what `make local` started, and removes it
	@$(STACK) stop

# The futures of whole tests are larger, unoptimised, than a test's stack of 2 MiB.
END_TO_END = RUST_MIN_STACK=33554432 MUSTER_STACK_PYTHON=$(BIN)/aws/bin/python MUSTER_STACK_TARGET=$(STACK_TARGET)/debug MUSTER_INSTALL_TOOLS=$(BIN)/aws-cli/bin:$(LINT)/bin \
	$(STACK_CARGO) test --locked --workspace --all-features --test end_to_end --

.PHONY: end-to-end
end-to-end: $(BIN)/aws/python $(BIN)/aws-cli/python $(LINT)/python stack-binaries servers ## The real templates and binaries on the local stack, under faults
	MUSTER_INSTALL_COMPILES=no $(END_TO_END) --test-threads 4

.PHONY: soak-policies
soak-policies: $(BIN)/aws/python stack-binaries servers ## Takes each part of each policy away and sees it missed
	$(END_TO_END) --ignored policies::

.PHONY: soak-install
soak-install: $(BIN)/aws/python $(BIN)/aws-cli/python $(LINT)/python $(BIN)/packaging stack-binaries servers ## Every command of docs/install.md, with all that it compiles
	MUSTER_INSTALL_COMPILES=yes $(END_TO_END) --nocapture install::

# The checks of data and caches are made on real servers. Debian's packages are installed where they are missing and may be.
.PHONY: servers
servers:
	@ls /usr/lib/postgresql/*/bin/initdb > /dev/null 2>&1 || { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet postgresql; } || { echo "PostgreSQL's server is missing: apt-get install postgresql" >&2; exit 1; }
	@command -v redis-server > /dev/null || { [ "$$(id -u)" = 0 ] && apt-get install --yes --quiet --no-install-recommends redis-server; } || { echo "Redis's server is missing: apt-get install redis-server" >&2; exit 1; }

.PHONY: stack-binaries
stack-binaries:
	@echo "compiling the functions and the command: minutes the first time"
	@$(STACK_CARGO) build --quiet --locked --workspace --all-features --bins --example canonical

$(BIN)/aws/python: tests/stack/requirements.txt tests/stack/constraints.txt
	python3 -m venv $(BIN)/aws
	$(BIN)/aws/bin/pip install --quiet --disable-pip-version-check --requirement tests/stack/requirements.txt --constraint tests/stack/constraints.txt
	touch $@

# The AWS CLI has a virtual environment of its own: it wants another botocore than SAM does.
$(BIN)/aws-cli/python: tests/stack/cli.txt
	python3 -m venv $(BIN)/aws-cli
	$(BIN)/aws-cli/bin/pip install --quiet --disable-pip-version-check --requirement tests/stack/cli.txt
	touch $@

.PHONY: bench
bench: ## Measures what docs/performance.md quotes
	./.ci/bench
