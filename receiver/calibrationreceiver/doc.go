// Package calibrationreceiver serves the page and the HTTP API on which people answer alerts, and turns what the ledger
// holds into calibration metrics and alert events. What it serves lives in internal/web, what it computes in
// internal/calibrate.
package calibrationreceiver

//go:generate go tool mdatagen metadata.yaml
