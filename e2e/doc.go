// Package e2e tests the collector as people run it: the binary that the Collector's builder made, started as a process,
// scraping and receiving real metrics, paging a real HTTP server, acknowledged through its page.
//
// The binary is ../bin/otelcol-escalation, or what OTELCOL_BIN names; `make test` builds it first.
package e2e
