package bench

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/attributesprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/cumulativetodeltaprocessor"
	"github.com/open-telemetry/opentelemetry-collector-contrib/processor/filterprocessor"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor"
)

// step is what a batch goes through.
type step func(pmetric.Metrics)

// started is a processor of a factory with a configuration as a user writes it.
func started(b testing.TB, f processor.Factory, config map[string]any) step {
	b.Helper()
	cfg := f.CreateDefaultConfig()
	if err := confmap.NewFromStringMap(config).Unmarshal(cfg); err != nil {
		b.Fatal(err)
	}
	if err := confmap.Validate(cfg); err != nil {
		b.Fatal(err)
	}
	p, err := f.CreateMetrics(b.Context(), processortest.NewNopSettings(f.Type()), cfg, consumertest.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	if err := p.Start(context.Background(), lived{}); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := p.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return func(md pmetric.Metrics) {
		if err := p.ConsumeMetrics(b.Context(), md); err != nil {
			b.Fatal(err)
		}
	}
}

// rules are n rules over the metrics of the batch in turn, with more in each.
func rules(n int, above float64, more map[string]any) []any {
	var all []any
	for i := range n {
		r := map[string]any{
			"alert": fmt.Sprint("Rule", i), "metric": name(i % kinds), "owner": "serving",
			"tiers": map[string]any{"critical": map[string]any{"above": above}},
		}
		for key, value := range more {
			r[key] = value
		}
		all = append(all, r)
	}
	return all
}

// threshold is our processor with these rules. never is a threshold that no value of the batch is above.
func threshold(b testing.TB, rules []any) step {
	return started(b, thresholdprocessor.NewFactory(), map[string]any{
		"groups":  []any{map[string]any{"name": "bench", "rules": rules}},
		"storage": livedID.String(),
	})
}

const never = 1e12

// filter is contrib's filter processor with n conditions of which none is met: it looks at names and attributes as
// somebody would who drops a model's points.
func filter(b testing.TB, n int) step {
	var conditions []any
	for i := range n {
		conditions = append(conditions, fmt.Sprintf(`metric.name == %q and datapoint.attributes["model.name"] == "no-such-model"`, name(i%kinds)))
	}
	return started(b, filterprocessor.NewFactory(), map[string]any{"error_mode": "ignore", "metric_conditions": conditions})
}

func cumulativeToDelta(b testing.TB) step {
	return started(b, cumulativetodeltaprocessor.NewFactory(), map[string]any{})
}

func insertAttribute(b testing.TB) step {
	return started(b, attributesprocessor.NewFactory(), map[string]any{
		"actions": []any{map[string]any{"key": "alert.severity", "value": "critical", "action": "insert"}},
	})
}

// codec is what every collector pays for a batch: reading it from OTLP and writing it again.
func codec(b testing.TB) step {
	write, read := pmetric.ProtoMarshaler{}, pmetric.ProtoUnmarshaler{}
	return func(md pmetric.Metrics) {
		raw, err := write.MarshalMetrics(md)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := read.UnmarshalMetrics(raw); err != nil {
			b.Fatal(err)
		}
	}
}

// The rows of the targets for the path of metrics: what is measured, beside what, and the most that the ratio may be.
var comparisons = []struct {
	name     string
	ours     func(b testing.TB) step
	peer     func(b testing.TB) step
	peerName string
	target   float64
}{
	{
		"quiet/rules=50", func(b testing.TB) step { return threshold(b, rules(50, never, nil)) },
		func(b testing.TB) step { return filter(b, 50) }, "filter", 0.03,
	},
	{
		"quiet/rules=1", func(b testing.TB) step { return threshold(b, rules(1, never, nil)) },
		func(b testing.TB) step { return filter(b, 1) }, "filter", 0.3,
	},
	{
		"tracked/rules=50", func(b testing.TB) step { return threshold(b, rules(50, never, noData)) },
		func(b testing.TB) step { return filter(b, 50) }, "filter", 0.1,
	},
	{
		"tracked/rules=50", func(b testing.TB) step { return threshold(b, rules(50, never, noData)) },
		cumulativeToDelta, "cumulativetodelta", 0.5,
	},
	{
		// One point in ten breaches: one in five of the gauges, which are half of the points.
		"breach=10pct", func(b testing.TB) step { return threshold(b, rules(gauges, 0.8, nil)) },
		insertAttribute, "attributes", 0.5,
	},
	{
		"quiet/rules=50", func(b testing.TB) step { return threshold(b, rules(50, never, nil)) },
		codec, "codec", 0.05,
	},
	{
		"quiet/rules=10+10000", func(b testing.TB) step { return threshold(b, append(rules(10, never, nil), elsewhere(10_000)...)) },
		func(b testing.TB) step { return threshold(b, rules(10, never, nil)) }, "10-rules", 1.2,
	},
}

var noData = map[string]any{"no_data": map[string]any{"after": "5m", "tier": "high"}}

// elsewhere are rules about metrics that the batch does not have.
func elsewhere(n int) []any {
	all := rules(n, never, nil)
	for i, r := range all {
		r.(map[string]any)["alert"] = fmt.Sprint("Elsewhere", i)
		r.(map[string]any)["metric"] = fmt.Sprint("somebody.elses.metric.", i)
	}
	return all
}

func BenchmarkThreshold(b *testing.B) {
	for _, c := range comparisons {
		for _, points := range []int{1_000, 10_000} {
			b.Run(fmt.Sprintf("%s/vs=%s/points=%d", c.name, c.peerName, points), func(b *testing.B) {
				compare(b, fleet(points), c.ours(b), c.peer(b), c.peerName, c.target)
			})
		}
	}
}

// turn is how many points one side gets before it is the other's turn: enough for the garbage that it makes to count.
// The batches are copied beforehand, outside the clock. An iteration of a benchmark is a turn of each side; fewer than
// leastTurns say nothing.
const (
	turn       = 100_000
	leastTurns = 7
)

// compare runs ours and the peer in turns over batches that each sees for the first time, and reports the medians: on a
// shared machine single turns are disturbed, half of them hardly ever.
func compare(b *testing.B, batch pmetric.Metrics, ours, peer step, peerName string, target float64) {
	n := turn / batch.DataPointCount()
	var mine, theirs, allocs []float64
	warm(batch, ours, peer)
	for range max(b.N, leastTurns) {
		first, second := copies(batch, n), copies(batch, n)
		runtime.GC()
		before := mallocs()
		mine = append(mine, timed(ours, first)/turn)
		allocs = append(allocs, float64(mallocs()-before)/turn)
		runtime.GC()
		theirs = append(theirs, timed(peer, second)/turn)
	}
	b.ReportMetric(0, "ns/op") // of both together, and of the copying
	b.ReportMetric(median(mine), "ns/dp")
	b.ReportMetric(median(theirs), peerName+"-ns/dp")
	b.ReportMetric(median(mine)/median(theirs), "ratio")
	b.ReportMetric(target, "target")
	b.ReportMetric(median(allocs), "allocs/dp")
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}

// warm lets both sides see the series once, so that what only the first batch costs is not counted.
func warm(batch pmetric.Metrics, steps ...step) {
	for _, s := range steps {
		for _, md := range copies(batch, 2) {
			s(md)
		}
	}
}

var clock = time.Now()

// copies are n batches of new data: each a nanosecond later than the one before.
func copies(batch pmetric.Metrics, n int) []pmetric.Metrics {
	all := make([]pmetric.Metrics, n)
	for i := range all {
		if now := time.Now(); now.After(clock) {
			clock = now
		} else {
			clock = clock.Add(1)
		}
		all[i] = pmetric.NewMetrics()
		batch.CopyTo(all[i])
		stamp(all[i], clock)
	}
	return all
}

// timed returns nanoseconds.
func timed(s step, batches []pmetric.Metrics) float64 {
	began := time.Now()
	for _, md := range batches {
		s(md)
	}
	return float64(time.Since(began).Nanoseconds())
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
