# Every target is a plain command over the environment in .venv; README shows the same commands without make.
PYTHON ?= python3
# For the small CPU build of torch on Linux: make study TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# What pyproject.toml offers beyond the study itself; make test EXTRAS=test,ray,slurm,views tests that too.
EXTRAS ?= test
BIN := .venv/bin
INSTALLED := .venv/installed.$(EXTRAS)

MAKEFLAGS += --jobs=2 # style and types, which take one core, beside the tests

.PHONY: study smoke full check quick test tests style results

study: $(INSTALLED) ## verdicts and page from the committed records, then one claim measured anew beside its verdict
	$(BIN)/python -m analysis --tier core
	$(BIN)/python run.py -m experiment=dynamic tier=core sweep.tasks=[mqar] sweep.arms=[attention,static,static_offset] \
	  sweep.seeds=[20,21,22] sweep.committed=true hydra/launcher=joblib
	$(BIN)/python -m analysis again --tier core --source runs
	@echo "page: $(CURDIR)/results/page.html"

smoke: $(INSTALLED) ## every experiment at a size of seconds, then what the analysis makes of them
	$(BIN)/python run.py -m experiment=all tier=smoke hydra/launcher=joblib
	$(BIN)/python -m analysis --tier smoke --source runs

# What decides most parts by the hour comes first; stopped (MINUTES=10 does so in time), the same command goes on.
FULL ?= dynamic keyvalue scoring saliency addnorm structure heads extrapolation positions selection window distance memory skew \
  text size tying dropout alignment glimpse translation complexity speed
MINUTES ?= 100000
JOBS ?= 8
full: $(INSTALLED) ## the full tier on one GPU
	timeout --signal=INT --kill-after=60 $(MINUTES)m sh -c 'for name in $(FULL); do \
	  $(BIN)/python run.py -m experiment=$$name tier=full trainer=gpu sweep.committed=true \
	    hydra/launcher=joblib hydra.launcher.n_jobs=$(JOBS); done'

check: style quick ## style, types and the quick tests
quick: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal -m "not slow"

test: style tests ## style, types and all tests
tests: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 3 --dist worksteal --durations 20

style: $(INSTALLED)
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy

results: $(INSTALLED) ## every table, figure, verdict and the page from the committed records
	$(BIN)/python -m analysis

$(INSTALLED): pyproject.toml constraints.txt
	if command -v uv >/dev/null; then \
	  uv venv -q --allow-existing --python $(PYTHON) .venv && \
	  uv pip install -q --python $(BIN)/python $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX) --index-strategy unsafe-best-match) -c constraints.txt ".[$(EXTRAS)]"; \
	else \
	  $(PYTHON) -m venv .venv && \
	  $(BIN)/python -m pip install -q --disable-pip-version-check $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt ".[$(EXTRAS)]"; \
	fi
	touch $@
