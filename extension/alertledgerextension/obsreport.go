package alertledgerextension

import (
	"context"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/otelcol-escalation/otelcol-escalation/extension/alertledgerextension/internal/metadata"
)

// obsreport is the one place that touches the extension's own metrics.
type obsreport struct {
	builder          *metadata.TelemetryBuilder
	success, failure metric.MeasurementOption
}

func newObsreport(set component.TelemetrySettings) (*obsreport, error) {
	builder, err := metadata.NewTelemetryBuilder(set)
	if err != nil {
		return nil, err
	}
	outcome := func(value string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("outcome", value)))
	}
	return &obsreport{builder: builder, success: outcome("success"), failure: outcome("failure")}, nil
}

// observe registers what is read when metrics are collected.
func (o *obsreport) observe(open func() int, size func() (int64, error)) error {
	if err := o.builder.RegisterAlertLedgerOpenEpisodesCallback(func(_ context.Context, obs metric.Int64Observer) error {
		obs.Observe(int64(open()))
		return nil
	}); err != nil {
		return err
	}
	return o.builder.RegisterAlertLedgerSizeCallback(func(_ context.Context, obs metric.Int64Observer) error {
		bytes, err := size()
		if err == nil {
			obs.Observe(bytes)
		}
		return err
	})
}

// commit times one commit.
func (o *obsreport) commit(updates int) func(error) {
	start := time.Now()
	return func(err error) {
		ctx := context.Background()
		outcome := o.success
		if err != nil {
			outcome = o.failure
		} else {
			o.builder.AlertLedgerCommitDuration.Record(ctx, time.Since(start).Seconds())
			o.builder.AlertLedgerCommitUpdates.Record(ctx, int64(updates))
		}
		o.builder.AlertLedgerCommits.Add(ctx, 1, outcome)
		o.builder.AlertLedgerUpdates.Add(ctx, int64(updates), outcome)
	}
}

func (o *obsreport) removed(episodes int) {
	o.builder.AlertLedgerRemovedEpisodes.Add(context.Background(), int64(episodes))
}

func (o *obsreport) shutdown() { o.builder.Shutdown() }
