package thresholdprocessor

import (
	"context"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// The reasons for which a recorded sample is not sent, as the attribute of recorded_dropped.
const (
	recordedRefused   = "refused"   // the next consumer's error
	recordedHistogram = "histogram" // OTLP counts in integers, PromQL's histograms in fractions
)

// sendRecorded puts what recording rules made into the pipeline. They are data like any other: what the next consumer
// refuses is gone, and the next evaluation brings new ones.
func (t *threshold) sendRecorded(ctx context.Context, recorded []evaluate.Recorded) {
	md, histograms := metricsOfRecorded(recorded)
	t.tell.recordedDropped(recordedHistogram, histograms)
	if md.DataPointCount() == 0 {
		return
	}
	ctx, done := unowned(ctx)
	defer done()
	if err := t.next.ConsumeMetrics(ctx, md); err != nil {
		t.tell.recordedDropped(recordedRefused, md.DataPointCount())
		t.logger.Warn("The next consumer refused what recording rules made; the next evaluation brings new ones.", zap.Error(err))
	}
}

// metricsOfRecorded makes gauges of recorded samples, under a resource without attributes and our scope, and counts the
// native histograms, which it leaves out.
func metricsOfRecorded(recorded []evaluate.Recorded) (md pmetric.Metrics, histograms int) {
	md = pmetric.NewMetrics()
	gauges := map[string]pmetric.NumberDataPointSlice{}
	var metrics pmetric.MetricSlice
	for i := range recorded {
		r := &recorded[i]
		if r.Histogram != nil {
			histograms++
			continue
		}
		name := r.Labels.Get(model.MetricNameLabel)
		points, ok := gauges[name]
		if !ok {
			if len(gauges) == 0 {
				scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
				scope.Scope().SetName(alert.Scope)
				metrics = scope.Metrics()
			}
			metric := metrics.AppendEmpty()
			metric.SetName(name)
			metric.SetDescription("Made by a recording rule.")
			points = metric.SetEmptyGauge().DataPoints()
			gauges[name] = points
		}
		point := points.AppendEmpty()
		point.SetTimestamp(pcommon.NewTimestampFromTime(r.Time))
		point.SetDoubleValue(r.Value)
		r.Labels.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				point.Attributes().PutStr(l.Name, l.Value)
			}
		})
	}
	return md, histograms
}
