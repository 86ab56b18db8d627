# The commands of this repository. `make` alone prints them.

CARGO ?= cargo
.DEFAULT_GOAL := help
.PHONY: help demo images test lint fmt audit bench clean

help:  ## print this
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

demo:  ## watch Pilotage work, in containers or (TARGET=process) processes: pushes become gated, proved, announced releases
	@tests/setup demo
	@echo "Building (the first time takes some minutes) …"
	@$(CARGO) build --quiet --locked --workspace --bins
	@$(CARGO) run --quiet --locked -p pilotage-tests --bin demo -- $(if $(TARGET),--target $(TARGET))

images:  ## put images of a small service (acme/shop and acme/cart, 1.0.0 and 1.1.0) into the Docker engine of this machine
	@$(CARGO) build --quiet --locked -p pilotage-tests --bin sample-service --bin sample-images
	@$(CARGO) run --quiet --locked -p pilotage-tests --bin sample-images -- $(foreach v,1.0.0 1.1.0,acme/shop:$(v) acme/cart:$(v))

test: lint  ## everything CI checks: formatting, lints, walls, licences, unit, contract and end-to-end tests
	$(CARGO) build --locked --workspace --bins
	$(CARGO) test --locked --workspace --no-fail-fast

lint:  ## formatting and clippy, with warnings as errors
	@tests/setup test
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

fmt:  ## format the code
	$(CARGO) fmt --all

bench:  ## measure, and print ratios against a peer or a floor in the same run
	@tests/setup test
	$(CARGO) build --quiet --locked --release --workspace --bins
	$(CARGO) run --quiet --locked --release -p pilotage-tests --bin bench

audit:  ## advisories, licences and bans by cargo-deny (needs the network)
	@command -v cargo-deny >/dev/null || { echo "cargo-deny is missing: cargo install --locked cargo-deny" >&2; exit 1; }
	cargo deny check

clean:  ## remove what was built
	$(CARGO) clean
