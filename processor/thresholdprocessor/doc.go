// Package thresholdprocessor is the Collector's shell around the evaluator: rules in, breaches tagged, alert.state out.
package thresholdprocessor

//go:generate go tool mdatagen metadata.yaml
