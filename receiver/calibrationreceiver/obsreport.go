package calibrationreceiver

import (
	"context"
	"errors"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/webhook"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// outcome is what became of a collection, a batch of events, the events in it, or a webhook.
type outcome string

const (
	exported     outcome = "exported"
	refused      outcome = "refused"
	ledgerFailed outcome = "ledger_failed"
)

// obsreport is the one place that touches the receiver's own metrics.
type obsreport struct {
	builder *metadata.TelemetryBuilder
	// standard counts points and records as every receiver does.
	standard *receiverhelper.ObsReport
}

func newObsreport(set receiver.Settings) (*obsreport, error) {
	builder, err := metadata.NewTelemetryBuilder(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	standard, err := receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{
		ReceiverID: set.ID, Transport: "ledger", LongLivedCtx: true, ReceiverCreateSettings: set,
	})
	if err != nil {
		return nil, err
	}
	return &obsreport{builder: builder, standard: standard}, nil
}

func (o *obsreport) shutdown() { o.builder.Shutdown() }

func (o *obsreport) answered(route string, code int) {
	o.builder.ReceiverCalibrationRequests.Add(context.Background(), 1,
		metric.WithAttributes(attribute.String("route", route), attribute.Int("code", code)))
}

func (o *obsreport) fedBack(deed string) {
	o.builder.ReceiverCalibrationFeedback.Add(context.Background(), 1, metric.WithAttributes(attribute.String("kind", deed)))
}

// hooked counts what became of a webhook's feedback.
func (o *obsreport) hooked(source string, a webhook.Applied) {
	for how, n := range map[outcome]int{"done": a.Done, "unknown": a.Unknown, "repeated": boolean(a.Repeated), "ignored": boolean(a.Ignored)} {
		if n > 0 {
			o.webhook(source, how, n)
		}
	}
}

// unhooked counts a webhook that was not taken.
func (o *obsreport) unhooked(source string, err error) {
	how := outcome("unreadable")
	if errors.Is(err, webhook.ErrUnverified) {
		how = "unverified"
	}
	o.webhook(source, how, 1)
}

func (o *obsreport) webhook(source string, how outcome, n int) {
	o.builder.ReceiverCalibrationWebhooks.Add(context.Background(), int64(n),
		metric.WithAttributes(attribute.String("source", source), attribute.String("outcome", string(how))))
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

// took records how long a collection took to read and to conclude.
func (o *obsreport) took(d time.Duration) {
	o.builder.ReceiverCalibrationCollectionDuration.Record(context.Background(), d.Seconds())
}

func (o *obsreport) collected(how outcome) {
	o.builder.ReceiverCalibrationCollections.Add(context.Background(), 1, how.attribute())
}

// overflowing is how many series are told together.
func (o *obsreport) overflowing(n int) {
	o.builder.ReceiverCalibrationOverflow.Record(context.Background(), int64(n))
}

func (o *obsreport) batch(how outcome) {
	o.builder.ReceiverCalibrationEventBatches.Add(context.Background(), 1, how.attribute())
}

func (o *obsreport) events(n int, how outcome) {
	o.builder.ReceiverCalibrationEvents.Add(context.Background(), int64(n), how.attribute())
}

func (h outcome) attribute() metric.MeasurementOption {
	return metric.WithAttributes(attribute.String("outcome", string(h)))
}
