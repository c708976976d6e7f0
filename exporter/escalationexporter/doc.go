// Package escalationexporter is the Collector's shell around escalation: alert.state in, episodes into the ledger,
// pages out. What is due and why is decided in internal/escalate.
package escalationexporter

//go:generate go tool mdatagen metadata.yaml
