# otelcol-escalation: `make help` explains the targets.

GO        ?= go
OCB       := $(GO) run go.opentelemetry.io/collector/cmd/builder@v0.161.0
LINT      := $(GO) tool -modfile=tools/go.mod golangci-lint
COLLECTOR := bin/otelcol-escalation
ALERTCTL  := bin/alertctl
# The collector with failpoints in it, for the tests of faults alone.
FAILING   := bin/otelcol-escalation-failpoints
# Whatever the collector is built from; a change of any of it builds it anew.
SOURCES   := $(shell find cmd exporter extension internal processor receiver -type f -not -name '*_test.go' -not -path '*/testdata/*' 2>/dev/null) go.mod go.sum builder-config.yaml
# Packages without the end-to-end tests, which need the binary.
UNIT      = $(shell $(GO) list ./... | grep -v /e2e$$)
FUZZTIME  ?= 10s

.DEFAULT_GOAL := help

.PHONY: help
help: ## this text
	@echo 'Targets:'
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: $(COLLECTOR) $(ALERTCTL) ## bin/otelcol-escalation (with the Collector's builder) and bin/alertctl

$(COLLECTOR): $(SOURCES)
	@mkdir -p bin build
	CGO_ENABLED=0 $(OCB) --config builder-config.yaml
	@cp build/otelcol-escalation $@

$(FAILING): $(COLLECTOR)
	@# of the sources that the builder has just written, with its tags and one more
	cd build && CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o ../$@ \
		-tags "$$(sed -n 's/^ *build_tags: *//p' ../builder-config.yaml),failpoints" .

$(ALERTCTL): $(SOURCES)
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/alertctl

.PHONY: run
run: $(COLLECTOR) ## the demo: model server, collector, pager; MODEL_SERVER=host:port scrapes your own server instead
	CGO_ENABLED=0 $(GO) run -trimpath ./examples/demo/run $(COLLECTOR)

.PHONY: test
test: $(COLLECTOR) $(FAILING) $(ALERTCTL) ## the whole test suite, end to end included; what is skipped is said at the end
	@GO='$(GO)' ./.ci/test $(UNIT)
	@GO='$(GO)' ./.ci/test -tags failpoints ./internal/failpoint
	@GO='$(GO)' ./.ci/test -count=1 ./e2e

.PHONY: faults
faults: $(COLLECTOR) $(FAILING) ## the table of faults in docs/faults.md, at its full length: about half an hour
	@FAULTS=full GO='$(GO)' ./.ci/test -count=1 -timeout 3h -run '^TestFault' ./e2e

.PHONY: e2e
e2e: $(COLLECTOR) $(FAILING) $(ALERTCTL) ## the end-to-end tests alone, with their figures
	@GO='$(GO)' ./.ci/test -count=1 ./e2e

.PHONY: many
many: $(COLLECTOR) ## the page, the API and the metrics over a million episodes, on both databases: about ten minutes
	@EPISODES=1000000 GO='$(GO)' ./.ci/test -count=1 -timeout 1h -run '^TestManyEpisodes$$' ./e2e

.PHONY: race
race: ## the unit tests under the race detector
	HISTORIES=10000 $(GO) test -race $(UNIT)

.PHONY: test-promql
test-promql: ## Prometheus' own test suite for PromQL, on our window of samples
	$(GO) test -count=1 -run '^TestPromQL' ./internal/evaluate/window

.PHONY: fuzz
fuzz: ## every fuzz test for FUZZTIME (10s)
	@set -e; for file in $$(grep -rl --include='*_test.go' '^func Fuzz' $$(ls -d cmd exporter extension internal processor receiver)); do \
		for name in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\).*/\1/p' $$file); do \
			echo "fuzz $$name in $$(dirname $$file)"; \
			GO='$(GO)' ./.ci/fuzz $$name $(FUZZTIME) ./$$(dirname $$file); \
		done; \
	done

.PHONY: bench
bench: ## benchmarks, each peer beside us
	$(GO) test -run '^$$' -bench . -benchmem ./processor/... ./internal/evaluate ./internal/evaluate/window ./internal/replay ./internal/calibrate ./internal/ledger/... ./internal/notify ./exporter/...

.PHONY: calibration
calibration: ## suggestions on labelled production series, a line per series; LIMITS=quick asks for fewer labels, PLOTS=docs/calibration draws
	TABLE=1 PLOTS='$(abspath $(PLOTS))' $(GO) test -count=1 -run '^TestLabelledSeries$$' -v ./internal/calibrate

.PHONY: pictures
pictures: $(COLLECTOR) ## docs/pictures, of every page, from the collector with weeks of history
	PICTURES=$(CURDIR)/docs/pictures $(GO) test -count=1 -run '^TestPictures$$' -v ./e2e

.PHONY: generate
generate: ## what mdatagen and alertctl generate: documentation, the schema of rule files, dashboards
	$(GO) generate ./...

.PHONY: lint
lint: ## golangci-lint, pinned in tools/go.mod (the first run builds it: about two minutes)
	$(LINT) run ./...

.PHONY: validate
validate: $(COLLECTOR) $(ALERTCTL) ## the collector's own check of every example, alertctl's of every rule file, and the rule packs' unit tests
	@./.ci/validate $(COLLECTOR) $(ALERTCTL)

.PHONY: ci
ci: ## what continuous integration runs
	@./.ci/steps

.PHONY: clean
clean: ## what was built
	rm -rf bin build .run
