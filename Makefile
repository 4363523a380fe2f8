# All commands for a fresh machine, for example `make demo` and `make test`. Each creates the environment if it does not exist.

PYTHON ?= python3.11
BIN := .venv/bin
# Without an NVIDIA driver pip installs the CPU build of torch.
CONSTRAINTS := $(shell command -v nvidia-smi >/dev/null 2>&1 || echo -c constraints-cpu.txt)
# One run per core with one thread each: more threads than cores would make all runs slower.
export OMP_NUM_THREADS ?= 1

.PHONY: setup demo test check bench bench-ratio bench-report storm pairs fuzz wheel-test lowest docs grid records results \
	archive-results reproduce house readme clean
.DEFAULT_GOAL := help

help:  ## Print the targets and their purposes.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 17

setup: .venv/.done  ## Create the environment.

.venv/.done: pyproject.toml constraints-cpu.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 ..."; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -e ".[dev]"
	@touch $@

DEMO := --env point_robot --data demo/data
TRAIN := $(BIN)/selectrl train $(DEMO) --profile laptop --seeds 2 --out demo/runs --set train.steps=2500

demo: setup  ## Collect data, train SELECT, CSRO and FOCAL on Point-Robot, write a report.
	$(BIN)/selectrl collect $(DEMO) --preset laptop
	$(TRAIN) --method select --name select --set collectors.proximal.sigma=0.5
	$(TRAIN) --method csro --name csro
	$(TRAIN) --method focal --name focal
	$(BIN)/selectrl report demo/runs --out demo/report

test: setup  ## Run the test suite.
	$(BIN)/python -m pytest -q -n 2 tests

check: setup  ## Check lint, format, types, layers, docs and README, as CI does.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/interrogate -q -c pyproject.toml selectrl
	$(BIN)/python tools/readme.py --check
	$(MAKE) --no-print-directory docs

bench: setup  ## Measure speed and memory, as ratios within one run.
	$(BIN)/python -m pytest -q bench --benchmark-columns=min,median,rounds --benchmark-sort=name -s

bench-ratio: setup  ## Print time and memory relative to naive code; check that both agree, and the floor's formulas.
	$(BIN)/python -m pytest -q bench/test_roofline.py bench/test_bench_step.py bench/test_bench_pairs.py \
		bench/test_bench_start.py -k "hand or naive_reference or both_ways or ratios" -s

bench-report: setup  ## Measure steps and start-up, write results/performance/ and docs/performance.md; takes minutes.
	$(BIN)/python bench/measure.py results/performance/cpu.json
	$(BIN)/python bench/page.py results/performance/cpu.json

fuzz: setup  ## Read about 50,000 damaged files of every kind under supervision; CASES= and KINDS= select fewer.
	PYTHONPATH=tests:tests/support $(BIN)/python -m fuzz $(if $(CASES),--cases $(CASES)) $(KINDS)

wheel-test: setup  ## Build the wheel, install it in an empty environment, and use it from an empty folder.
	rm -rf build/wheel-test
	$(BIN)/python -m hatchling build --target wheel --directory build/wheel-test/dist
	$(BIN)/python tests/wheel/install.py build/wheel-test/dist/*.whl "$$(mktemp -d)" $(CONSTRAINTS)

lowest: setup  ## Test with the lowest release of every dependency that pyproject.toml allows.
	$(PYTHON) -m venv --clear build/lowest
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check $(CONSTRAINTS) -c constraints-lowest.txt \
		-e ".[film,minari,slurm,tensorboard,tune]" beartype hypothesis psutil pytest
	build/lowest/bin/python -m pytest -q -W default::DeprecationWarning tests/data tests/experiment \
		tests/cli tests/launch tests/compare tests/trainer tests/runs tests/report tests/test_*.py

docs: setup  ## Build the documentation into site/; a warning is an error.
	NO_MKDOCS_2_WARNING=1 DISABLE_MKDOCS_2_WARNING=true $(BIN)/mkdocs build --quiet

grid: setup  ## Train every encoder x critic x actor briefly, test every collector, write the composition matrix.
	$(BIN)/selectrl collect --env point_robot --data grid/data --preset laptop
	$(BIN)/python tools/grid.py grid/data

records: setup  ## Check the archives of results/ and open them into build/results/.
	$(BIN)/python tools/archives.py open build/results

results: records  ## Draw the reports (build/reports/), tables and figures of docs/results.md again from the records.
	$(BIN)/python tools/results.py build/results build/reports

FOLDERS ?= $(wildcard build/results/*/)
archive-results: setup  ## Pack the folders of build/results/ that changed (or FOLDERS=...) into archives of results/.
	$(BIN)/python tools/archives.py pack $(FOLDERS)

SEEDS ?= 5
reproduce: records  ## Collect Point-Robot's data, train select_plus from scratch, and compare its return with the record.
	$(BIN)/selectrl collect --env point_robot --preset laptop --threads 1 --data build/reproduce/data
	$(BIN)/selectrl train --method select_plus --env point_robot --profile laptop --seeds $(SEEDS) --threads 1 \
		--data build/reproduce/data --out build/reproduce/runs
	$(BIN)/python tools/reproduce.py proximal build/results/point_robot/select_plus-* build/reproduce/runs/point_robot/select_plus-*

house: setup  ## Measure names, docstrings, homonyms, import circles and sizes of the package.
	$(BIN)/python tools/house.py

readme: setup  ## Write the generated tables of README.md and docs/dependencies.md again.
	$(BIN)/python tools/readme.py

storm: setup  ## Disturb commands at 200 random times (kills, failing and full disks) and compare the results bit by bit.
	$(BIN)/python tests/stress/kill_storm.py --kills 200

pairs: setup  ## Execute all 14 x 14 pairs of commands on one folder, the second during the first; PAIRS= samples.
	PYTHONPATH=tests:tests/support $(BIN)/python -m stress.pairs $(if $(PAIRS),--pairs $(PAIRS))

clean:  ## Remove all files that the targets created.
	rm -rf .venv demo grid site dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
