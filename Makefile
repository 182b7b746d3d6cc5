# Tillside. `make help` lists what can be made here.
SHELL := /bin/bash
.DEFAULT_GOAL := help

BIN     := bin
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOBUILD := CGO_ENABLED=0 go build -ldflags '$(LDFLAGS)'

# Tools that need no folder of their own, pinned.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

TARGETS := linux/amd64 linux/386 linux/arm linux/arm64 windows/amd64 windows/386 windows/arm64

.PHONY: help
help: ## this list
	@awk -F':.*## ' '/^[a-z][a-zA-Z0-9_-]*:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## the programs, into bin/
	$(GOBUILD) -o $(BIN)/ ./agent/cmd/tillside ./sync/cmd/tillside-central ./drivers/cmd/tillbench

.PHONY: demo
demo: build ## the main job: a centre, three tills with emulated devices, 2,025 real receipts, cut links and kills
	CGO_ENABLED=0 go build -o $(BIN)/tilldemo ./agent/e2e/tilldemo
	$(BIN)/tilldemo run --bin $(BIN)

.PHONY: offline
offline: ## how often members' wishes to use points are granted at stores without a link, and how fast
	CGO_ENABLED=0 go build -o $(BIN)/tilldemo ./agent/e2e/tilldemo
	$(BIN)/tilldemo offline

.PHONY: up
up: build ## a centre and three tills with emulated devices, left running; prints the addresses
	CGO_ENABLED=0 go build -o $(BIN)/tilldemo ./agent/e2e/tilldemo
	$(BIN)/tilldemo up --bin $(BIN)

.PHONY: test
test: ## every check and every test; installs what they need when root
	@bash .ci/deps race api browser machines faults packages systemd
	@$(MAKE) --no-print-directory check
	@bash .ci/skipped

NORACE := -e /agent/e2e/faults$$ -e /drivers/follow$$

.PHONY: check
check: format vet cross ## what CI runs: format, vet, static analysis, every platform, all tests with the race detector
	CGO_ENABLED=1 go test -race -timeout 30m $$(go list ./... | grep -v $(NORACE))
	go test -timeout 30m $$(go list ./... | grep $(NORACE)) # a disk behind the kernel, which the race detector cannot see through; bytes against the clock
	go test -run '^TestHostile' ./agent/loyalty # once more without the race detector, which doubles the memory
	bash .ci/machines

.PHONY: test-short
test-short: ## the tests that take seconds
	go test -short ./...

.PHONY: e2e
e2e: build ## whole-till stories and browser tests only
	go test -count=1 ./agent/e2e/... ./agent/pages/...

.PHONY: simulate
simulate: ## SEEDS (200) stories of STEPS (150) events: the whole system in one process, from one number each
	@set -o pipefail; go test -count=1 -timeout 0 ./agent/e2e/simulation -run TestSeeds -v -seeds $(or $(SEEDS),200) -steps $(or $(STEPS),150) -first $(or $(FIRST),1) | grep -v '^ *=== \|^ *--- PASS'

.PHONY: gallery
gallery: build ## every slip, display and page in every state, as pictures on one page, into out/gallery (pages need Chromium)
	@mkdir -p out/gallery/pages
	go test -count=1 ./agent/pages -run 'Screens|Real|Console' -args -out $(CURDIR)/out/gallery/pages
	$(BIN)/tillbench gallery --out out/gallery

.PHONY: pictures
pictures: ## the pictures of the docs anew: pages of a real sale (needs Chromium), slips, displays
	go test -count=1 ./agent/pages -run Pictures -args -out $(CURDIR)/agent/docs/img
	@rm -f agent/docs/img/index.html
	go test -count=1 ./agent/gallery -run Pictures -args -out $(CURDIR)/agent/docs/img

.PHONY: keyboard
keyboard: ## a keyboard scanner as the kernel presents one, in a virtual machine (qemu, 70 MB to fetch, 2 minutes)
	bash .ci/keyboard

.PHONY: format
format: ## no file that gofmt would change
	@out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "not formatted (gofmt -w):"; echo "$$out"; exit 1; }

.PHONY: vet
vet: ## go vet and static analysis
	go vet ./...
	go run $(STATICCHECK) ./...

.PHONY: cross
cross: ## every platform that is promised, without cgo
	@for t in $(TARGETS); do os=$${t%/*}; arch=$${t#*/}; \
	  echo "build $$t"; \
	  CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch GOARM=6 go build -ldflags '-s -w' -o $(BIN)/cross/$$os-$$arch/ ./agent/cmd/tillside ./sync/cmd/tillside-central ./drivers/cmd/tillbench || exit 1; done

# A release: the newest tag, else 0.1 and the number of commits. Its date is the commit's.
DIST_VERSION ?= $(shell git describe --tags --exact-match --match 'v[0-9]*.[0-9]*.[0-9]*' 2>/dev/null | sed 's/^v//' | grep . || echo 0.1.$$(git rev-list --count HEAD))
DIST_EPOCH   ?= $(shell git log -1 --format=%ct)

.PHONY: dist
dist: ## the packages of a release, into dist/: deb, rpm, MSI, installer; signed with SIGN_CERT, SIGN_KEY, RELEASE_KEY
	@bash .ci/deps packages
	CGO_ENABLED=0 go run ./installer/cmd/tilldist -version $(DIST_VERSION) -epoch $(DIST_EPOCH) -out dist -sign-cert "$(SIGN_CERT)" -sign-key "$(SIGN_KEY)" -sign-timestamp "$(SIGN_TIMESTAMP)" -release-key "$(RELEASE_KEY)"

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s) each
	@bash .ci/fuzz $(or $(FUZZTIME),10s)

.PHONY: faults
faults: ## power cuts, dying disks, kills, bad lines: for FAULTS (15m), then the table of what was tried
	@mkdir -p out
	@CGO_ENABLED=0 go test -count=1 -timeout 0 ./agent/e2e/faults -args -long $(or $(FAULTS),15m) -table $(CURDIR)/out/faults.txt > out/faults.log 2>&1; code=$$?; \
	  cat out/faults.txt; [ $$code = 0 ] || { grep -E '^ *(---|.*_test.go)' out/faults.log | head -50; echo "the whole story is in out/faults.log"; }; exit $$code

.PHONY: bench
bench: build ## the figures of the README as ratios against what stands beside them in the same run
	@bash .ci/bench

.PHONY: clean
clean: ## what was built here
	rm -rf $(BIN) dist out
