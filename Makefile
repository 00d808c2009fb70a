# Two commands matter: `make demo` and `make test`. Both make what they need in .venv.

PYTHON ?= python3
BIN := .venv/bin
CORE := CMakeLists.txt pyproject.toml $(wildcard native/*/*)

# Builds are isolated by pip; what they install is pinned by this alone.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: FORCE help demo test lint types unit page page-checks notebooks bench instructions rivals docs plain sanitize clean

help:  ## This list.
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv/made:
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	@touch $@

# An editable install knows the modules by name. Written anew only where they have changed.
MODULES = find src/velocell -name '*.py' | sort
.venv/modules: .venv/made FORCE
	@$(MODULES) | cmp -s - $@ || $(MODULES) > $@

# Editable: changes within the Python files need no new install, changes of the C++ core and new modules do.
.venv/installed: .venv/made .venv/modules $(CORE)
	$(BIN)/pip install --quiet --editable '.[viewer]'
	@touch $@

# Norse asks for torchvision, which it does not need for what is used here and which would bring
# several GB of CUDA packages; so Norse goes in without its dependencies, at pinned versions.
.venv/tested: .venv/installed constraints.txt
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test]'
	$(BIN)/pip install --quiet --constraint constraints.txt torch h5py
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps norse nir nirtorch trackeval
	@touch $@

demo: .venv/installed  ## Three disks, three speeds: simulate, detect, show; results in ./demo
	$(BIN)/velocell demo --out demo

test: lint types unit  ## Style, types and all tests.

lint: .venv/tested page
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

# What the C++ core offers is written down at build time; mypy looks for it beside the sources.
types: .venv/tested
	cp $(BIN)/../lib/python*/site-packages/velocell/_native.pyi src/velocell/
	$(BIN)/mypy

# Whole files to each process: what a module makes for its tests is made once.
TEST_PROCESSES ?= 2

unit: .venv/tested
	$(BIN)/pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

# Only where Node is, which nothing else here needs; with VELOCELL_NEED_PAGE_TOOLS set it must be.
PAGE := tests/page
NO_NODE := no npm with node 18.18 or newer; on Debian: apt-get install nodejs npm

page:  ## Style, types and tests of the viewer's scripts, with tools in tests/page/node_modules.
	@if command -v npm >/dev/null && node -e '$(NODE_IS_NEW)' 2>/dev/null; then $(MAKE) --no-print-directory page-checks; \
	elif [ -n "$$VELOCELL_NEED_PAGE_TOOLS" ]; then echo "page: $(NO_NODE)" >&2; exit 1; \
	else echo "page: skipped, $(NO_NODE)"; fi

NODE_IS_NEW := const [major, minor] = process.versions.node.split("."); process.exit(100 * major + +minor < 1818 ? 1 : 0)

$(PAGE)/node_modules/.package-lock.json: $(PAGE)/package.json $(PAGE)/package-lock.json
	npm ci --prefix $(PAGE) --silent
	@touch $@

page-checks: $(PAGE)/node_modules/.package-lock.json
	$(PAGE)/node_modules/.bin/eslint --config $(PAGE)/eslint.config.js --max-warnings 0 src/velocell/viewer/static $(PAGE)
	$(PAGE)/node_modules/.bin/tsc --project $(PAGE)
	node --test --test-reporter=spec $(PAGE)/*.test.js

notebooks: .venv/tested  ## Run examples/time_surfaces.ipynb, keep what it shows, and make the student's version of it.
	$(BIN)/python examples/make_student.py --execute

bench: .venv/tested  ## Speed and cost of the engines, as JSON and plots in ./bench; AGAINST=REV: beside another commit
	$(BIN)/python -m benchmarks.engine --out bench $(if $(AGAINST),--against $(AGAINST))

instructions: .venv/tested  ## Instructions counted on a small scene, against the history of them (valgrind)
	$(BIN)/python -m benchmarks.instructions

rivals: .venv/tested  ## Other people's methods beside ours, on the same scenes; docs/rivals.md is made anew.
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.rivals --own --out bench/rivals --page docs/rivals.md

.venv/documented: .venv/installed
	$(BIN)/pip install --quiet --editable '.[docs]'
	@touch $@

docs: .venv/documented  ## These pages as a website in build/docs; a warning is an error.
	$(BIN)/sphinx-build -W --keep-going -q docs build/docs

# Spiking frameworks beside .venv, which has torch and Norse. They ask for CUDA, chips' drivers or an old nir, none of
# which their importers need; so each goes in alone, with the small packages that it does import.
build/interop/made: .venv/tested constraints.txt
	rm -rf build/interop
	$(BIN)/pip install --quiet --no-deps --target build/interop snntorch spikingjelly sinabs loguru tqdm pbr setuptools
	@touch $@

.PHONY: interop

interop: build/interop/made  ## An exported network in Norse, snnTorch, SpikingJelly and Sinabs: the same spikes?
	OMP_NUM_THREADS=1 VELOCELL_INTEROP=1 PYTHONPATH=build/interop $(BIN)/pytest -rP -W ignore tests/network/test_nir_frameworks.py

# A package of its own in build/sanitize. Without site (-S) the editable install cannot take its place.
SANITIZED = LD_PRELOAD="$$($(CXX) -print-file-name=libasan.so) $$($(CXX) -print-file-name=libubsan.so)" \
	ASAN_OPTIONS=detect_leaks=0 PYTHONPATH="build/sanitize:$$(echo .venv/lib/python*/site-packages)" $(BIN)/python -S

sanitize: .venv/tested  ## The C++ core's tests under AddressSanitizer and UndefinedBehaviorSanitizer (GCC).
	rm -rf build/sanitize
	$(BIN)/pip install --quiet --no-deps --target build/sanitize --config-settings=build-dir=build/sanitize-cmake \
		--config-settings=cmake.define.VELOCELL_SANITIZE=ON .
	$(SANITIZED) -c 'import velocell._native as core; assert "build/sanitize" in core.__file__, core.__file__'
	$(SANITIZED) -m pytest -p no:cacheprovider tests/engines/test_native*.py tests/engines/test_counted_currents.py \
		tests/engines/test_periods.py tests/tracking tests/network/test_template.py tests/simulate/test_pixel.py \
		tests/formats/test_aedat4.py tests/formats/test_aedat4_packets.py tests/formats/test_unpack.py \
		tests/live/test_live_receiver.py tests/live/test_live_udp.py tests/filters/test_flicker.py tests/data/test_tables.py
	$(SANITIZED) -m benchmarks.fuzz_native --calls 50000 --inputs 20000

# In build/plain, as above.
plain: .venv/tested  ## The C++ core as a compiler without GCC's vectors and builtins sees it (MSVC): the same results?
	rm -rf build/plain
	$(BIN)/pip install --quiet --no-deps --target build/plain --config-settings=build-dir=build/plain-cmake \
		--config-settings=cmake.define.VELOCELL_PLAIN=ON .
	export PYTHONPATH="build/plain:$$(echo .venv/lib/python*/site-packages)"; \
	$(BIN)/python -S -c 'import velocell._native as core; assert "build/plain" in core.__file__, core.__file__' && \
	$(BIN)/python -S -m pytest -p no:cacheprovider tests/engines/test_native*.py tests/tracking/test_detector.py tests/live/test_live_receiver.py

clean:  ## Remove everything that was built.
	rm -rf .venv build demo bench $(PAGE)/node_modules src/velocell/*.so
