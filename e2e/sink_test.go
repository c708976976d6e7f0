package e2e

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// sink takes OTLP over HTTP.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	metrics []pmetric.Metrics
	logs    []plog.Logs
}

func newSink(t testing.TB) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/x-protobuf")
		switch r.URL.Path {
		case "/v1/metrics":
			req := pmetricotlp.NewExportRequest()
			if req.UnmarshalProto(body) == nil {
				s.metrics = append(s.metrics, req.Metrics())
			}
		case "/v1/logs":
			req := plogotlp.NewExportRequest()
			if req.UnmarshalProto(body) == nil {
				s.logs = append(s.logs, req.Logs())
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// each calls fn for every metric that has come, with its resource.
func (s *sink) each(fn func(pmetric.ResourceMetrics, pmetric.Metric)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, md := range s.metrics {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					fn(rm, m)
				}
			}
		}
	}
}

// events counts alert events by name.
func (s *sink) events() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, ld := range s.logs {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					counts[lr.EventName()]++
				}
			}
		}
	}
	return counts
}

// latest is the newest value of a number metric by one of its attributes, summed over the others.
func (s *sink) latest(name, attr string) map[string]float64 {
	type key struct{ attr, all string }
	newest := map[key]float64{}
	s.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
		if m.Name() != name {
			return
		}
		var points pmetric.NumberDataPointSlice
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			points = m.Gauge().DataPoints()
		case pmetric.MetricTypeSum:
			points = m.Sum().DataPoints()
		default:
			return
		}
		for _, p := range points.All() {
			v := p.DoubleValue()
			if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
				v = float64(p.IntValue())
			}
			a, _ := p.Attributes().Get(attr)
			newest[key{a.AsString(), fmt.Sprint(p.Attributes().AsRaw())}] = v
		}
	})
	sums := map[string]float64{}
	for k, v := range newest {
		sums[k.attr] += v
	}
	return sums
}

// histogramCount is the newest count of an exponential histogram, over all its attributes.
func (s *sink) histogramCount(name string) uint64 {
	newest := map[string]uint64{}
	s.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
		if m.Name() == name && m.Type() == pmetric.MetricTypeExponentialHistogram {
			for _, p := range m.ExponentialHistogram().DataPoints().All() {
				newest[fmt.Sprint(p.Attributes().AsRaw())] = p.Count()
			}
		}
	})
	var sum uint64
	for _, n := range newest {
		sum += n
	}
	return sum
}
