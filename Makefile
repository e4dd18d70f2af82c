# Every target is a plain command over the environment in .venv; README shows the same commands without make.
PYTHON ?= python3
# For the small CPU build of torch on Linux: make study TORCH_INDEX=https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=
# What pyproject.toml offers beyond the study itself; make test EXTRAS=test,ray,slurm tests those launchers too.
EXTRAS ?= test
BIN := .venv/bin
INSTALLED := .venv/installed.$(EXTRAS)

.PHONY: study check test style results

study: $(INSTALLED) ## the smoke tier of every experiment, then verdicts and report
	$(BIN)/python run.py -m experiment=all tier=smoke hydra/launcher=joblib
	$(BIN)/python -m analysis --tier smoke --source runs

check: style ## style, types and the quick tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 -m "not slow"

test: style ## style, types and all tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

style: $(INSTALLED)
	$(BIN)/ruff check -q .
	$(BIN)/ruff format -q --check .
	$(BIN)/mypy

results: $(INSTALLED) ## every table, figure and verdict from the committed records
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
