package calibrationreceiver

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/receiver"

	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// NewFactory returns the factory of the receiver `calibration`. In a metrics and a logs pipeline one configuration is
// one receiver: there is one page.
func NewFactory() receiver.Factory {
	shared := &instances{byConfig: map[*Config]*calibration{}}
	return receiver.NewFactory(
		metadata.Type,
		createDefaultConfig,
		receiver.WithMetrics(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Metrics) (receiver.Metrics, error) {
			r, err := shared.of(set, cfg.(*Config))
			if err != nil {
				return nil, err
			}
			r.metrics = next
			return r, nil
		}, metadata.MetricsStability),
		receiver.WithLogs(func(_ context.Context, set receiver.Settings, cfg component.Config, next consumer.Logs) (receiver.Logs, error) {
			r, err := shared.of(set, cfg.(*Config))
			if err != nil {
				return nil, err
			}
			r.logs = next
			return r, nil
		}, metadata.LogsStability),
	)
}

// instances are the receivers that one factory has made and that have not been shut down.
type instances struct {
	mu       sync.Mutex
	byConfig map[*Config]*calibration
}

func (i *instances) of(set receiver.Settings, cfg *Config) (*calibration, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if r, ok := i.byConfig[cfg]; ok {
		return r, nil
	}
	r, err := newCalibration(set, cfg, func() {
		i.mu.Lock()
		defer i.mu.Unlock()
		delete(i.byConfig, cfg)
	})
	if err != nil {
		return nil, err
	}
	i.byConfig[cfg] = r
	return r, nil
}
