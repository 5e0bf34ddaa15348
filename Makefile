# make prints what there is to make.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
BIN     := bin/cairn
S3      := bin/versitygw
SYSTEMS := $(foreach os,linux darwin windows,$(os)/amd64 $(os)/arm64)

# The end-to-end tests run the binary, which the test cache does not see. Many
# wait more than they work.
E2E = CAIRN_BIN='$(CURDIR)/$(BIN)' scripts/gotest.sh -count=1 -parallel 4 ./test/...

# The packages that keep in a store what they make.
ENGINE = ./internal/backup ./internal/cloud

.DEFAULT_GOAL := help
.PHONY: help build run run-s3 test test-long unit stores e2e fuzz lint cross deps bench bench-large fmt clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build bin/cairn
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-X main.version=$(VERSION)" -o $(BIN) ./cmd/cairn

run: build ## build, then run the daemon
	exec ./$(BIN) serve

run-s3: build $(S3) ## build, then run the daemon with a cloud on an S3 server of its own
	exec scripts/run-s3.sh

# The S3 server of the tests. go build leaves a file as it is that is up to date.
$(S3): tools/go.mod tools/go.sum
	CGO_ENABLED=0 go -C tools build -trimpath -buildvcs=false -o ../$@ github.com/versity/versitygw/cmd/versitygw
	touch $@

test: ## everything that must pass: deps, lint, cross, unit, stores, e2e
	@MAKE='$(MAKE)' scripts/steps.sh deps lint cross unit stores e2e

# The servers for gcs and azure keep what is stored in the memory of the tests.
test-long: deps build $(S3) ## the tests at full size
	CAIRN_LONG=1 scripts/gotest.sh -timeout 1h $$(go list ./... | grep -vE '^cairn/test(/|$$)')
	CAIRN_LONG=1 CAIRN_TEST_STORE=folder scripts/gotest.sh -timeout 1h $(ENGINE)
	CAIRN_LONG=1 CAIRN_TEST_STORE=s3 scripts/gotest.sh -timeout 1h $(ENGINE)
	CAIRN_TEST_STORE=gcs scripts/gotest.sh -timeout 1h -skip '^Test(Create|Restore)Memory$$' $(ENGINE)
	CAIRN_TEST_STORE=azure scripts/gotest.sh -timeout 1h -skip '^Test(Create|Restore)Memory$$' $(ENGINE)
	CAIRN_LONG=1 $(E2E) -timeout 3h

unit: $(S3) ## the tests of the packages, with the race detector
	CGO_ENABLED=1 scripts/gotest.sh -race -timeout 20m $$(go list ./... | grep -vE '^cairn/test(/|$$)')

stores: $(S3) ## the tests of the engine on a folder and on an S3 server, and large requests
	scripts/gotest.sh -timeout 20m -run '^TestLarge' ./internal/httpapi
	CAIRN_TEST_STORE=folder scripts/gotest.sh -timeout 20m $(ENGINE)
	CAIRN_TEST_STORE=s3 scripts/gotest.sh -timeout 20m $(ENGINE)

e2e: build $(S3) ## the end-to-end tests, on the binary
	$(E2E) -timeout 20m

fuzz: ## run each fuzz target for a minute, or FUZZTIME=
	@scripts/fuzz.sh

lint: ## gofmt, vet, staticcheck, govulncheck, tsc
	@files=$$(find . -name node_modules -prune -o -name '*.go' -exec gofmt -l {} +); \
	if [ -n "$$files" ]; then echo "not formatted (make fmt):"; echo "$$files"; exit 1; fi
	go mod tidy -diff
	go -C tools mod tidy -diff
	go vet ./...
	go tool staticcheck ./...
	npm --prefix sdk/typescript run --silent check
	scripts/vulncheck.sh

cross: ## build for every system, vet the files of the others
	@for system in $(SYSTEMS); do \
		echo "build $$system"; \
		CGO_ENABLED=0 GOOS=$${system%/*} GOARCH=$${system#*/} go build ./... || exit 1; \
	done
	@for os in darwin windows; do echo "vet $$os"; CGO_ENABLED=0 GOOS=$$os go vet ./... || exit 1; done

deps: ## check for what the tests need, install what may be
	@scripts/deps.sh

bench: $(S3) ## run the benchmarks, restic beside cairn where there is one
	go run ./test/bench

bench-large: ## back up and restore 5 GB of documents in little memory; takes 20 GB of the disk
	go run ./test/bench -large 5000

fmt: ## format the Go files
	find . -name node_modules -prune -o -name '*.go' -exec gofmt -w {} +

clean: ## remove what was built
	rm -rf bin sdk/typescript/dist
