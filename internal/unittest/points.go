package unittest

import (
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// A `metric` rule sees OTLP points, so a series whose name is the metric's is told to it as points of a gauge. The labels
// job and instance become the resource's service attributes again, from which they come in a pipeline.

// pointSource is one series as the stream of points that a `metric` rule sees.
type pointSource struct {
	name   string
	series *inputSeries
}

// pointSources are the series that `metric` rules see, each read anew from its beginning.
func pointSources(series []*inputSeries, metrics map[string]bool) []*pointSource {
	var all []*pointSource
	for _, s := range series {
		if name := s.labels.Get(model.MetricNameLabel); metrics[name] {
			again := *s
			all = append(all, &pointSource{name: name, series: &again})
		}
	}
	return all
}

// moments are the times up to and including a time at which some source has a value that was not fed yet, in order.
func moments(sources []*pointSource, until int64) []int64 {
	var all []int64
	for _, p := range sources {
		s := p.series
		for i := s.next; i < len(s.values) && s.time(i) <= until; i++ {
			if !s.values[i].Omitted {
				all = append(all, s.time(i))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// points are what all sources have up to and including a time, in one batch. at is the time that the points carry.
func points(sources []*pointSource, until int64, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for _, p := range sources {
		for _, s := range p.series.until(until) {
			if s.h != nil {
				continue // no number: no `metric` rule judges histograms
			}
			rm := md.ResourceMetrics().AppendEmpty()
			metric := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
			metric.SetName(p.name)
			point := metric.SetEmptyGauge().DataPoints().AppendEmpty()
			point.SetTimestamp(pcommon.NewTimestampFromTime(at))
			if value.IsStaleNaN(s.v) {
				point.SetFlags(point.Flags().WithNoRecordedValue(true))
			} else {
				point.SetDoubleValue(s.v)
			}
			attributes(p.series.labels, rm.Resource().Attributes(), point.Attributes())
		}
	}
	return md
}

// attributes are the labels as OTLP has them.
func attributes(ls labels.Labels, resource, point pcommon.Map) {
	ls.Range(func(l labels.Label) {
		switch l.Name {
		case model.MetricNameLabel:
		case model.JobLabel:
			resource.PutStr("service.name", l.Value)
		case model.InstanceLabel:
			resource.PutStr("service.instance.id", l.Value)
		default:
			point.PutStr(l.Name, l.Value)
		}
	})
}
