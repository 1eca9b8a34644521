# Everything happens in .venv, made from $(PYTHON); stamp files tell what is installed in it.
PYTHON ?= python3
VENV   ?= .venv
BUILD  ?= build
TORCH  ?= torch==2.13.0
PYTEST ?= -n auto --dist loadfile

BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip --disable-pip-version-check --quiet
STEP  = @printf '\033[1m%s\033[0m\n'

.DEFAULT_GOAL := help
.PHONY: help demo examples bench test test-slow lint fix type ci wheel docs train clean distclean

help: ## this list
	@printf 'make <target>, in a virtual environment of its own ($(VENV), from $(PYTHON)):\n\n'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(STEP) 'Making $(VENV)'
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml | $(VENV)/bin/python
	$(STEP) 'Installing transpile'
	@$(PIP) install -e '.[examples]'
	@touch $@

$(VENV)/.lint: $(VENV)/.installed
	$(STEP) 'Installing ruff and mypy'
	@$(PIP) install -e '.[lint]'
	@touch $@

# torch is an oracle in the tests; the exact version finds a local CPU build where there is one.
$(VENV)/.test: $(VENV)/.installed
	$(STEP) 'Installing what the tests need'
	@$(PIP) install '$(TORCH)'
	@$(PIP) install -e '.[test]'
	@touch $@

demo: $(VENV)/.installed ## compile the handwritten digits example to a page and verify it
	@mkdir -p $(BUILD)
	$(STEP) 'A NumPy model (examples/digits/model.py) becomes a web page'
	@$(BIN)/transpile build examples/digits/model.py -o $(BUILD)/digits.html
	$(STEP) 'The same accuracy on digits that it has never seen'
	@$(BIN)/python examples/digits/evaluate.py
	@printf '\nOpen this in a browser and draw a digit:\n  file://%s\n' '$(abspath $(BUILD)/digits.html)'

examples: $(VENV)/.installed ## build the page of every example into build/
	@$(BIN)/python tools/build_examples.py $(BUILD)

$(VENV)/.bench: $(VENV)/.installed benchmarks/requirements.txt
	$(STEP) 'Installing what the benchmarks need'
	@$(PIP) install -r benchmarks/requirements.txt
	@touch $@

bench: $(VENV)/.bench ## speed, size, start-up and memory beside other runtimes (npm, Chromium)
	@$(BIN)/python -m benchmarks $(BENCH)

test: $(VENV)/.test ## all tests but the slow ones
	@$(BIN)/python -m pytest $(PYTEST) -m 'not slow'

test-slow: $(VENV)/.test ## all tests
	@$(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.lint ## ruff: style, complexity, order of imports
	@$(BIN)/ruff check .

fix: $(VENV)/.lint ## let ruff correct what it can
	@$(BIN)/ruff check --fix .

type: $(VENV)/.lint ## mypy --strict
	@$(BIN)/mypy

ci: lint type test-slow ## what runs before a change is taken

wheel: $(VENV)/.test ## dist/*.whl
	@$(BIN)/python -m build --wheel --no-isolation --outdir dist .

docs: $(VENV)/.test ## renew the generated parts of README.md and its picture
	@$(BIN)/python tools/update_readme.py
	@$(BIN)/python tools/screenshot.py

train: $(VENV)/.test ## train the examples again (needs torch)
	@for example in linear digits tabular text; do $(BIN)/python examples/$$example/train.py || exit; done

clean: ## remove what was built
	@rm -rf $(BUILD) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove the virtual environment, too
	@rm -rf $(VENV)
