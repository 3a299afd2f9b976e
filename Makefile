# Two commands for a newcomer: `make run` and `make test`. Both set up .venv first, when it is missing or out of date.
PYTHON ?= python3
BIN := .venv/bin
SETUP := .venv/.set-up
# A test process for each core, at most 8: each takes up to 2 GB of memory. A file's tests stay together: they share what the
# file makes, or build on each other.
SIDE_BY_SIDE := pytest -n auto --maxprocesses 8 --dist loadfile
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env PATH="$$PATH")
export PATH := $(CURDIR)/$(BIN):$(PATH)

SERVICE := pypi
AUDITED := requirements.lock

.PHONY: run test unit slow workflow test-slurm lint format screenshots notebook schema site setup vulnerabilities lock clean

run: setup            ## run the default study and say what it found
	@snakemake --no-hooks
	@echo
	@fit reports show results/reports/atelier/thresholds.tsv
	@echo
	@fit answer

test: setup           ## every test but test-slurm's, and how much of the package they run
	@tests/browser/install.sh || echo "make test: so the tests in a browser are left out"
	$(SIDE_BY_SIDE) --cov --cov-report= tests/unit tests/browser
	coverage report --skip-covered --sort=cover | tail -n 15
	$(SIDE_BY_SIDE) tests/workflow

unit: setup           ## the fast half of the tests of the package, in about a minute
	pytest -q -n auto --maxprocesses 8 -m "not slow" tests/unit

workflow: setup       ## tests of the workflow: a shrunken study from end to end
	$(SIDE_BY_SIDE) tests/workflow

test-slurm: export PATH := $(PATH):/usr/sbin:/sbin
test-slurm: setup     ## the shrunken study on a real SLURM of one node, which is installed where it is missing
	tests/slurm/install.sh
	$(AS_ROOT) python tests/slurm/cluster.py
	$(AS_ROOT) pytest tests/slurm

lint: setup           ## what CI checks besides the tests
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	codespell $$(git ls-files | grep -v -e '[.]lock$$' -e '[.]png$$' -e '[.]tsv$$')
	snakefmt --check Snakefile rules workflow
	snakemake --lint

format: setup
	ruff check --fix .
	ruff format .
	snakefmt Snakefile rules workflow

screenshots: setup    ## the README's pictures of the explorer, from the page of the default study
	python tests/browser/screenshots.py results/explorer/atelier/index.html docs

notebook: setup       ## the notebook of the docs, run again
	python benchmarks/notebook.py

schema: setup         ## config.schema.json, from the declarations of the settings
	python -m fit.config.schema

site: setup           ## the documents as a site, in site/; a link that leads nowhere is an error
	python docs/site/prepare.py
	NO_MKDOCS_2_WARNING=1 mkdocs build --quiet --strict --config-file .site.yml
	@echo "site/index.html"

setup: $(SETUP)

# uv installs the locked packages in a fraction of pip's time and shares them between checkouts. Nothing comes unpinned: uv
# is locked too, and fit and face_recognition_models, which is published as its source, are built with the locked setuptools.
$(SETUP): pyproject.toml requirements.lock
	@echo "setting up .venv: the packages of requirements.lock, some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@sed -n '/^\(uv\|setuptools\)==/,/[^\\]$$/p' requirements.lock > .venv/first.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement .venv/first.lock
	@env -u PYTHONDONTWRITEBYTECODE $(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --no-build-isolation-package face_recognition_models --require-hashes --requirement requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

vulnerabilities: setup  ## what is known to be vulnerable of the locked packages: asks PyPI, or SERVICE=osv
	test -x .venv/audit/bin/python || uv venv --quiet .venv/audit
	uv pip install --quiet --python .venv/audit/bin/python --require-hashes --requirement envs/audit.lock
	.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes --vulnerability-service $(SERVICE) \
		--requirement $(AUDITED)

lock: setup           ## pin everything again
	uv pip compile --quiet --upgrade pyproject.toml --all-extras --universal --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --output-file requirements.lock
	echo pip-audit | uv pip compile --quiet --upgrade - --universal --python-version 3.11 --generate-hashes \
		--no-header --no-annotate --no-emit-index-url --output-file envs/audit.lock
	sed -i "s/^LOCK=.*/LOCK=$$(sha256sum < requirements.lock | cut -d' ' -f1)/" envs/fit.post-deploy.sh

clean:                ## forget everything made, but the environment
	rm -rf results .snakemake site .site .site.yml
