package calibrationreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// NewFactory returns the receiver's factory. A receiver that stands in a metrics and in a logs pipeline is one: both
// pipelines share its server.
func NewFactory() receiver.Factory {
	all := &instances{of: map[*Config]*instance{}}
	return receiver.NewFactory(
		metadata.Type,
		createDefaultConfig,
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			i, err := all.get(set, cfg.(*Config))
			if err != nil {
				return nil, err
			}
			i.nextMetrics = next
			return i, nil
		}, metadata.MetricsStability),
		receiver.WithLogs(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
			i, err := all.get(set, cfg.(*Config))
			if err != nil {
				return nil, err
			}
			i.nextLogs = next
			return i, nil
		}, metadata.LogsStability),
	)
}
