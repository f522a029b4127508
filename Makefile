# Two commands do everything on a fresh machine: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo
GPU_CHECK := gpu-check.tar.gz
# Two processes run the tests side by side; each computes with one thread, or they would fight for the cores.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest

.PHONY: help install demo test lint bench gpu-check clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(VENV)/.installed ## set up .venv with all extras that need no GPU

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[all,dev]'
	@touch $@

demo: install ## simulate, fit, export, verify and time a cae-fr2; everything lands in demo/
	$(BIN)/daenr-train simulate --out $(DEMO)/insilico --region 3 --force
	$(BIN)/daenr-train fit --model cae-fr2 --data $(DEMO)/insilico --region 3 --output $(DEMO)/cae_fr2.pt \
		--max-steps 1200 --force
	$(BIN)/daenr-export --checkpoint $(DEMO)/cae_fr2.pt --trt --native --force
	$(BIN)/daenr-bench run $(DEMO)/cae_fr2.daenr --checkpoint $(DEMO)/cae_fr2.pt --data $(DEMO)/insilico \
		--json $(DEMO)/results.json --force
	$(BIN)/daenr-bench report $(DEMO)/results.json --html $(DEMO)/report.html --bundle $(DEMO)/cae_fr2.daenr --force

test: install lint ## lint, then all tests; those that measure time or drive Ray run alone
	@PYTHON=$(BIN)/python tests/doubles/install_pycuda.sh || echo 'pycuda could not be built: its tests will be skipped'
	@tests/doubles/install_chromium.sh || echo 'there is no browser: reports will not be opened'
	$(PYTEST) -n 2 -m 'not alone and not ray'
	$(PYTEST) -m ray
	$(PYTEST) -m alone

lint: install ## style, types, and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install ## measure: latency of every graph and backend, the runtime's overhead, steps per second of fitting
	$(BIN)/python -m pytest benchmarks

# Exit code 3 of the command, "there is no GPU", is "Error 3" in make's last line; make itself then answers 2.
gpu-check: install ## on a machine with an NVIDIA GPU: all that it can show, in one archive to send back
	@if nvidia-smi -L >/dev/null 2>&1; then \
		PYTHON=$(BIN)/python tests/doubles/install_pycuda.sh || echo 'without pycuda no engine runs'; \
		$(BIN)/python -m pip install --quiet 'tensorrt>=11' || echo 'TensorRT Enterprise is left out'; \
	fi
	@$(BIN)/daenr-bench gpu-check --output $(GPU_CHECK) --force

clean: ## remove what make made
	rm -rf $(VENV) $(DEMO) build dist *.egg-info .benchmarks .hypothesis .*_cache
