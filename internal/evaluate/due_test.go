package evaluate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// After every whole second, exactly what a look at every series would raise has been raised: over points at any time,
// breaches, returns, evictions, reloads and restarts.
func TestDueTimesMissNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		draw := func() []*rule.Rule {
			var rules []*rule.Rule
			for i := range rapid.IntRange(1, 3).Draw(rt, "rules") {
				r := ruleOf(fmt.Sprint("R", i), above(alert.High, float64(10*i+10), float64(10*i+10), 0))
				r.NoData = rule.NoData{HoldFor: time.Duration(rapid.IntRange(1, 120).Draw(rt, "hold_for")) * time.Second}
				if rapid.IntRange(0, 3).Draw(rt, "raise") > 0 {
					r.NoData.Action, r.NoData.Tier = rule.NoDataRaise, alert.High
					r.NoData.After = time.Duration(rapid.IntRange(1, 90_000).Draw(rt, "after")) * time.Millisecond
				}
				rules = append(rules, r)
			}
			return rules
		}
		opts := testOptions()
		opts.SeriesPerRule = rapid.IntRange(3, 8).Draw(rt, "series_per_rule")
		rules := draw()
		b := newBench(t, opts, rules...).known()
		raised := map[*live]bool{} // whether it has been looked at
		for range rapid.IntRange(1, 120).Draw(rt, "seconds") {
			second := b.now
			for range rapid.IntRange(0, 3).Draw(rt, "points") {
				b.now = b.now.Add(time.Duration(rapid.IntRange(1, 300).Draw(rt, "ms")) * time.Millisecond)
				name := fmt.Sprint(rapid.IntRange(0, 5).Draw(rt, "series"))
				b.judge(gauge(testPoint{name, float64(rapid.IntRange(0, 40).Draw(rt, "value")), b.now}))
			}
			switch rapid.IntRange(0, 40).Draw(rt, "event") {
			case 0:
				rules = draw()
				b.Reload(setOf(rules...), b.now)
			case 1:
				firing, quiet := snapshot(b)
				b.Evaluator = New(setOf(rules...), opts, second)
				require.NoError(rt, b.Restore(firing, quiet, true, b.now, b.now))
				b.all(func(m *metricState) { // a restart counts as a point
					for st := range m.live {
						for i := range st.series {
							raised[st.series[i].live] = true
						}
					}
				})
			case 2:
				second = second.Add(time.Duration(rapid.IntRange(1, 60).Draw(rt, "pause")) * time.Second)
			}
			b.now = second.Add(time.Second)
			b.Tick(b.now)
			b.take()
			elapsed := b.elapsed(b.now)
			b.all(func(m *metricState) {
				waiting := map[*stream]int{}
				for _, streams := range m.due.streams {
					for _, st := range streams {
						waiting[st]++
					}
				}
				for _, st := range m.streams {
					for i, r := range m.rules {
						s := &st.series[i]
						silent := elapsed - s.arrived
						require.False(rt, r.raises(s) && silent >= int64(r.rule.NoData.After), "%s was missed for %d ns", r.rule.Name, silent)
						if s.live != nil && s.live.noData && !raised[s.live] {
							raised[s.live] = true
							require.GreaterOrEqual(rt, silent, int64(r.rule.NoData.After), "%s was raised too early", r.rule.Name)
						}
					}
					if m.due.after > 0 {
						require.Equal(rt, 1, waiting[st], "every stream waits once")
					}
				}
				require.True(rt, m.due.after > 0 || len(waiting) == 0)
			})
		}
	})
}

// BenchmarkTickOverTrackedSeries is a second of a metric with 300,000 quiet series whose data every rule would miss.
func BenchmarkTickOverTrackedSeries(b *testing.B) {
	r := ruleOf("R", above(alert.High, 10, 10, time.Minute))
	r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.High, HoldFor: time.Hour}
	opts := testOptions()
	opts.SeriesPerRule, opts.Series = 1e6, 1e6
	e := New(setOf(r), opts, t0)
	if err := e.Restore(nil, nil, true, time.Time{}, t0); err != nil {
		b.Fatal(err)
	}
	now := t0
	feed := func() {
		for i := range 300 {
			e.Judge(fleet(1000, i, 1, now), now)
		}
	}
	feed()
	var longest time.Duration
	b.ResetTimer()
	for i := range b.N {
		if i%60 == 59 {
			b.StopTimer()
			feed()
			b.StartTimer()
		}
		now = now.Add(time.Second)
		began := time.Now()
		e.Tick(now)
		longest = max(longest, time.Since(began))
	}
	b.ReportMetric(float64(longest.Microseconds()), "longest-µs")
	if n := len(e.Take().Emissions); n > 0 {
		b.Fatalf("%d alerts", n)
	}
}
