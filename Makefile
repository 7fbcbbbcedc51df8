# Every target makes the environment first if it is missing. `make help` lists them.
# The newest Python that runs; `make env PYTHON=python3.12` chooses another one.
PYTHON ?= $(firstword $(foreach v,3.13 3.12 3.11,$(shell python$(v) -c 'print("python$(v)")' 2>/dev/null)))
VENV ?= .venv
SHELL := bash
export PATH := $(abspath $(VENV))/bin:$(PATH)
ENV := $(VENV)/.installed
PIP_AUDIT := 2.10.1

.DEFAULT_GOAL := help
.PHONY: help env reproduce repro-one status smoke rehearse test test-fast test-all bench gpu-check screenshots compare lint lock audit notebooks lab clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

env: $(ENV)  ## create the virtual environment with exact pinned versions

$(ENV): requirements.lock
	@test -n "$(PYTHON)" || { echo "make: no python3.13, python3.12 or python3.11 runs here; install one, or name one: make env PYTHON=..." >&2; exit 1; }
	@echo "$$($(PYTHON) --version) ($(PYTHON)) makes the environment in $(VENV); PYTHON=... chooses another"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -e .
	$(VENV)/bin/python -m tools.plots_page
	@touch $@

reproduce: $(ENV)  ## run the pipeline of the profile that params.yaml chooses: all tables and reports
	python -m tools.preflight
	dvc repro

repro-one: $(ENV)  ## train one row with what it needs: make repro-one ROW=few_shot/vidprism_c [PROFILE=full]
	python -m tools.repro_one $(ROW) $(PROFILE)

status: $(ENV)  ## what `dvc repro` would run now, and why, in words
	python -m tools.status

smoke: $(ENV)  ## run the smoke profile in this checkout (data for opening the notebooks)
	python -m tools.preflight smoke
	python -m tools.smoke

rehearse: $(ENV)  ## the paper profile's chain at full model size, random weights, miniature data (a quarter of an hour on two cores)
	python -m tools.rehearse

test: test-fast  ## all tests: those of test-fast, then the slow ones, the smoke pipeline among them, two files at a time
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile -m "(slow or pipeline) and not long"

test-fast: $(ENV)  ## tests without pipeline, processes and waiting, two at a time (two minutes on two cores)
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile -m "not (long or slow or pipeline)"

test-all: $(ENV)  ## all tests, and those that try random things many times; writes reports/test-all.txt and faults.md
	echo "of commit $$(git describe --always --dirty --exclude '*' --abbrev=12)" > reports/test-all.txt
	set -o pipefail; OMP_NUM_THREADS=1 VIDPRISM_REPORTS=reports python -m pytest -m "long or not long" | tee -a reports/test-all.txt

bench: $(ENV)  ## speed and size, printed side by side
	python -m benchmarks

gpu-check: $(ENV)  ## check the suite on this machine's GPU, at most 8 minutes; writes reports/gpu and docs/gpu.md
	python -m tools.gpu_check --out reports/gpu; status=$$?; python -m tools.gpu_check.page; exit $$status

screenshots: $(ENV)  ## pictures of the pages on a screen, a phone and paper (needs Chromium); two of them are the README's
	python -m tools.screenshots

compare: $(ENV)  ## which cells changed since a revision: make compare REV=HEAD~1
	python -m vidprism.report.compare $(REV)

lint: $(ENV)  ## check style, types and notebooks
	ruff check . && ruff format --check . && mypy && nbstripout --verify --keep-id notebooks/*.ipynb

lock: $(ENV)  ## write requirements.lock from the installed environment
	python tools/lock.py > requirements.lock

audit: .venv-audit/.installed  ## known vulnerabilities of the pinned packages (asks a service; docs/scaling.md)
	.venv-audit/bin/pip-audit --strict --requirement requirements.lock --no-deps --disable-pip

# a separate environment, so that the tools of the audit are neither in the lock nor among the audited packages
.venv-audit/.installed: Makefile
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit==$(PIP_AUDIT)
	@touch $@

lab: $(ENV)  ## open the notebooks; what Jupyter saves is stripped of outputs, so that no stage runs again for it
	PYTHONPATH=$(CURDIR) jupyter lab --ContentsManager.pre_save_hook=tools.notebooks.before_save notebooks

clean:  ## remove generated data and runs of this checkout (results and reports stay)
	rm -rf data/generated data/backbones data/manifests data/frames data/features data/runs data/live data/text data/work data/rehearsal reports/notebooks reports/timings
