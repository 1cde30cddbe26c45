# tracejit: everything a contributor runs. `make help` lists the targets.
# Tools and dependencies live in .venv, made on first use by a plain python3 with pip.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
JOBS ?= auto
PROGRAMS ?= 20000
FIRST := tests/programs tests/gradients tests/wrong_gradients tests/transforms

.DEFAULT_GOAL := help
.PHONY: help setup demo test gpu check format golden fuzz fuzz-gpu bench bench-gpu bench-peers grad-peers replay size clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.dev ## make .venv with all tools

demo: $(VENV)/.demo ## train a network three ways, look inside, export it and run it without Python
	$(PY) -m tracejit demo

# In two runs, so that no process compiles thousands of programs more than users' do; with ARGS in one.
test: $(VENV)/.test ## run the tests
ifeq ($(strip $(ARGS)),)
	$(PY) -m pytest -q -n $(JOBS) --dist worksteal $(FIRST)
	$(PY) -m pytest -q -n $(JOBS) --dist worksteal $(addprefix --ignore=,$(FIRST))
else
	$(PY) -m pytest -q -n $(JOBS) --dist worksteal $(ARGS)
endif

gpu: $(VENV)/.test ## run the tests that need a CUDA device
	$(PY) -m pytest -q -m gpu

check: $(VENV)/.dev ## formatting, lint, strict types, import layers
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/pyright
	$(VENV)/bin/lint-imports

format: $(VENV)/.dev ## format the code
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

golden: $(VENV)/.test ## rewrite the expected parts of golden tests (review the difference)
	$(PY) -m pytest -q tests --update-golden

fuzz: $(VENV)/.test ## compare PROGRAMS random programs (one in 16 as machine code), random loops, writes in place and writes before errors, and derivatives of random graphs, models and all test programs
	$(PY) -m tests.programs.fuzz --count $(PROGRAMS) $(ARGS)
	$(PY) -m tests.transforms.fuzz_derivatives --count $(PROGRAMS) $(ARGS)
	$(PY) -m tests.programs.random_loops --count $$(($(PROGRAMS) / 10))
	$(PY) -m tests.transforms.random_in_place --count $$(($(PROGRAMS) / 10))
	$(PY) -m tests.programs.random_writes --count $$(($(PROGRAMS) / 10))
	$(PY) -m tests.gradients.random_models --count $$(($(PROGRAMS) / 20))
	$(PY) -m tests.gradients.random_polynomials --count $$(($(PROGRAMS) / 20))
	$(PY) -m tests.gradients.random_arrays --count $$(($(PROGRAMS) / 100))
	$(PY) -m tests.gradients.random_training --count $$(($(PROGRAMS) / 20))
	$(PY) -m tests.gradients.random_sums --count $$(($(PROGRAMS) / 20))
	$(PY) -m pytest -q -n $(JOBS) --dist worksteal tests/programs --every-derivative

fuzz-gpu: $(VENV)/.test ## compare PROGRAMS random programs on a GPU with NumPy
	$(PY) -m tests.programs.fuzz --device cuda --count $$(($(PROGRAMS) / 20)) $(ARGS)

bench: $(VENV)/.dev ## measure NumPy, eager and compiled; table, JSON and plot in benchmarks/results
	-$(PY) -m tracejit.runtime.shipping
	$(PY) -m benchmarks.run $(ARGS)
	$(PY) -m benchmarks.gradient_scaling
	$(PY) -m benchmarks.size_scaling

bench-gpu: $(VENV)/.dev ## measure scripts on a GPU beside CuPy and PyTorch
	$(PY) -m benchmarks.gpu $(ARGS)

bench-peers: $(VENV)/.dev .venv-peers/.done ## the same with PyTorch, JAX and Numba from an environment of their own
	-$(PY) -m tracejit.runtime.shipping
	$(PY) -m benchmarks.run --peers .venv-peers/bin/python $(ARGS)

grad-peers: .venv-peers/.done ## derivatives of functions and layers against PyTorch's and JAX's
	.venv-peers/bin/python -m tests.gradients.against_peers torch $(ARGS)
	.venv-peers/bin/python -m tests.gradients.against_peers jax $(ARGS)

replay: $(VENV)/.dev ## compare generated code with that of another commit (BASE, default main)
	$(PY) tools/replay.py $(or $(BASE),main)

size: ## lines per folder, and the longest files
	@find tracejit -name '*.py' | xargs wc -l | awk '$$2 != "total" {n = split($$2, p, "/"); \
	    folder = n > 2 ? p[1] "/" p[2] : p[1]; lines[folder] += $$1} END {for (f in lines) print lines[f], f}' | sort -rn
	@echo; find tracejit -name '*.py' | xargs wc -l | sort -rn | sed -n '2,11p'

clean: ## remove environments and caches
	rm -rf $(VENV) .venv-peers .pytest_cache .ruff_cache build dist *.egg-info tracejit/objects

# An environment without ensurepip (some distributions split it off) gets its pip from the one outside.
$(VENV)/.made:
	$(PYTHON) -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV); $(PYTHON) -m venv --without-pip $(VENV) \
	    && $(PYTHON) -m pip --python $(PY) install --quiet pip; }
	@touch $@

$(VENV)/.demo $(VENV)/.test $(VENV)/.dev: $(VENV)/.%: $(VENV)/.made pyproject.toml
	$(PY) -m pip install --quiet --disable-pip-version-check -e ".[$*]"
	-$(PY) -m tracejit.runtime.shipping
	@touch $@

.venv-peers/.done:
	$(PYTHON) -m venv .venv-peers
	.venv-peers/bin/python -m pip install --quiet --disable-pip-version-check numpy numba torch==2.13.0 jax
	@touch $@
