# Two commands for newcomers: `make quickstart` and `make test`. Each sets itself up in .venv from nothing.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# PyTorch's own index of CPU builds: a tenth of the size of the build with CUDA. TORCH_INDEX= leaves it out.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# The releases that are installed, for every Python and system. CONSTRAINTS=constraints.in takes the newest ones.
CONSTRAINTS ?= constraints.txt
PIP := $(BIN)/python -m pip --disable-pip-version-check
INSTALL := $(PIP) install --quiet --constraint $(CONSTRAINTS)

.PHONY: quickstart test lint mypy type check fmt bench thorough mutants golden schemas lock clean

$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --retries 1 $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) torch
	touch $@

$(VENV)/.run: $(VENV)/.torch pyproject.toml $(CONSTRAINTS)
	$(INSTALL) --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.torch pyproject.toml $(CONSTRAINTS)
	$(INSTALL) --editable ".[dev]"
	touch $@ $(VENV)/.run

quickstart: $(VENV)/.run
	$(BIN)/python examples/quickstart/quickstart.py

test: lint mypy
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: lint type

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

# mypy, then pyright, which fetches its program from npm when it is first run
type: mypy
	$(BIN)/pyright

mypy: $(VENV)/.dev
	$(BIN)/mypy

fmt: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

golden: $(VENV)/.dev
	$(BIN)/python -m pytest --update-golden tests

# Writes the JSON schemas from their models.
schemas: $(VENV)/.dev
	$(BIN)/python -m pytest --update-golden tests/test_json_schemas.py -k files_are

thorough: $(VENV)/.dev
	HYPOTHESIS_PROFILE=thorough $(BIN)/python -m pytest -m "slow or not slow"

# The tests on every mutant of the core; fails where one survives that tests/mutants/equivalents.txt does not argue.
mutants: $(VENV)/.dev
	$(BIN)/python -m tests.mutants

bench: $(VENV)/.dev
	$(BIN)/python -m pytest benchmarks --benchmark-only --benchmark-columns=min,median,rounds

# Writes constraints.txt: for each supported Python the newest releases that fit together.
lock: $(VENV)/.dev
	$(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.10 --no-python-downloads --all-extras \
		--no-annotate --custom-compile-command "make lock" --constraint constraints.in \
		--output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
