# Two commands do all: `make demo` and `make test`. Both make their environment in .venv on the first run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)

# `make test` takes about two minutes; `make test PYTEST_OPTIONS=` runs the slow tests too, as CI does.
PYTEST_OPTIONS ?= -m "not slow"

.PHONY: demo test lint format house

$(VENV)/base: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/base
	PATH="$(CURDIR)/$(BIN):$$PATH" bash examples/demo.sh demo

test: $(VENV)/dev
	$(BIN)/pytest $(PYTEST_OPTIONS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Measures of the layout and the style of the package; `make house HOUSE_OPTIONS=--list` names offenders.
house: $(VENV)/dev
	$(BIN)/python benchmarks/house.py $(HOUSE_OPTIONS)

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The engine beside others, in an environment of their own. sycomore needs a C++ compiler, cmake and libxsimd-dev.
PEERS := torchsim==0.0.8 mrpro==0.261015
.PHONY: bench-engine bench-quantify bench-train mutants
$(VENV)-bench/engine: $(SOURCES)
	test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --quiet --constraint constraints.txt torch $(PEERS) sycomore==1.3.2
	$(VENV)-bench/bin/pip install --quiet --constraint constraints.txt .
	touch $@

bench-engine: $(VENV)-bench/engine
	$(VENV)-bench/bin/pip install --quiet --no-deps .
	cd benchmarks && ../$(VENV)-bench/bin/python engine.py $(BENCH_OPTIONS)

# Quantification and matching beside dictionary matching by others, and two limits; the code as it is now.
bench-quantify: $(VENV)-bench/engine
	$(VENV)-bench/bin/pip install --quiet --no-deps .
	cd benchmarks && ../$(VENV)-bench/bin/python quantify_throughput.py $(BENCH_OPTIONS)

# What the Bloch decoder adds to a training step.
bench-train: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/training.py $(BENCH_OPTIONS)

mutants: $(VENV)/dev
	$(BIN)/python benchmarks/mutants.py
