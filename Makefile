# The book and its tests: see `make help`.
SHELL := /bin/sh
.DEFAULT_GOAL := help
unexport PYTHONPATH PYTHONHOME

supported := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
ifeq ($(origin PYTHON),undefined)
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c '$(supported)' >/dev/null 2>&1 && echo $$p && break; done)
endif
VENV := .venv/bin
PORT ?= 8000

.PHONY: help book test lab serve pdf kit chapter page sweeps bench picture lock python clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

python:
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed and was not found: install one, or name it as in make PYTHON=/path/to/python3."; exit 1; }

book: python ## set up, run every chapter and build the site in _build/html
	@$(PYTHON) scripts/environment.py book
	@$(VENV)/python scripts/build.py

test: book ## set up and run every test, the site's in a real browser
	@$(PYTHON) scripts/environment.py test
	@$(VENV)/python -m pytest --numprocesses=auto --maxprocesses=4 --dist=loadscope --no-loadscope-reorder

lab: book ## open the chapters as notebooks in JupyterLab
	@$(VENV)/python scripts/lab.py

serve: book ## serve the built site on this machine
	@echo "http://127.0.0.1:$(PORT)/"
	@$(VENV)/python -m http.server $(PORT) --bind 127.0.0.1 --directory _build/html

sweeps: python ## recompute the stored sweeps with book/data (about an hour and a half)
	@$(PYTHON) scripts/environment.py book
	@set -e; for script in book/data/make_*.py; do echo "$$script"; $(VENV)/python "$$script"; done

bench: python ## measure speed beside NumPy and PyTorch, for the page "Speed" (about ten minutes)
	@$(PYTHON) scripts/environment.py bench
	@.venv-bench/bin/python -m pytest -c benchmarks/pytest.ini --rootdir benchmarks --store benchmarks

page: python ## build one page: make page PAGE=book/ising/chain-of-spins
	@$(PYTHON) scripts/environment.py book
	@$(VENV)/python scripts/page.py $(PAGE)

pdf: book ## print the whole book as one PDF, _build/two-flows.pdf
	@$(PYTHON) scripts/environment.py test
	@$(VENV)/python scripts/pdf.py

kit: book ## a course's notebooks, handouts and package, _build/html/teach/kit.zip
	@$(PYTHON) scripts/environment.py test
	@$(VENV)/python scripts/kit.py

chapter: python ## start a chapter: make chapter NAME=lenses/what-two-coins-tell
	@$(PYTHON) scripts/environment.py book
	@$(VENV)/python scripts/chapter.py "$(NAME)"

picture: book ## draw the picture of the README, and the card of links, from the landing page
	@$(VENV)/python scripts/picture.py

lock: python ## write the locks anew from the ranges in pyproject.toml
	@$(PYTHON) scripts/environment.py book
	@scripts/lock.sh

clean: ## remove what was built, but not the environment
	@rm -rf _build
