package calibrationreceiver

import (
	"context"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// telemetry is the one place that touches the receiver's self-metrics.
type telemetry struct{ builder *metadata.TelemetryBuilder }

func newTelemetry(set component.TelemetrySettings) (*telemetry, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	return &telemetry{builder: builder}, nil
}

func (t *telemetry) shutdown() { t.builder.Shutdown() }

func (t *telemetry) answered(route string, code int) {
	t.builder.ReceiverCalibrationRequests.Add(context.Background(), 1,
		metric.WithAttributes(attribute.String("route", route), attribute.Int("code", code)))
}

func (t *telemetry) done(deed string) {
	t.builder.ReceiverCalibrationDeeds.Add(context.Background(), 1, metric.WithAttributes(attribute.String("deed", deed)))
}

func (t *telemetry) exported(n int) {
	t.builder.ReceiverCalibrationEventsExported.Add(context.Background(), int64(n))
}

func (t *telemetry) ledgerFailed() {
	t.builder.ReceiverCalibrationLedgerFailures.Add(context.Background(), 1)
}
