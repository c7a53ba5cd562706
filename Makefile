# cosim: `make demo` installs all and runs the main job, `make test` passes the tests, `make check` adds
# format, lint, types and the layer rule. Everything lives in .venv; a second time needs no network.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export OPENBLAS_NUM_THREADS = 1

.PHONY: demo test check setup ngspice chromium format bench accept-solver accept-updates accept-converters accept-spice accept-devices accept-feedback accept-ktram accept-fit accept-programming docs-generate clean accept-ktram-physical accept-seen docs

demo: setup
	$(BIN)/cosim run scenarios/quickstart.yaml --out out/quickstart
	$(BIN)/cosim validate scenarios/quickstart.yaml --out out/quickstart
	@echo "the report is $(CURDIR)/out/quickstart/report.html"

test: setup chromium
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: setup chromium
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -n 2 --dist worksteal

setup: ngspice $(READY)

# The stamp holds the hash of what decides the installation, so a second time installs nothing.
STAMP := $(shell cat pyproject.toml constraints.txt 2>/dev/null | cksum | tr ' ' '-')

$(READY): pyproject.toml constraints.txt
	@if [ "$$(cat $(READY) 2>/dev/null)" != "$(STAMP)" ]; then ./tools/install.sh "$(PYTHON)" "$(VENV)"; fi
	@echo "$(STAMP)" > $(READY)

ngspice:
	@./tools/ngspice.sh

chromium:
	@./tools/chromium.sh

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python benchmarks/phases.py

accept-solver: setup
	$(BIN)/python benchmarks/solver.py --accept
	$(BIN)/python benchmarks/solver.py --accept --without-numba
	$(BIN)/python -m pytest -m acceptance tests/crossbar

accept-updates: setup
	$(BIN)/python benchmarks/updates.py --accept
	$(BIN)/python -m pytest -m acceptance -s tests/crossbar/test_cache.py tests/crossbar/test_ports.py

.PHONY: accept-operations
accept-operations: setup
	$(BIN)/python -m pytest -m acceptance -s -n0 tests/operations

accept-converters: setup
	$(BIN)/python benchmarks/scheduler.py --accept
	$(BIN)/python -m pytest -m acceptance -s tests/components

accept-spice: setup
	$(BIN)/python benchmarks/spice_phases.py --accept
	$(BIN)/python -m pytest -m acceptance tests/spice tests/backends tests/conformance

accept-fit: setup
	$(BIN)/python benchmarks/fits.py --accept
	$(BIN)/python benchmarks/noisy_reads.py --accept
	$(BIN)/python -m pytest tests/fit tests/docs/test_fitting_page.py tests/docs/test_validation_page.py tests/devices/test_read_noise.py tests/components/test_noisy_reads.py

accept-programming: setup
	$(BIN)/python benchmarks/programming.py --accept
	$(BIN)/python -m pytest -m "acceptance or not acceptance" -s -n0 tests/components/test_schemes.py tests/components/test_write_verify.py tests/crossbar/test_access.py

accept-feedback: setup
	$(BIN)/python benchmarks/lockstep.py --accept
	$(BIN)/python benchmarks/stops.py --accept
	$(BIN)/python -m pytest -m acceptance tests/backends/test_stops.py

accept-ktram: setup
	$(BIN)/python benchmarks/ktram.py --accept
	$(BIN)/python benchmarks/ktram_lanes.py --accept
	$(BIN)/python -m pytest -m acceptance -s -n0 tests/ktram --ignore tests/ktram/test_circuit.py --ignore tests/ktram/test_circuit_learning.py

accept-ktram-physical: setup
	$(BIN)/python benchmarks/ktram_physical.py --accept
	$(BIN)/python -m pytest -m acceptance -s -n0 tests/ktram/test_circuit.py tests/ktram/test_lane_capacitance.py tests/ktram/test_circuit_learning.py

accept-devices: setup
	$(BIN)/python benchmarks/devices.py --accept
	$(BIN)/python -m pytest -m acceptance tests/conformance/test_device_suite.py
	$(BIN)/python -m pytest -m acceptance -s -n0 tests/fit/test_jump_tables.py

accept-seen: setup chromium
	$(BIN)/python -m pytest -s -n0 -m "acceptance or not acceptance" tests/browser tests/test_terminal.py tests/report/test_interchange.py tests/docs/test_get_started.py tests/plot

docs-generate: setup
	$(BIN)/cosim schema --out docs/scenario.schema.json
	$(BIN)/python docs/generate_scenario.py
	$(BIN)/python docs/generate_devices.py
	$(BIN)/python docs/generate_support.py
	$(BIN)/python docs/generate_plots.py
	$(BIN)/python docs/generate_validation.py

docs: setup
	$(BIN)/python -m mkdocs build --strict --quiet
	@echo "the documentation is $(CURDIR)/out/site/index.html"

clean:
	rm -rf $(VENV) out .pytest_cache .mypy_cache .ruff_cache
