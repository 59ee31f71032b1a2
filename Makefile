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

.PHONY: test
test: ## Runs every test
	$(CARGO) test --locked --workspace --all-features

.PHONY: check
check: format lint test isolated schema-drift deny ## What CI runs

.PHONY: format
format: ## Checks the formatting
	$(CARGO) fmt --all --check

.PHONY: lint
lint: ## Clippy, with warnings denied
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- --deny warnings

.PHONY: isolated
isolated: ## The bytes of a rehearsal do not depend on how it was built
	./.ci/same-bytes

.PHONY: schema
schema: ## Writes the JSON Schemas anew
	$(CARGO) run --quiet --locked --package muster-cli -- schema plan > schema/plan.schema.json
	$(CARGO) run --quiet --locked --package muster-cli -- schema report > schema/report.schema.json

.PHONY: schema-drift
schema-drift: ## Fails where a schema is not what the types say
	@$(CARGO) run --quiet --locked --package muster-cli -- schema plan | diff - schema/plan.schema.json
	@$(CARGO) run --quiet --locked --package muster-cli -- schema report | diff - schema/report.schema.json

.PHONY: deny
deny: $(BIN)/bin/cargo-deny ## Checks licences, bans and sources of the dependencies
	$(CARGO) deny --locked check licenses bans sources

# A tool of ours is built once, and kept where TOOL_CACHE says (CI keeps it outside the clone).
TOOL_CACHE ?= $(BIN)/target
$(BIN)/bin/cargo-deny:
	CARGO_TARGET_DIR=$(TOOL_CACHE) CARGO_PROFILE_DEV_DEBUG=0 $(CARGO) install --quiet cargo-deny@0.20.2 --locked --no-default-features --profile dev --root $(BIN)

.PHONY: bench
bench: ## Measures what docs/performance.md quotes
	./.ci/bench
