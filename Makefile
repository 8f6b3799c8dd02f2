# make help lists the targets. Everything needs Go only; the demo and some tests need /dev/fuse too.

VERSION    ?= $(shell git describe --always --dirty 2>/dev/null || echo devel)
LDFLAGS    := -s -w -X dfs/cmd/internal/version.version=$(VERSION)
STATICCHECK := go run honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: help build packages demo demo-down test race fuzz torture check format vet staticcheck bench generate

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

build: ## static binaries into ./bin
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/dfsnode ./cmd/dfsmount ./cmd/dfs

packages: ## .deb and .rpm for amd64 and arm64 into ./dist
	.packaging/build

demo: build ## three nodes on this machine, mounted at ./mnt; returns while they stay up
	@.ci/demo up

demo-down: ## stop the demo and remove every trace of it
	@.ci/demo down

test: ## all tests
	go test -count=1 -timeout 25m ./...

race: ## all tests but those of whole processes, under the race detector
	go test -race -timeout 20m $$(go list ./... | grep -v -e /test/e2e -e /test/posix)

FUZZTIME ?= 60s
fuzz: ## every fuzz target for FUZZTIME each; their seeds are part of the tests
	@grep -rho --include=*_test.go -H 'func Fuzz[A-Za-z_]*' cmd fs cluster blob raftmeta | sed 's/func //' | sort | \
	while IFS=: read -r file target; do \
		echo "$$target in $$(dirname $$file)"; \
		go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) ./$$(dirname $$file) || exit 1; \
	done

TORTURE ?= 200000
torture: ## two mounts, random operations and faults, for TORTURE operations; about half an hour
	go test -count=1 -run TestTorture_TwoMounts -v -timeout 3h ./test/e2e -torture.ops $(TORTURE)

check: format vet staticcheck test ## what CI runs

format:
	@bad=$$(gofmt -l cmd fs cluster blob raftmeta test); if [ -n "$$bad" ]; then echo "not formatted by gofmt:" $$bad; exit 1; fi

vet:
	go vet ./...

staticcheck:
	$(STATICCHECK) ./...

bench: ## micro-benchmarks; test/bench, which measures whole mounts, is run by hand
	go test -run '^$$' -bench . -benchtime 2s $$(go list ./... | grep -v /test/bench)

generate: ## Go code from the .proto files; needs protoc, protoc-gen-go and protoc-gen-go-grpc
	protoc --go_out=. --go_opt=module=dfs --go-grpc_out=. --go-grpc_opt=module=dfs \
		raftmeta/metapb/meta.proto blob/blobpb/blob.proto $(wildcard cluster/clusterpb/*.proto)
