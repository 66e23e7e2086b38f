# `make demo` and `make test` are all that a new machine with Python 3.11 needs.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
LOWEST := tests/hub tests/pictures tests/data/labels tests/data/test_layouts_of_others.py tests/video tests/cli/options tests/cli/console tests/evaluation/report
CLIP := examples/colonoscopy-phantom.mp4

.PHONY: demo test test-lowest lint format clean

# A stamp per set of requirements: installing again happens only when pyproject.toml changes.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("endoseg needs Python 3.11 or newer, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/installed-test: $(VENV)/installed
	$(BIN)/python -m pip install --quiet --editable '.[test]'
	touch $@

$(VENV)/installed-dev: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

## Install into .venv, outline the lesion in the example clip, and say where to look.
demo: $(VENV)/installed
	$(BIN)/endoseg segment $(CLIP) --out demo/mask.mp4 --overlay demo/overlay.mp4 --records demo/lesions.csv --overwrite
	@echo
	@echo "Open demo/overlay.mp4 to see the outlined lesion. For your own file:"
	@echo "  $(BIN)/endoseg segment video.mp4 --out mask.mp4 --overlay overlay.mp4"

## Install the test extras and run all tests.
test: $(VENV)/installed-test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

## Run what other projects' changes would break, with the oldest of their releases that pyproject.toml allows.
test-lowest: $(VENV)-lowest/installed
	OMP_NUM_THREADS=1 $(VENV)-lowest/bin/python -m pytest -n 2 $(LOWEST)

$(VENV)-lowest/installed: pyproject.toml .ci/lowest.py
	$(PYTHON) -m venv $(VENV)-lowest
	$(PYTHON) .ci/lowest.py > $(VENV)-lowest/lowest.txt
	$(VENV)-lowest/bin/python -m pip install --quiet --editable '.[test]' --constraint $(VENV)-lowest/lowest.txt
	touch $@

## Check style and types.
lint: $(VENV)/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

## Bring the code into the project's style.
format: $(VENV)/installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(VENV)-lowest demo build dist .pytest_cache .mypy_cache .ruff_cache
