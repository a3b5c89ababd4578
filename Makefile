# A thin front: scripts/setup installs, CMake and Ninja build (CMakePresets.json), tests/run tests.
# Each target sets up what it needs itself; what is there already costs milliseconds.
.DEFAULT_GOAL := build
.PHONY: help setup build demo test test-quick check-long bench format lint asan tsan fuzz install clean distclean
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.SHELLFLAGS := -o pipefail -c

# `make install` honours the GNU variables.
prefix ?= /usr/local
DESTDIR ?=
FUZZ_SECONDS ?= 60

# $(call cmake,PRESET,FOLDER): configure once, and again when the presets change; Ninja sees all other changes itself.
define cmake
@if [ ! -f $(2)/build.ninja ] || [ CMakePresets.json -nt $(2)/build.ninja ]; then \
    cmake --preset $(1) >/dev/null && touch $(2)/build.ninja; fi
endef
# (Ninja says that there was no work to do even when it is asked to be quiet.)
ninja = @ninja -C $(1) -j2 --quiet $(2) | { grep -v '^ninja: no work to do' || true; }

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install every package and library that building and testing need
	@scripts/setup all

build: ## build/tributary (the default)
	@scripts/setup build
	$(call cmake,release,build)
	$(call ninja,build,tributary)

demo: build ## a small shop from export to Gold, on this machine, in one screen
	@scripts/demo

test-quick: ## unit tests, fuzz corpora, checks of the tree, quick script tests: under a minute
	@scripts/setup quick
	$(call cmake,release,build)
	$(call ninja,build,tributary checks)
	@tests/run --quick

test: ## everything but the long ones, with ASan + UBSan and all four readers
	@scripts/setup test
	$(call cmake,release,build)
	$(call ninja,build,tributary checks)
	$(call cmake,asan,build-asan)
	$(call ninja,build-asan,tributary checks)
	@tests/run

check-long: ## make test, then the long ones: model, simulation and kills at full length (hours)
	@scripts/setup test
	$(call cmake,release,build)
	$(call ninja,build,tributary checks)
	$(call cmake,asan,build-asan)
	$(call ninja,build-asan,tributary checks)
	@tests/run --long

bench: ## measure against DuckDB, Polars + delta-rs and Spark: bench/RESULTS.md
	@scripts/setup test
	$(call cmake,release,build)
	$(call ninja,build,tributary checks)
	@bench/run

format: ## put every C file into the house format
	@scripts/setup dev
	@scripts/check-format --fix

lint: ## clang-tidy over src/
	@scripts/setup dev quick
	$(call cmake,dev,build-dev)
	@git ls-files -z 'src/*.c' | xargs -0 -n 4 -P 2 clang-tidy-14 -p build-dev --quiet

asan: ## unit tests and corpora under AddressSanitizer and UndefinedBehaviorSanitizer only
	@scripts/setup quick
	$(call cmake,asan,build-asan)
	$(call ninja,build-asan,tributary checks)
	@tests/run --only asan

tsan: ## unit tests under ThreadSanitizer
	@scripts/setup quick
	$(call cmake,tsan,build-tsan)
	$(call ninja,build-tsan,tributary checks)
	@tests/run --only tsan

fuzz: ## every fuzz target for FUZZ_SECONDS (60) each; findings go to build-fuzz/found
	@scripts/setup dev quick
	$(call cmake,fuzz,build-fuzz)
	$(call ninja,build-fuzz,all)
	@scripts/fuzz $(FUZZ_SECONDS)

install: build ## install below prefix (/usr/local), honouring DESTDIR
	@DESTDIR="$(DESTDIR)" cmake --install build --prefix "$(prefix)" >/dev/null
	@echo "installed $(DESTDIR)$(prefix)/bin/tributary, its man page, completions and documentation"

clean: ## remove what was built
	rm -rf build build-dev build-asan build-tsan build-fuzz

distclean: clean ## remove what set-up downloaded into the tree too
	rm -rf .deps .venv .venv-live
