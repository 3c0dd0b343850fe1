# `make` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# More workers than cores: many tests wait.
PARALLEL := -n $(shell echo $$(($$(nproc) + 1))) --dist loadscope --no-loadscope-reorder

.PHONY: help demo setup setup-dev check coverage test test-packages fuzz bench profile proof-fresh man dist format clean

help:  ## show this
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.installed  ## virtual environment and what the host needs
	@scripts/host-packages run
	@echo 'cloche is $(CURDIR)/$(BIN)/cloche. Next: export PATH="$(CURDIR)/$(BIN):$$PATH" && cloche init ~/machines'

$(VENV)/.installed: pyproject.toml
	@scripts/host-packages run
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml
	@scripts/host-packages venv
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $(VENV)/.installed $@

setup-dev: $(VENV)/.installed-dev  ## the same, with the tools of developers

demo: setup  ## build the example machine `workbench` from nothing, and look into it
	@scripts/demo

check: setup-dev  ## the fast part of the tests: style, types, units
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not real'

test: test-packages setup-dev  ## all tests: real namespaces, real Portage; needs the mirror of apt and the index of pip
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not proof' --durations=20

coverage: setup-dev  ## what the fast tests run of the program; not of `make test`, whose Python it slows threefold
	@$(BIN)/python -m pytest $(PARALLEL) -m 'not real' --cov --cov-report=term

test-packages:  # before anything else, so that all that is missing is named at once
	@scripts/host-packages test

bench: setup-dev  ## measure as root, and write docs/benchmarks*.md; BENCH='--quick --part catalyst' for a trial
	@scripts/host-packages bench
	@$(BIN)/python -m bench.run $(BENCH)

profile: setup-dev  ## measure as root, with perf(1), what packages cost and what the slots did; write docs/profile.md
	@$(BIN)/python -m bench.profile $(PROFILE)

fuzz: setup-dev  ## fuzz all parsers of external data, SECONDS=600 for each; continues from .cache/fuzz
	@for target in $$($(BIN)/python -m tests.fuzz.run); do \
	    $(BIN)/python -m tests.fuzz.run $$target $(or $(SECONDS),600) .cache/fuzz/$$target || exit 1; \
	done

proof-fresh: setup-dev  ## prove the two commands on a fresh Debian, as root; PROOF_USERS, PYTEST_ADDOPTS narrow it
	@scripts/host-packages run
	@$(BIN)/python scripts/proof-fresh

# A proof that misses a tool fails.
proof-%: setup-dev
	@scripts/host-packages proof
	@CLOCHE_TESTS_MUST_RUN=1 $(BIN)/python -m pytest -m 'proof(name="$*")' --durations=0

proof-autogen: setup-dev  ## write, build and import 60 Python packages; takes hours, resumes; AUTOGEN picks some
	@scripts/host-packages proof
	@CLOCHE_TESTS_MUST_RUN=1 $(BIN)/python -m pytest -m 'proof(name="autogen")' --durations=0
	@$(BIN)/python scripts/proof-autogen $(AUTOGEN)

proof-native: setup-dev  ## grow native Gentoo from Debian, and compare its generations; takes hours, resumes
	@scripts/host-packages run
	@$(BIN)/python scripts/proof-native $(STAGES)

proof-kills:  ## prove that 240 kills of builds lose nothing, and 120 of freshroots leave nothing
proof-engines:  ## prove that every engine, virtual machines too, builds the same layers

proof-acceptance:  ## prove by 320 pairs of configurations that no package is accepted wrongly
proof-catalyst:  ## prove that a small release is what catalyst makes of the same specs
proof-cluster:  ## measure two workers against one, layers against rsync, and what a task costs
proof-distcc:  ## prove that configure scripts keep their hosts, with the wrapper and with the patch
proof-images:  ## prove that images boot, and are the same bytes for another user
proof-kernel:  ## build the smallest kernel that boots twice, compare its bytes, and boot it
proof-interpreter:  ## prove that a spec for another CPU is built by the emulator that it names
proof-service:  ## 200 clients at once, 100 kills, the index and files beside nginx
proof-seeds:  ## prove that a seed made twice, in another environment, is the same

man: setup  ## write manual pages and completion scripts to share/
	@$(BIN)/python -m cloche.cli.share share
	@echo 'for example: man share/man/man1/cloche-build.1'

dist: setup-dev  ## build sdist and wheel of the last commit into dist/; of a tag v1.2.3 the ebuild, too
	@$(BIN)/python scripts/dist dist

format: setup-dev  ## format the code with ruff
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

clean:  ## remove the virtual environment and caches; the store stays
	@rm -rf $(VENV) share .cache .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
