# Two commands are enough: `make run` opens the shell on a real database, `make test` runs every test.

# The database that the shell opens and that many tests read: Debian's proj-data.
DATABASE ?= /usr/share/proj/proj.db
# A directory of sqllogictest files.
DATA ?= ../shared/sqllogictest
# What `make bench` compares with; the system's library where it is empty.
SQLITE ?=
SEEDS ?= 200
SEED ?= 1
VARIANTS ?= 2000
TRANSACTIONS ?= 10000
KILLS ?= 5000
FILES ?= 1500
SECONDS ?= 60
# What `make fuzz` fuzzes; `apus-fuzz list` names them all, docs/fuzzing.md describes them.
TARGET ?= database

RELEASE = -c release --static-swift-stdlib
# The shell is linked without a dynamic linker: it starts in half the time. In a build directory of its own, since the
# benchmark, which loads SQLite at run time, cannot be.
SHELL_BUILD = $(RELEASE) -Xswiftc -static-executable --scratch-path .build-shell

.PHONY: run test check check-model format fuzz triage bench sim simulator sim-cases scenarios mutants capi capi-test conformance compare prove setup clean shell

run: shell
	@.ci/tour $(DATABASE)

shell: setup
	swift build $(SHELL_BUILD) --product apus

test: setup
	swift build --build-tests
	swift test --skip-build

check: setup
	@.ci/check

# The model of the commit protocol (docs/model): it must hold, and each of its mutants must not.
check-model:
	@.ci/check-model

format:
	swift-format format --in-place --parallel --configuration .swift-format $$(git ls-files '*.swift')

bench: shell
	swift build $(RELEASE) --product apus-bench
	.build/release/apus-bench $(if $(SQLITE),--sqlite $(SQLITE)) $(BENCH)

# The simulator, with the planted bugs compiled in and asleep.
SIM = .build-sim/release/apus-sim

simulator: setup
	swift build $(RELEASE) --scratch-path .build-sim --traits PlantedBugs --product apus-sim

sim: simulator
	$(SIM) run --seeds $(SEEDS) --seed $(SEED)

# Every small workload cut at every point; every kind of statement dropped at every wait; every kept failure.
sim-cases: simulator
	$(SIM) exhaust
	$(SIM) cancel-all
	$(SIM) corpus check

scenarios: simulator
	$(SIM) scenario all

mutants: simulator
	$(SIM) mutants --seeds $(SEEDS)

capi: setup
	@.ci/capi

# Programs that know nothing of Apus, on the library.
capi-test: capi
	@.ci/capi-test build

conformance: setup
	swift build $(RELEASE) --product apus-conformance
	.build/release/apus-conformance $(CONFORMANCE) $(DATA)

# The query corpus through the C door, and on the newest SQLite (apsw, in an environment of its own).
compare: capi
	@.ci/compare $(DATABASE)

# Whole files: damaged ones, round trips and handovers with SQLite. What `make test` runs in small.
prove: export PATH := $(CURDIR)/.build-venv/bin:$(PATH)
prove: setup
	@.ci/venv > /dev/null || [ $$? -eq 3 ]
	swift build $(RELEASE) --product apus-prove
	.build/release/apus-prove bad-input --variants $(VARIANTS) --seed $(SEED)
	.build/release/apus-prove bad-input --variants $(VARIANTS) --seed $(SEED) --base small
	.build/release/apus-prove round-trip --transactions $(TRANSACTIONS) --seed $(SEED)
	.build/release/apus-prove handover --rounds 80 --seed $(SEED)
	.build/release/apus-prove power-cut --cuts 560 --seed $(SEED)
	.build/release/apus-prove large --directory /tmp
	.build/release/apus-prove kills --rounds $(KILLS) --seed $(SEED)
	.build/release/apus-prove faults --seed $(SEED)
	.build/release/apus-prove matrix --files $(FILES) --seed $(SEED)
	.build/release/apus-prove mixed --journal wal --seconds $(SECONDS) --seed $(SEED)
	.build/release/apus-prove mixed --journal delete --seconds $(SECONDS) --seed $(SEED)
	for count in 2 3 16 64; do .build/release/apus-prove writers --writers $$count --seconds $(SECONDS) --seed $(SEED) || exit 1; done
	.build/release/apus-prove writers --writers 8 --sqlite 2 --seconds $(SECONDS) --seed $(SEED)

# A campaign of libFuzzer on one target, or the logic tester (TARGET=logic).
fuzz: setup
	@.ci/fuzz $(TARGET) $(SECONDS) $(SEED)

# What campaigns have found: shrunk, sorted by stack, and kept among the regressions.
triage: setup
	@.ci/fuzz triage $(TARGET)

setup:
	@.ci/setup

clean:
	rm -rf .build .build-* build
