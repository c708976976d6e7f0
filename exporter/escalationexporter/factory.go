package escalationexporter

import (
	"context"
	"log/slog"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exporterhelper"

	"github.com/otelcol-escalation/otelcol-escalation/exporter/escalationexporter/internal/metadata"
)

// NewFactory returns the factory of the exporter `escalation`.
func NewFactory() exporter.Factory {
	return exporter.NewFactory(
		metadata.Type,
		createDefaultConfig,
		exporter.WithMetrics(createMetrics, metadata.MetricsStability),
	)
}

func createMetrics(ctx context.Context, set exporter.Settings, cfg component.Config) (exporter.Metrics, error) {
	config := cfg.(*Config)
	// The integrations log what they send to, headers and all, on levels below error; nothing of that is wanted.
	policy, actions, receivers, err := config.build(slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	x, err := newEscalation(set.ID, set.TelemetrySettings, config, policy, actions, receivers)
	if err != nil {
		return nil, err
	}
	return exporterhelper.NewMetrics(ctx, set, cfg, x.consume,
		exporterhelper.WithStart(x.start),
		exporterhelper.WithShutdown(x.shutdown),
		exporterhelper.WithCapabilities(consumer.Capabilities{MutatesData: false}),
		// No queue, no retry and no timeout: what is accepted is durable or in the journal when the call returns, and
		// the ledger has a timeout of its own.
		exporterhelper.WithTimeout(exporterhelper.TimeoutConfig{Timeout: 0}),
	)
}
