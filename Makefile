# Everything a developer does, each step by one command. The environment makes itself: `make test` in a fresh clone
# is enough. The variables below can be set on the command line, as in `make install TORCH= VENV=~/my-env`.

VENV ?= .venv
VENV_LOWEST ?= .venv-lowest
# The Python that the environment is made with; empty: the first of `python3`, `python3.14` ... that is new enough.
BASE_PYTHON ?=
# A bare "torch" may fetch gigabytes of CUDA libraries, so it is named first. TORCH= leaves torch to the environment.
TORCH ?= torch==2.13.0
# setup.cfg asks for torch>=2.11; this is the lowest that we can have as a CPU build, so it is what is tested.
LOWEST_TORCH ?= torch==2.13.0
# Twice quiet: errors only. Extra options of pip go here, such as --index-url.
PIP_FLAGS ?= -qq
# Options for pytest, as in `make test PYTEST_FLAGS="-x -k pausing"`.
PYTEST_FLAGS ?= -q
# The fast tests run on all cores, eight at most; each process needs 1 GB.
PARALLEL ?= -n logical --maxprocesses 8 --dist worksteal

PYTHON := $(VENV)/bin/python
STAMP := $(VENV)/.installed
STAMP_LOWEST := $(VENV_LOWEST)/.installed
CODE := $(wildcard src tests scripts)

# Nothing here may fetch from the Hub: what tests and the demo need, they make.
export HF_HUB_OFFLINE = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export PIP_ROOT_USER_ACTION = ignore

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install style lint types check test test-slow test-lowest coverage demo build clean


help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS="$$(printf '\t')" read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

# --- environment -----------------------------------------------------------------------------------------------------

# $(call make_venv,FOLDER): an environment with a pip that runs, or a message that says what is missing.
define make_venv
	@base="$(BASE_PYTHON)"; \
	new_enough='import sys; sys.exit(sys.version_info < (3, 11))'; \
	if "$(1)/bin/python" -m pip --version >/dev/null 2>&1 && "$(1)/bin/python" -c "$$new_enough"; then exit 0; fi; \
	for candidate in python3 python3.14 python3.13 python3.12 python3.11 python; do \
		if [ -z "$$base" ] && "$$candidate" -c "$$new_enough" >/dev/null 2>&1; then base="$$candidate"; fi; \
	done; \
	if [ -z "$$base" ]; then \
		echo "paumer_hf needs Python 3.11 or newer, found: $$(python3 --version 2>&1 || echo none)." >&2; \
		echo "Install one, or name it: make install BASE_PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	if ! "$$base" -c "$$new_enough" >/dev/null 2>&1; then \
		echo "BASE_PYTHON=$$base is no Python 3.11 or newer: $$("$$base" --version 2>&1)" >&2; exit 1; \
	fi; \
	if ! "$$base" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "$$base cannot make environments with pip: its module venv or ensurepip is missing." >&2; \
		echo "On Debian and Ubuntu: apt install python3-venv. Or name another Python with BASE_PYTHON=." >&2; exit 1; \
	fi; \
	"$$base" -m venv --clear "$(1)"
endef

# $(call install_into,FOLDER,TORCH,OPTIONS): torch first, then the package, editable, with all of its extras.
define install_into
	@echo "Installing into $(1) (about 1 GB, once; minutes)"
	@if [ -n "$(2)" ]; then "$(1)/bin/python" -m pip install $(PIP_FLAGS) $(3) "$(2)"; fi
	@"$(1)/bin/python" -m pip install $(PIP_FLAGS) $(3) --editable ".[train,plot,video,onnx,peft,dev]"
endef

# The stamp is written last, so that an interrupted installation is taken up again.
$(STAMP): setup.cfg pyproject.toml
	@rm -f $@
	$(call make_venv,$(VENV))
	$(call install_into,$(VENV),$(TORCH),)
	@touch $@

# Every `name>=version` of setup.cfg becomes `name==version`.
$(STAMP_LOWEST): setup.cfg pyproject.toml
	@rm -f $@
	$(call make_venv,$(VENV_LOWEST))
	@sed -nE '/^    torch>=/d; s/^    ([A-Za-z-]+)>=([0-9.]+)$$/\1==\2/p' setup.cfg > $(VENV_LOWEST)/constraints.txt
	@echo "$(LOWEST_TORCH)" >> $(VENV_LOWEST)/constraints.txt
	$(call install_into,$(VENV_LOWEST),$(LOWEST_TORCH),--constraint $(VENV_LOWEST)/constraints.txt)
	@touch $@

install: $(STAMP)  ## Make the environment in .venv (every other target does this too)

# --- checks ----------------------------------------------------------------------------------------------------------

style: $(STAMP)  ## Format the code and mend what can be mended
	$(PYTHON) -m ruff check --fix $(CODE)
	$(PYTHON) -m ruff format $(CODE)

lint: $(STAMP)  ## Check the style, changing nothing
	$(PYTHON) -m ruff check $(CODE)
	$(PYTHON) -m ruff format --check $(CODE)

types: $(STAMP)  ## Check the types
	$(PYTHON) -m mypy

check: lint types build  ## Check style, types, spelling, citation and the built package
	$(VENV)/bin/codespell README.md CHANGELOG.md CONTRIBUTING.md CITATION.cff Makefile .ci $(CODE)
	$(VENV)/bin/cffconvert --validate --infile CITATION.cff

test: lint types  ## Check style and types, run the fast tests
	$(PYTHON) -m pytest $(PYTEST_FLAGS) $(PARALLEL) -m "not slow and not gpu"

test-slow: $(STAMP)  ## Run the slow tests, and those that need a GPU where there is one
	$(PYTHON) -m pytest $(PYTEST_FLAGS) -m "slow or gpu"

test-lowest: $(STAMP_LOWEST)  ## Run the fast tests with the lowest versions that setup.cfg admits
	$(VENV_LOWEST)/bin/python -m pytest $(PYTEST_FLAGS) $(PARALLEL) -m "not slow and not gpu"

coverage: $(STAMP)  ## Say which lines the fast tests do not reach
	$(PYTHON) -m coverage run -m pytest $(PYTEST_FLAGS) -m "not slow and not gpu"
	$(PYTHON) -m coverage report

# --- products --------------------------------------------------------------------------------------------------------

demo: $(STAMP)  ## Train a small PAUMER on drawn street scenes; evaluate, time and draw it
	$(PYTHON) scripts/demo.py

build: $(STAMP)  ## Build the sdist and the wheel, and import the package from the wheel
	@rm -rf dist build
	$(PYTHON) -m build --outdir dist . >build.log 2>&1 || { cat build.log; exit 1; }
	@$(PYTHON) -m pip install $(PIP_FLAGS) --no-deps --target build/wheel dist/*.whl
	@cd build/wheel && PYTHONPATH=. $(abspath $(PYTHON)) -c "import paumer_hf, pathlib; \
		file = pathlib.Path(paumer_hf.__file__); assert file.is_relative_to(pathlib.Path.cwd()), file; \
		assert (file.parent / 'py.typed').exists(); print('built and imported paumer_hf', paumer_hf.__version__)"
	@rm -f build.log

clean:  ## Remove what was built and cached, not the environments
	rm -rf build dist build.log .coverage .mypy_cache .pytest_cache .ruff_cache src/*.egg-info
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
