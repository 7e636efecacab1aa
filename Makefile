# What can be done here: `make help`. Needs Python 3.11 or later, make and, for the kernels, a C++17
# compiler; all else is installed into .venv from requirements.lock.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
MODELS ?= all
PEERS ?= all
# any word, such as 1, for `make bench` in a third of the time
QUICK ?=
ROUNDS ?=
# processes that share the tests; each may need 3 GB
WORKERS ?= 2

# Without a compiler the package is installed without kernels; the stamp says so in its name, so that
# the first make after a compiler came builds them.
COMPILER := $(shell command -v "$(or $(filter-out g++,$(CXX)),c++)" || command -v g++ || command -v clang++)
LOCKED := $(VENV)/.locked
INSTALLED := $(VENV)/.installed$(if $(COMPILER),,-without-kernels)
# The install is editable: a change to Python needs no new one.
BUILT_FROM := CMakeLists.txt pyproject.toml $(shell find csrc -type f)

SANITIZE := build/sanitize
# What runs kernels: every case there is, gates remembered, teams. Plain JAX has a part of the first
# that takes longest, and runs none.
SANITIZED_TESTS := tests/test_kernels.py tests/test_bfloat16.py tests/test_lookup.py \
  tests/test_stream_engine.py tests/test_norm.py tests/test_projection.py \
  tests/test_transforms.py::test_gates_that_are_gone_are_computed_again_to_the_same_bits
RUNTIME = $(shell $(CXX) -print-file-name=libasan.so):$(shell $(CXX) -print-file-name=libubsan.so)
SITE = $(shell $(BIN)/python -c 'import sysconfig; print(sysconfig.get_paths()["platlib"])')

.PHONY: help demo test bench lint format docs sanitize lock clean
.DELETE_ON_ERROR:

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(INSTALLED)  ## install, build and run a first experiment
	$(BIN)/sunhwan reproduce multiplication --out runs/demo
	@echo
	@echo "Look at: runs/demo/multiplication/report.html (open it in a browser)"
	@echo "Next:    $(BIN)/sunhwan check            what this machine runs"
	@echo "         $(BIN)/sunhwan reproduce --list  the other experiments"

test: $(INSTALLED)  ## install, build and run all tests and the examples in the documentation
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
	@echo
	@echo "All tests passed. Skipped ones are listed above with their reason."
	@echo "Next:    make demo  or  make bench  or  make sanitize"

bench: $(INSTALLED)  ## time our layers beside Keras on 3 backends, PyTorch and ONNX Runtime
	$(BIN)/python -m benchmarks.peers --models $(MODELS) --peers $(PEERS) \
	  $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(QUICK),--quick)
	@echo
	@echo "Next:    benchmarks/README.md says how to read the figures and how to draw a page of them"

lint: $(LOCKED)  ## style and types of Python, format of C++
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/clang-format --dry-run -Werror $$(find csrc -name '*.cc' -o -name '*.h')

format: $(LOCKED)  ## bring all files into that format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/clang-format -i $$(find csrc -name '*.cc' -o -name '*.h')

docs: $(INSTALLED)  ## run every example in docstrings and READMEs, follow every link between files
	$(BIN)/python -m pytest src tests/test_readme.py

sanitize: $(INSTALLED)  ## kernels with AddressSanitizer and UndefinedBehaviorSanitizer (GCC)
	$(BIN)/cmake -S . -B $(SANITIZE)/build -G Ninja -DSUNHWAN_SANITIZE=ON \
	  -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER=$(CXX) \
	  -DCMAKE_MAKE_PROGRAM=$(abspath $(BIN)/ninja) -DPython_EXECUTABLE=$(abspath $(BIN)/python)
	$(BIN)/cmake --build $(SANITIZE)/build
	rm -rf $(SANITIZE)/package && mkdir -p $(SANITIZE)/package
	cp -r src/sunhwan $(SANITIZE)/package/
	# kernels that lay beside the sources would pass for what is to be installed, if of the same second
	rm -f $(SANITIZE)/package/sunhwan/engine/_kernels*.so
	$(BIN)/cmake --install $(SANITIZE)/build --prefix $(SANITIZE)/package
	@grep -q __asan_init $(SANITIZE)/package/sunhwan/engine/_kernels*.so || \
	  { echo "the kernels in $(SANITIZE)/package must be sanitized ones"; exit 1; }
	# -S: without the editable install, whose kernels are not the sanitized ones
	for isa in $$($(BIN)/python -c 'from sunhwan.engine import native; print(*native.available_isas())'); do \
	  echo "SUNHWAN_ISA=$$isa"; \
	  PYTHONPATH=$(abspath $(SANITIZE)/package):$(SITE) LD_PRELOAD=$(RUNTIME) SUNHWAN_ISA=$$isa \
	    SUNHWAN_POISON=1 ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=print_stacktrace=1 \
	    $(BIN)/python -S -m pytest -k "not plain_jax" $(SANITIZED_TESTS) || exit 1; \
	done
	@echo
	@echo "No finding. Next: make test"

lock:  ## pin the newest releases of all dependencies into requirements.lock (needs uv)
	uv pip compile pyproject.toml --universal --python-version 3.11 --group build --group dev \
	  --generate-hashes --no-annotate --no-header --upgrade --quiet --output-file requirements.lock

clean:  ## remove what was built; data caches and results stay
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache

$(LOCKED): requirements.lock
	@echo "Installing the locked packages into $(VENV) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) --require-hashes --requirement $<
	@touch $@

$(INSTALLED): $(LOCKED) $(BUILT_FROM)
	@echo "Building sunhwan$(if $(COMPILER), (the kernels take a minute or two), without its kernels: no C++ compiler was found) ..."
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@
