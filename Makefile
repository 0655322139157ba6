# Brig. `make run` serves on http://127.0.0.1:8080, `make test` runs all tests; both install what is
# missing, on a fresh Debian 12 machine too. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Where rustup and `cargo install` put programs, on machines whose shell does not know it yet.
export PATH := $(HOME)/.cargo/bin:$(PATH)
# Absolute, because the virtual machine sees the same paths.
export CARGO_TARGET_DIR := $(abspath $(or $(CARGO_TARGET_DIR),target))

LISTEN ?= 127.0.0.1:8080
# More flags of `brig serve`, for example ARGS='--workers 4'.
ARGS ?=

BUILD_PACKAGES := gcc libc6-dev make pkg-config libseccomp-dev ca-certificates
RUN_PACKAGES := curl
TEST_PACKAGES := gcc libc6-dev python3 curl procps
API_TEST_PACKAGES := python3 python3-venv curl
E2E_PACKAGES := chromium fonts-liberation fonts-dejavu-core
VM_PACKAGES := qemu-system-x86 linux-image-amd64 busybox-static python3 python3-venv kmod zstd curl
# What `make bench` measures beside Brig; systemd-run is there where systemd is.
BENCH_PACKAGES := bubblewrap crun runc
# podman recommends the network ones, but apt without recommendations takes those that know no names.
DOCKER_PACKAGES := podman podman-compose buildah crun runc netavark aardvark-dns iptables

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- Running ----

.PHONY: run
run: deps release ## Install what is missing, build, and serve on http://127.0.0.1:8080
	@.ci/tools/serve $(CARGO_TARGET_DIR)/release/brig --listen $(LISTEN) $(ARGS)

.PHONY: build
build: build-deps web ## Build everything, without optimisation
	@cargo build --workspace --locked

.PHONY: release
release: build-deps web ## Build brig and brig-sandbox, optimised, into target/release
	@cargo build --release --workspace --bins --locked

.PHONY: doctor
doctor: build ## Show which layers of isolation this host enforces
	@$(CARGO_TARGET_DIR)/debug/brig-sandbox doctor

.PHONY: web
web: ## Build the playground into web/dist
	@.ci/tools/web-build

# ---- Testing ----

.PHONY: test
test: unit-test api-test e2e vm-test ## Run all tests: here, in a browser, and under cgroup v2 in a virtual machine

.PHONY: unit-test
unit-test: test-deps web web-test ## Run the tests on this host
	@cargo nextest run --workspace --locked

.PHONY: web-test
web-test: web-deps ## Check the playground's types and run its unit tests
	@cd web && npm run --silent typecheck && npm run --silent test

.PHONY: e2e
e2e: test-deps e2e-deps build ## Drive the playground in a browser, against a service with real sandboxes
	@cd web && npm run --silent e2e

.PHONY: api-test
api-test: deps api-test-deps web ## Test a live service against its own description, with schemathesis
	@cargo build -p brig --bin brig --locked
	@.ci/tools/api-test $(CARGO_TARGET_DIR)/debug/brig

.PHONY: attack
attack: build-deps web ## Run the attacks on the sandbox, here
	@cargo test --locked -p brig-sandbox --test attacks

.PHONY: hygiene
hygiene: test-deps web ## Run the test that 2,000 mixed runs leave nothing behind, here
	@cargo nextest run --locked -p brig -E 'test(hygiene)'

.PHONY: crash-test
crash-test: test-deps ## Kill server, workers or all of it 200 times under load, and count what is lost
	@BRIG_CRASH_KILLS=$${BRIG_CRASH_KILLS:-200} cargo nextest run --locked -p brig --no-capture -E 'test(crash::)'

.PHONY: measure
measure: build-deps ## Measure what judging costs: overhead, acceptance, fairness, memory; minutes
	@cargo bench --locked -p brig --bench judging

.PHONY: vm-test
vm-test: test-deps vm-deps web ## Run engine, attack and service tests under cgroup v2, in a virtual machine
	@.ci/tools/vm-test

.PHONY: lint
lint: lint-deps web web-lint ## Check format, lints, licences and sources of dependencies
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings
	@cargo deny --log-level error check bans licenses sources

.PHONY: web-lint
web-lint: web-deps ## Check the playground's code
	@cd web && npm run --silent lint

.PHONY: openapi
openapi: build-deps ## Write the API's description to server/openapi.json
	@cargo build -p brig --bin brig --locked
	@$(CARGO_TARGET_DIR)/debug/brig openapi > server/openapi.json

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt --all

# ---- Measuring ----

.PHONY: bench
bench: deps bench-deps release ## Measure Brig beside bare processes and other sandboxes; into target/bench
	@.ci/tools/bench $(CARGO_TARGET_DIR)/release/brig-loadtest --out $(CARGO_TARGET_DIR)/bench $(ARGS)

# ---- Containers ----

.PHONY: docker
docker: release ## Build the container image brig:latest with buildah or docker
	@.ci/tools/container-image $(CARGO_TARGET_DIR)/release

# ---- What all that needs ----

.PHONY: deps
deps: build-deps web-deps ## Install what building needs, and the core languages
	@.ci/tools/install-packages $(RUN_PACKAGES) $$(.ci/tools/language-packages core)

.PHONY: build-deps
build-deps:
	@.ci/tools/install-packages $(BUILD_PACKAGES)
	@.ci/tools/rust-toolchain

.PHONY: web-deps
web-deps:
	@.ci/tools/web-deps

.PHONY: languages
languages: ## Install the tools of every language that Debian has
	@.ci/tools/install-packages --available $$(.ci/tools/language-packages all)

.PHONY: test-deps
test-deps: deps languages
	@.ci/tools/install-packages $(TEST_PACKAGES)
	@.ci/tools/cargo-tool cargo-nextest

.PHONY: api-test-deps
api-test-deps:
	@.ci/tools/install-packages $(API_TEST_PACKAGES)
	@.ci/tools/api-test-environment

.PHONY: lint-deps
lint-deps: build-deps
	@.ci/tools/cargo-tool cargo-deny

.PHONY: e2e-deps
e2e-deps: web-deps
	@.ci/tools/install-packages $(E2E_PACKAGES)

.PHONY: vm-deps
vm-deps: ## Install what the virtual machine of `make vm-test` needs
	@.ci/tools/install-packages $(VM_PACKAGES)
	@.ci/tools/virtme-ng

.PHONY: bench-deps
bench-deps: ## Install the other sandboxes that `make bench` measures
	@.ci/tools/install-packages $(BENCH_PACKAGES)

.PHONY: docker-deps
docker-deps: ## Install podman, podman-compose and buildah
	@.ci/tools/install-packages $(DOCKER_PACKAGES)

.PHONY: clean
clean: ## Remove everything that was built
	@cargo clean
