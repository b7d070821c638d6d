# The project's commands. `make demo` and `make test` work on a fresh machine; the rest is for those who change things.

CARGO ?= cargo
FEATURES := cli,null-crypto,test-ffi
PYTHON := .venv/bin/python
DEMO_DIR ?= target/demo
SEEDS ?= 200
T ?= 60

.PHONY: help setup build demo test check rust-test c python bench bench-flood sim fuzz header clean

help:
	@echo 'make demo      build, run two nodes, replicate a real file through a SIGKILL, print the verdict'
	@echo 'make test      everything CI runs: format, lints, Rust tests, header, C, C++ and Python'
	@echo 'make check     format, lints and house rules only (seconds)'
	@echo 'make bench     throughput, round trip, replication and connections beside raw TCP, the disk, rustls and libp2p'
	@echo 'make bench-flood   how soon a peer joins amid 10,000 half-open connections, and what one costs in memory'
	@echo 'make sim SEEDS=N   run N simulator seeds'
	@echo 'make fuzz T=60     libFuzzer on every decoder and machine, T seconds each'
	@echo 'make c         build with CMake, install, move, build the examples, ctest'
	@echo 'make python    pytest against the library'
	@echo 'make header    regenerate include/vixp2p.h'

setup:
	@scripts/setup

build:
	@scripts/setup rust
	$(CARGO) build --release --locked --features cli

demo: build
	target/release/vixp2p demo --input Cargo.lock --dir $(DEMO_DIR)

check: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --all-targets --locked --features $(FEATURES) -- -D warnings
	$(CARGO) test --locked --features $(FEATURES) --test tidy

rust-test: setup
	$(CARGO) test --locked --features $(FEATURES)
	$(CARGO) test --locked --no-default-features --lib -- crypto session

c: setup
	scripts/test-native

python: c
	$(PYTHON) -m pytest -q bindings/python

test: check rust-test c python

bench: build
	$(CARGO) bench --locked --features cli --bench peers --no-run
	@$(CARGO) build --release --locked --manifest-path benches/rivals/Cargo.toml --target-dir target/rivals || \
	    { rm -f target/rivals/release/vixp2p-rivals; echo 'rustls and libp2p could not be built (the reason is above): measured without them'; }
	scripts/bench $(ARGS)

bench-flood:
	$(CARGO) test --release --locked --test node_flood --no-run
	@for figure in measure_memory measure_joining; do \
	    $(CARGO) test --quiet --release --locked --test node_flood -- --ignored --exact $$figure --nocapture || exit 1; \
	done

sim: build
	scripts/sim $(SEEDS)

fuzz:
	@T='$(T)' scripts/fuzz $(TARGETS)

header:
	VIXP2P_UPDATE_HEADER=1 $(CARGO) test --locked --features $(FEATURES) --test header

clean:
	$(CARGO) clean
	rm -rf build .venv
