package translate

import (
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/config"
)

// Names makes Prometheus' names of OTLP's.
type Names struct {
	metrics otlptranslator.MetricNamer
	labels  otlptranslator.LabelNamer
}

// NewNames expects a strategy that Options.Validate accepts.
func NewNames(strategy string) Names {
	option := Options{Strategy: strategy}.strategy()
	return Names{
		metrics: otlptranslator.NewMetricNamer("", option),
		labels: otlptranslator.LabelNamer{
			UTF8Allowed:                 !option.ShouldEscape(),
			UnderscoreLabelSanitization: config.DefaultOTLPConfig.LabelNameUnderscoreSanitization, //nolint:staticcheck // deprecated, and what Prometheus does by default
			PreserveMultipleUnderscores: config.DefaultOTLPConfig.LabelNamePreserveMultipleUnderscores,
		},
	}
}

// Metric names a metric. A classic histogram's parts add their suffixes to it.
func (n *Names) Metric(name, unit string, kind otlptranslator.MetricType) (string, error) {
	return n.metrics.Build(otlptranslator.Metric{Name: name, Unit: unit, Type: kind})
}

// Label names an attribute.
func (n *Names) Label(attribute string) (string, error) { return n.labels.Build(attribute) }
