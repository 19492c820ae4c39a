# make run     the server on http://127.0.0.1:8080, with everything embedded that npm can install
# make test    all tests: Rust, real clients in Node and Chromium, the fuzz targets and the package
# make bench   what a message and a session cost, beside what the libraries cost by themselves; writes the section
#                    of BENCHMARKS.md that shows it
# make bench-peers   the same beside other SockJS servers, those that can be built here, in about sixteen minutes; writes the
#                    section of BENCHMARKS.md that shows it, and its pictures in benches/results
# make faults  slow, silent and hostile clients, 500 connections of each kind, against the release build, round after round
#                    (FAULT_ROUNDS; other numbers: SOCKEYE_ABUSE_EACH)
# make soak    the same for SOAK_MINUTES (10): what is kept, and which files stay open, is checked after each round
# make clean   removes all that was built or installed

# Where rustup puts cargo, for shells that have not read its file yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

CARGO ?= cargo
NPM_CI = npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
# npm writes this file at the end of an installation, so it is as old as that, and `npm ci` runs only when the lockfile changed.
INSTALLED = node_modules/.package-lock.json

.DELETE_ON_ERROR:
.PHONY: run build bench bench-peers test test-rust test-clients test-examples test-fuzz test-package faults soak client chromium nginx coturn jdk clean

run: client
	$(CARGO) run --release

# What tests/browser starts as well: one build, with the features of the tests, so that nothing is compiled twice.
build: client
	$(CARGO) build --workspace --all-features --bins --examples

test:
	@tests/count.sh $(MAKE) test-rust test-clients test-examples test-fuzz test-package

test-rust: build coturn jdk
	SOCKEYE_TEST_JDK=required $(CARGO) test --workspace --all-features
	$(CARGO) test --workspace --all-features --bench micro
	$(CARGO) test --workspace --all-features --bench end_to_end -- --smoke --server $(CURDIR)/target/debug/sockeye

# The gateway is built by itself: `cargo bench` builds it with the features that only tests need, some of which cost time.
bench: client
	$(CARGO) build --release
	cp target/release/sockeye target/sockeye-to-bench
	$(CARGO) bench --features micro --bench micro
	$(CARGO) bench -p sockeye-bench --bench end_to_end -- --server $(CURDIR)/target/sockeye-to-bench \
		--page $(CURDIR)/BENCHMARKS.md

bench-peers: client
	$(CARGO) build --release
	cp target/release/sockeye target/sockeye-to-bench
	$(CARGO) bench -p sockeye-bench --bench peers -- --server $(CURDIR)/target/sockeye-to-bench \
		--page $(CURDIR)/BENCHMARKS.md --pictures $(CURDIR)/benches/results

test-clients: build tests/browser/$(INSTALLED) chromium nginx
	cd tests/browser && node --test

# A program by itself, with dependencies that the workspace does without.
test-examples: build
	$(CARGO) test --locked --manifest-path examples/axum-server/Cargo.toml --target-dir target

# The targets only have to compile here: running them needs a nightly compiler and `cargo fuzz`.
test-fuzz: build
	$(CARGO) check --locked --manifest-path fuzz/Cargo.toml --target-dir target

FAULT_ROUNDS ?= 5
SOAK_MINUTES ?= 10
ABUSE = $(CARGO) test --release -p sockeye-server --test abuse -- --nocapture

faults: client
	SOCKEYE_ABUSE_ROUNDS=$(FAULT_ROUNDS) $(ABUSE)

soak: client
	SOCKEYE_ABUSE_MINUTES=$(SOAK_MINUTES) $(ABUSE)

# What users of the published crates get must build by itself, without npm's files and without git; the program carries its pages.
test-package: build
	CARGO_TARGET_DIR=$(CURDIR)/target tests/package.sh

# sockjs-client, to be embedded. Without npm the pages load it from a CDN.
ifneq ($(shell command -v npm),)
client: static/$(INSTALLED)
else
client:
	@echo 'npm is not installed: the pages will load sockjs-client from a CDN' >&2
endif

%/$(INSTALLED): %/package-lock.json %/package.json
	cd $* && $(NPM_CI)
	@touch $@

chromium:
	@if [ -x "$${CHROMIUM:-/usr/bin/chromium}" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; \
	else \
		echo 'The browser tests need Chromium: install /usr/bin/chromium, or set CHROMIUM to the path of another' >&2; exit 1; \
	fi

# RUNLEVEL keeps Debian from starting the service: the tests start servers of their own. So it does below.
nginx:
	@if [ -x "$$NGINX" ] || PATH="$$PATH:/usr/sbin:/usr/local/sbin" command -v nginx >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nginx-light; \
	else \
		echo 'The tests of the page /compare need nginx: install it (Debian: nginx-light), or set NGINX to its path' >&2; exit 1; \
	fi

coturn:
	@if PATH="$$PATH:/usr/sbin" command -v turnserver >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends coturn; \
	else \
		echo 'The test of TURN credentials needs coturn: install turnserver and turnutils_uclient' >&2; exit 1; \
	fi

# Real Java programs are clients of the TCP endpoint. Plain `cargo test` does without them.
jdk:
	@if command -v javac >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends default-jdk-headless; \
	else \
		echo 'The tests with Java clients need a JDK: install one, so that javac is in the PATH' >&2; exit 1; \
	fi

clean:
	$(CARGO) clean
	rm -rf static/node_modules tests/browser/node_modules crates/bench/benches/peers/*/node_modules crates/bench/benches/peers/*/target
