// Package alertledgerextension opens the alert ledger for the exporter and the receiver that share it, and looks after
// it: retention, health, telemetry. What the ledger does lives in internal/ledger.
package alertledgerextension

//go:generate go tool mdatagen metadata.yaml
