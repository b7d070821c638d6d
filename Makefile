# The project's commands. `make demo` and `make test` work on a fresh machine; the rest is for those who change things.

CARGO ?= cargo
FEATURES := cli,null-crypto,test-ffi
PYTHON := .venv/bin/python
DEMO_DIR ?= target/demo
SEEDS ?= 200
T ?= 60
N ?= 1000000
KILLS ?= 1000
CYCLES ?= 20000

.PHONY: help setup build demo test check rust-test c python interop bench bench-flood bench-scale sim sim-crowd sim-scenarios sim-days sim-nightly crash crash-every fuzz header model clean

help:
	@echo 'make demo      build, run two nodes, replicate a real file through a SIGKILL, print the verdict'
	@echo 'make test      everything CI runs: format, lints, Rust tests, header, C, C++ and Python'
	@echo 'make check     format, lints and house rules only (seconds)'
	@echo 'make bench     throughput, round trip, replication and connections beside raw TCP, the disk, rustls and libp2p'
	@echo 'make bench-flood   how soon a peer joins amid 10,000 half-open connections, and what one costs in memory'
	@echo 'make bench-scale   1,000 peers on one node: memory, processor, joining; what comes and goes leaves nothing (CYCLES=20000)'
	@echo 'make sim SEEDS=N   run N simulator seeds; sim-nightly: 200,000'
	@echo 'make sim-crowd SEEDS=1000   32 nodes that dial each other at once: one link a pair, no message lost'
	@echo 'make sim-scenarios SEEDS=10000   late joiners, set-back writers, halves that never meet: so many of each'
	@echo 'make sim-days SEEDS=1000   days of simulated life: nobody holds more memory after one than after an hour'
	@echo 'make crash     the log after N=1000000 power cuts and KILLS=1000 killed writers (minutes); crash-every: after every cut and flip (an hour)'
	@echo 'make fuzz T=60     libFuzzer on every decoder and machine, T seconds each'
	@echo 'make c         build with CMake, install, move, build the examples, ctest'
	@echo 'make python    pytest against the library, and sessions with a second implementation in Python'
	@echo 'make interop   the same, then 10,000 handshakes with that implementation'
	@echo 'make header    regenerate include/vixp2p.h'
	@echo 'make model     check the symbolic model of the handshake with ProVerif, where it is installed'

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
	$(PYTHON) -m pytest -q tests/interop

# A second implementation, in Python, against the library: ten thousand handshakes in about a minute. Not part of `make test`.
interop: python
	$(PYTHON) tests/interop/handshakes.py --handshakes 10000

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

bench-scale:
	$(CARGO) bench --locked --bench scale -- --cycles $(CYCLES)

sim: build
	scripts/sim $(SEEDS)

# Every seed is 32 nodes that dial each other at once, about a second each.
sim-crowd:
	VIXP2P_SIM_ALL_DIAL_ALL=$(SEEDS) $(CARGO) test --locked --features $(FEATURES) --test sim -- --exact --nocapture \
	    thirty_two_nodes_that_all_dial_each_other_at_once_end_with_one_link_a_pair_and_lose_no_message

# Three scenarios that `make test` plays a few hundred times, and a thousand storms twice, whose traces have to be equal.
sim-scenarios:
	VIXP2P_SIM_SAME=1000 VIXP2P_SIM_LATE=$(SEEDS) VIXP2P_SIM_SET_BACK=$(SEEDS) VIXP2P_SIM_FERRY=$(SEEDS) $(CARGO) test --release --locked --test sim -- --nocapture \
	    a_late_joiner a_writer_that_is_set_back two_halves_that_never_meet the_same_seed

# Every seed is days and hours of three nodes, some seconds each.
sim-days:
	VIXP2P_SIM_DAYS=$(SEEDS) $(CARGO) test --release --locked --test sim_day -- --nocapture

# Two hundred thousand storms on two cores: hours. In parts: make sim-nightly FROM=50001 STORMS=50000
FROM ?= 1
STORMS ?= 200000
sim-nightly:
	VIXP2P_SIM_FROM=$(FROM) VIXP2P_SIM_SEEDS=$(STORMS) $(CARGO) test --release --locked --test sim -- --exact --nocapture \
	    storms_of_every_seed_break_no_rule_and_end_with_equal_nodes

CRASH_TEST := $(CARGO) test --quiet --locked --features $(FEATURES)

crash:
	VIXP2P_CRASH_STATES=$(N) $(CRASH_TEST) --lib -- --ignored --exact --nocapture \
	    sync::tests::crash::a_million_random_crash_states_hold_everything_acknowledged
	VIXP2P_CRASH_KILLS=$(KILLS) $(CRASH_TEST) --test wal_kill -- --ignored --nocapture

# Each a whole recovery: 2^20 cuts of a log of 1 MiB, 2^19 flipped bits of one of 64 KiB.
crash-every:
	$(CRASH_TEST) --lib -- --ignored sync::tests::every

fuzz:
	@T='$(T)' scripts/fuzz $(TARGETS)

header:
	VIXP2P_UPDATE_HEADER=1 $(CARGO) test --locked --features $(FEATURES) --test header

# The claims of models/*.pv; the four sanity queries must be false, everything else true.
model:
	@scripts/model

clean:
	$(CARGO) clean
	rm -rf build .venv
