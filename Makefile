# Martlet's set-up in one place; `make help` lists it. Everything here is safe to run again.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# The steps of a goal depend on each other's side effects (packages, then build); the tools run in parallel themselves.
.NOTPARALLEL:

SWIFT      ?= swift
RELEASE     = -c release --static-swift-stdlib
# Further words for `martlet demo` and `swift test`, e.g. make demo DEMO="--events 10".
DEMO       ?=
TEST       ?=
# SwiftPM keeps what it once read from the manifest until the environment changes: else --version would go stale.
export MARTLET_COMMIT := $(shell git rev-parse HEAD 2>/dev/null)
# Where `make install` puts things. DESTDIR is for packagers; BOARD picks a memory drop-in, e.g. BOARD=pi-zero-2w.
PREFIX     ?= /usr/local
DESTDIR    ?=
BOARD      ?=
UNITS       = $(DESTDIR)$(PREFIX)/lib/systemd/system

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | column -t -s '|' 2>/dev/null \
	    || sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/  make \1: \2/p' Makefile

.PHONY: demo
demo: build model ## the whole line on real events: broker, model, daemon; prints what comes back
	.build/release/martlet demo $(DEMO)

.PHONY: test
test: packages model ## every test
	$(SWIFT) test $(TEST)

.PHONY: build
build: packages ## .build/release/martlet
	$(SWIFT) build $(RELEASE) --product martlet

.PHONY: packages
packages: ## what is missing from Debian, through apt-get
	@scripts/packages

.PHONY: model
model: packages ## the default model, verified, into the cache folder
	@scripts/fetch-model >/dev/null

.PHONY: aarch64
aarch64: ## the binary for ARM boards, cross-compiled: .build/sdk/aarch64-unknown-linux-gnu/release/martlet
	boards/sdk/swift.sh build $(RELEASE) --product martlet --swift-sdk martlet-aarch64

.PHONY: test-aarch64
test-aarch64: model aarch64 ## kernel and inference tests and the daemon under qemu, as the CPUs of four boards
	boards/sdk/test.sh

.PHONY: budgets
budgets: build model aarch64 ## compares instructions, sizes and allocations with Tests/Budgets
	scripts/check-budgets x86-64 aarch64

.PHONY: idle
idle: build model ## fails when a daemon without work uses more than 0.5% of a core; takes a minute
	MODEL=$$(scripts/fetch-model) MARTLET=.build/release/martlet bench/idle.sh

.PHONY: boot-test
boot-test: build model ## the service under a real systemd in namespaces; as root, takes four minutes
	systemd/boot-test.sh

.PHONY: format
format: ## formats the sources
	$(SWIFT) format format --in-place --recursive Sources Tests Package.swift

.PHONY: lint
lint: ## fails on anything `make format` would change
	$(SWIFT) format lint --strict --recursive Sources Tests Package.swift

.PHONY: install
install: ## binary and systemd unit; after `make build`, as root
	@test -x .build/release/martlet || { echo "install: error: no binary. Run make build first" >&2; exit 66; }
	install -D -m 755 -s .build/release/martlet $(DESTDIR)$(PREFIX)/bin/martlet
	install -d $(UNITS)
	sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' systemd/martlet.service > $(UNITS)/martlet.service
	install -D -m 644 systemd/martlet.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/martlet.conf
	@# Somebody's configuration is never replaced.
	test -e $(DESTDIR)/etc/martlet/martlet.toml \
	    || install -D -m 644 systemd/martlet.toml $(DESTDIR)/etc/martlet/martlet.toml
ifneq ($(BOARD),)
	install -D -m 644 systemd/martlet.service.d/$(BOARD).conf $(UNITS)/martlet.service.d/memory.conf
endif

.PHONY: clean
clean: ## removes .build; the model and the cross SDK stay in the cache folder
	rm -rf .build
