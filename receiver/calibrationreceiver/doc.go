// Package calibrationreceiver is the Collector's shell around what people say of alerts: it serves the page and the API,
// and emits metrics and events about the alerts themselves.
package calibrationreceiver

//go:generate go tool mdatagen metadata.yaml
