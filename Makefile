# `make help` lists the targets; `make demo` and `make test` need nothing but a Swift toolchain on Debian or Ubuntu.

# One BLAS thread per rank, and Open MPI's permission to run as root, which containers do.
export OPENBLAS_NUM_THREADS := 1
ifeq ($(shell id -u),0)
  export OMPI_ALLOW_RUN_AS_ROOT := 1
  export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

BUILD := swift build -c release --explicit-target-dependency-import-check error
TEST := swift test -c release --skip-build
SWIFT_SOURCES := Package.swift Sources Tests
SCRIPTS := $(wildcard cluster/*.sh cluster/*.sbatch docs/*.sh recipes/*.sh Tests/cluster/*.sh Tests/cluster/*-sim) \
  Tests/cluster/simulated-hosts .ci/run

.PHONY: help setup build test test-cluster demo format lint bench clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup: ## install missing Debian packages, check the Swift toolchain
	@cluster/setup.sh

build: setup ## optimised build for this CPU; ADALIGN_CPU=x86-64-v3 or x86-64 for mixed clusters
	$(BUILD)

test: lint ## check the format, build, run the unit tests, then those that call mpirun, here and on simulated hosts
	$(BUILD) --build-tests
	$(TEST) --skip '^SystemTests'
	$(TEST) --filter '^SystemTests'
	Tests/cluster/run.sh --fast

test-cluster: build ## the fault matrix on simulated hosts, a row at a time; needs root and network namespaces
	cluster/setup.sh --tests
	Tests/cluster/run.sh

demo: build ## align a small model on two ranks
	./recipes/demo.sh

bench: build ## check the kernels, then time them; docs/benchmarks.md has the rest
	.build/release/adalign-bench kernels

format: ## format the Swift sources in place
	swift format --in-place --recursive $(SWIFT_SOURCES)

lint: setup ## check the format and the shell scripts
	swift format lint --strict --recursive $(SWIFT_SOURCES)
	shellcheck -x $(SCRIPTS)

clean: ## remove what was built
	swift package clean
