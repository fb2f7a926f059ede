# make demo and make test are the two commands to know; each does its own set-up.

packages := libopenmpi-dev openmpi-bin libopenblas-dev zlib1g-dev libzstd-dev libonig-dev libssl-dev pkg-config shellcheck
swift_sources := Package.swift Sources Tests
scripts := cluster/*.sh cluster/*.sbatch docs/*.sh recipes/*.sh .ci/run

export OPENBLAS_NUM_THREADS ?= 1
# Open MPI refuses to run as root, as one is in a container, unless told twice.
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT := 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM := 1
endif

.PHONY: help setup build demo test lint unit-test system-test format bench clean

help:
	@echo "make demo    train on a synthetic world and compare before and after (about three minutes)"
	@echo "make test    format check, build, unit tests, system tests that call mpirun"
	@echo "make build   build for this machine; ADALIGN_CPU=x86-64-v3 or x86-64 for others"
	@echo "make bench   time the kernels; see docs/benchmarks.md for the rest"
	@echo "make format  rewrite the Swift sources in the project's format"
	@echo "make clean   remove what was built and the demo's runs"

setup:
	@missing=""; for package in $(packages); do \
	  dpkg-query -W -f='$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; done; \
	if [ -n "$$missing" ]; then \
	  install="apt-get install -y$$missing"; \
	  if [ "$$(id -u)" = 0 ]; then apt-get update && $$install; \
	  elif sudo -n true 2>/dev/null; then sudo apt-get update && sudo $$install; \
	  else echo "missing packages; run: sudo $$install" >&2; exit 1; fi; fi
	@swift --version 2>/dev/null | grep -Eq 'Swift version (6\.[2-9]|6\.[1-9][0-9]|[7-9]|[1-9][0-9])' || \
	  { echo "a Swift toolchain of version 6.2 or newer is needed in PATH; see swift.org/install" >&2; exit 1; }

build: setup
	swift build -c release

demo: build
	./recipes/demo.sh

test: setup lint
	swift build -c release --build-tests --explicit-target-dependency-import-check error
	$(MAKE) unit-test
	$(MAKE) system-test

unit-test:
	swift test -c release --skip-build --skip SystemTests

system-test:
	swift test -c release --skip-build --filter SystemTests

lint:
	swift format lint --strict --recursive $(swift_sources)
	shellcheck $(scripts)

format:
	swift format --in-place --recursive $(swift_sources)

bench: build
	.build/release/adalign-bench kernels

clean:
	rm -rf .build runs/demo
