package evaluate

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// fleet makes a batch of n series of one gauge with five attributes, as model servers send them.
func fleet(n, offset int, v float64, at time.Time) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", fmt.Sprint("inference-", offset))
	rm.Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("0c9d6a3e-0000-4000-8000-%012d", offset))
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("kv")
	g := m.SetEmptyGauge()
	g.DataPoints().EnsureCapacity(n)
	for i := range n {
		dp := g.DataPoints().AppendEmpty()
		dp.SetDoubleValue(v)
		dp.SetTimestamp(pcommon.NewTimestampFromTime(at))
		a := dp.Attributes()
		a.PutStr("model.name", fmt.Sprint("llama-", i%8))
		a.PutStr("model.version", fmt.Sprint("v", i%4))
		a.PutStr("tenant", fmt.Sprintf("tenant-%03d", i%50))
		a.PutStr("region", "eu-west-1")
		a.PutInt("shard", int64(i))
	}
	return md
}

// TestBytesPerTrackedSeries measures what a tracked series of one rule keeps on the heap.
func TestBytesPerTrackedSeries(t *testing.T) {
	r := ruleOf("R", above(alert.High, 10, 10, time.Minute))
	r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.High, HoldFor: time.Hour}
	opts := testOptions()
	opts.SeriesPerRule, opts.Series = 1e6, 1e6
	e := New(setOf(r), opts, t0)
	if err := e.Restore(nil, nil, true, time.Time{}, t0); err != nil {
		t.Fatal(err)
	}
	const resources, each = 100, 1000
	before := heap()
	for i := range resources {
		e.Judge(fleet(each, i, 1, t0), t0)
	}
	per := float64(heap()-before) / (resources * each)
	t.Logf("%.0f bytes per tracked series (%d series)", per, e.Statistics().Series)
	if per > 256 {
		t.Errorf("%.0f bytes per tracked series, at most 256 wanted", per)
	}
	runtime.KeepAlive(e)
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkJudge(b *testing.B) {
	for _, c := range []struct {
		name   string
		v      float64
		track  bool
		loaded bool
	}{{"quiet", 1, false, true}, {"quiet-unloaded", 1, false, false}, {"tracked", 1, true, true}, {"firing", 11, false, true}} {
		b.Run(c.name, func(b *testing.B) {
			var rules []*rule.Rule
			for i := range 3 {
				r := ruleOf(fmt.Sprint("R", i), above(alert.High, 10, 10, 0))
				if c.track {
					r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.High, HoldFor: time.Hour}
				}
				rules = append(rules, r)
			}
			e := New(setOf(rules...), testOptions(), t0)
			if c.loaded {
				_ = e.Restore(nil, nil, true, time.Time{}, t0)
			}
			now := t0
			var batches []pmetric.Metrics
			for i := range 16 {
				batches = append(batches, fleet(1000, 0, c.v, t0.Add(time.Duration(i)*time.Millisecond)))
			}
			b.ReportAllocs()
			b.ResetTimer()
			for i := range b.N {
				now = now.Add(10 * time.Microsecond)
				md := batches[i%16]
				e.Judge(md, now)
				e.Take()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/dp")
		})
	}
}
