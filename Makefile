# `make help` lists the targets. The two that matter: `make demo` and `make test`. Both set up what they need.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
TORCH := torch==2.13.0
# On Linux PyPI's torch carries gigabytes of CUDA. Without a GPU, and unless pip already finds a CPU build, PyTorch's own
# index is asked for one.
CPU_INDEX = --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu
DEMO := runs/demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint format docs bench bench-gpu bench-options bench-scaling bench-metrics kills fuzz data lock clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: $(READY) ## make the environment in .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Expected Python 3.11 or newer, got `$(PYTHON) --version`. Name another with: make PYTHON=python3.12 ..."; exit 1; }
	@echo "Setting up $(VENV), once: some minutes and up to 2 GB (more with CUDA)."
	$(PYTHON) -m venv $(VENV)
	@index=; \
	if [ "`uname -s`" = Linux ] && ! command -v nvidia-smi >/dev/null && \
	  ! $(BIN)/python -m pip install --dry-run --no-deps --disable-pip-version-check $(TORCH) 2>/dev/null | grep -q '+cpu'; \
	then index='$(CPU_INDEX)'; fi; \
	set -x; $(PIP) -c constraints.txt $$index $(TORCH)
	$(PIP) -c constraints.txt -e '.[demo,sweep,cluster,export,dev]'
	@touch $@

demo: $(READY) ## train a small network (2 minutes on 2 cores), evaluate it, say where to look
	@rm -rf $(DEMO)
	$(BIN)/python train.py experiment=quick hydra.run.dir=$(DEMO)/train
	$(BIN)/python evaluate.py checkpoint=$(DEMO)/train/checkpoints/best.ckpt 'method=[checkpoint,laplacian,mean]' \
	  hydra.run.dir=$(DEMO)/evaluate
	@echo
	@echo "Look at:"
	@echo "  all of it         $(DEMO)/evaluate/report.html"
	@echo "  fused images      $(DEMO)/evaluate/synthetic/checkpoint/*-fused.png"
	@echo "  decision maps     $(DEMO)/evaluate/synthetic/checkpoint/*-map.png"
	@echo "  differences       $(DEMO)/evaluate/synthetic/checkpoint/*-difference.png"
	@echo "  all side by side  $(DEMO)/evaluate/synthetic/checkpoint/*-panel.png"
	@echo "  training curves   $(DEMO)/train/curves.png"
	@echo "  checkpoint        $(DEMO)/train/checkpoints/best.ckpt"

test: $(READY) ## run the tests, in two processes of one thread each
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

lint: $(READY) ## check style, types and who imports whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(READY) ## put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(READY) ## write docs/configuration.md anew from conf/, and the tables and chart of docs/speed.md from benchmarks/results/
	$(BIN)/python docs/configuration.py
	$(BIN)/python docs/speed.py

bench: $(READY) ## measure training, synthesis, fusing, metrics and start-up on the CPU: 5 minutes
	$(BIN)/python -m benchmarks.bench

bench-gpu: $(READY) ## measure them on a CUDA device, and what each option of training brings there
	@if ! $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then \
	  echo "Skipped: there is no CUDA device here."; else set -ex; \
	  $(BIN)/python -m benchmarks.bench --device cuda; \
	  $(BIN)/python -m benchmarks.options --device cuda; \
	  $(BIN)/python -m benchmarks.profile_step --device cuda; \
	  $(BIN)/python -m benchmarks.inference --device cuda --options; \
	  $(BIN)/python -m benchmarks.inference --device cuda --tiles; \
	  $(BIN)/python -m benchmarks.batch --device cuda --batches 32 128 512 2048; fi

bench-options: $(READY) ## measure what each way to a faster step, and to faster fusing, brings alone
	$(BIN)/python -m benchmarks.options
	$(BIN)/python -m benchmarks.profile_step
	$(BIN)/python -m benchmarks.inference --options --widths 16
	$(BIN)/python -m benchmarks.inference --tiles --widths 16

bench-scaling: $(READY) ## measure time and memory of fusing up to 100 megapixels and 30 frames of 20, of batches, of evaluation
	$(BIN)/python -m benchmarks.scaling
	$(BIN)/python -m benchmarks.batch
	$(BIN)/python -m benchmarks.evaluation

bench-metrics: $(READY) ## measure the cost of every metric, beside careful numpy
	$(BIN)/python -m benchmarks.metrics

kills: $(READY) ## kill 30 trainings at random moments, resume them, compare the weights
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/kills.py

fuzz: $(READY) ## feed 10,000 damaged images and checkpoints to loading and fusing
	$(BIN)/python benchmarks/fuzz.py

data: $(READY) ## fetch the Lytro and the grayscale pairs into data/ (research use)
	$(BIN)/python -m mfif.data.download lytro grayscale --root data

lock: $(READY) ## resolve constraints.txt anew from pyproject.toml
	echo $(TORCH) | $(BIN)/uv pip compile --universal --all-extras --no-header --python-version 3.11 --upgrade \
	  --constraints - --output-file constraints.txt pyproject.toml

clean: ## remove the environment and the demo's output; other runs stay
	rm -rf $(VENV) $(DEMO)
