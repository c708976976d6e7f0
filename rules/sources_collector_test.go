package rules_test

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/otlptranslator"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	collectorMetrics = "documentation.md of receiverhelper, exporterhelper, memorylimiterprocessor and service, v0.161.0; a live scrape"
	ownMetrics       = "metadata.yaml of the component, see TestOwnMetricsAreDeclared"
)

func init() {
	sources["collector"] = source{
		documented: map[string]string{
			"up": scraper,
			"otelcol_receiver_accepted_metric_points_total":                collectorMetrics,
			"otelcol_receiver_accepted_log_records_total":                  collectorMetrics,
			"otelcol_receiver_accepted_spans_total":                        collectorMetrics,
			"otelcol_receiver_refused_metric_points_total":                 collectorMetrics,
			"otelcol_receiver_refused_log_records_total":                   collectorMetrics,
			"otelcol_receiver_refused_spans_total":                         collectorMetrics,
			"otelcol_exporter_sent_metric_points_total":                    collectorMetrics,
			"otelcol_exporter_sent_log_records_total":                      collectorMetrics,
			"otelcol_exporter_sent_spans_total":                            collectorMetrics,
			"otelcol_exporter_send_failed_metric_points_total":             collectorMetrics,
			"otelcol_exporter_send_failed_log_records_total":               collectorMetrics,
			"otelcol_exporter_send_failed_spans_total":                     collectorMetrics,
			"otelcol_exporter_enqueue_failed_metric_points_total":          collectorMetrics,
			"otelcol_exporter_enqueue_failed_log_records_total":            collectorMetrics,
			"otelcol_exporter_enqueue_failed_spans_total":                  collectorMetrics,
			"otelcol_exporter_queue_size":                                  collectorMetrics,
			"otelcol_exporter_queue_capacity":                              collectorMetrics,
			"otelcol_processor_memory_limiter_refused_metric_points_total": collectorMetrics,
			"otelcol_processor_memory_limiter_refused_log_records_total":   collectorMetrics,
			"otelcol_processor_memory_limiter_refused_spans_total":         collectorMetrics,
			"otelcol_process_memory_rss":                                   collectorMetrics,
			"otelcol_process_memory_rss_bytes":                             collectorMetrics,
			"otelcol_processor_threshold_problems":                         ownMetrics,
			"otelcol_processor_threshold_evaluation_failures_total":        ownMetrics,
			"otelcol_processor_threshold_evaluations_missed_total":         ownMetrics,
			"otelcol_processor_threshold_outbox_dropped_total":             ownMetrics,
			"otelcol_exporter_escalation_deliveries_total":                 ownMetrics,
			"otelcol_exporter_escalation_ledger_failures_total":            ownMetrics,
			"otelcol_exporter_escalation_journal_refused_total":            ownMetrics,
		},
	}
}

// What the Collector's pack selects of this project's own components is what they declare, as it arrives through OTLP.
func TestOwnMetricsAreDeclared(t *testing.T) {
	declared := map[string]bool{}
	namer := otlptranslator.NewMetricNamer("", otlptranslator.UnderscoreEscapingWithSuffixes)
	for _, path := range []string{"../processor/thresholdprocessor/metadata.yaml", "../exporter/escalationexporter/metadata.yaml"} {
		content, err := os.ReadFile(path) //nolint:gosec // a file of this repository
		require.NoError(t, err)
		var component struct {
			Telemetry struct {
				Metrics map[string]struct {
					Sum *struct{ Monotonic bool }
				}
			}
		}
		require.NoError(t, yaml.Unmarshal(content, &component), path)
		require.NotEmpty(t, component.Telemetry.Metrics, path)
		for name, metric := range component.Telemetry.Metrics {
			kind := otlptranslator.MetricType(otlptranslator.MetricTypeGauge)
			if metric.Sum != nil && metric.Sum.Monotonic {
				kind = otlptranslator.MetricTypeMonotonicCounter
			}
			// Without a unit, as the exposition has it; those that the pack selects have units without a suffix.
			translated, err := namer.Build(otlptranslator.Metric{Name: "otelcol_" + name, Type: kind})
			require.NoError(t, err)
			declared[translated] = true
		}
	}
	checked := 0
	for _, p := range packs(t) {
		for _, r := range p.rules {
			for name := range selected(r) {
				if strings.HasPrefix(name, "otelcol_processor_threshold_") || strings.HasPrefix(name, "otelcol_exporter_escalation_") {
					checked++
					assert.True(t, declared[name], "%s: no component declares %s", r.Name, name)
				}
			}
		}
	}
	assert.Positive(t, checked)
}
