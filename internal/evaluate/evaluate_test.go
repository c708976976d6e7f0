package evaluate

import (
	"fmt"
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

var t0 = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func testOptions() Options {
	return Options{
		Tagging: TagGauge, ResendInterval: time.Minute, HoldFor: time.Hour, NeverMatched: time.Hour,
		MaxAge: time.Hour, MaxFuture: 5 * time.Minute, SeriesPerRule: 1000, Series: 10000,
		TranslationStrategy: "UnderscoreEscapingWithSuffixes",
	}
}

// bench is an evaluator with a clock and everything that it has said.
type bench struct {
	*Evaluator
	t   testing.TB
	now time.Time
	out []Emission
}

func newBench(t testing.TB, opts Options, rules ...*rule.Rule) *bench {
	b := &bench{Evaluator: New(setOf(rules...), opts, t0), t: t, now: t0}
	return b
}

// known makes the bench one whose state was loaded, so that it announces nothing.
func (b *bench) known() *bench {
	require.NoError(b.t, b.Restore(nil, nil, true, time.Time{}, b.now))
	return b
}

func setOf(rules ...*rule.Rule) *rule.Set {
	return &rule.Set{Groups: []*rule.Group{{Name: "g", Rules: rules}}}
}

func above(severity alert.Severity, bound, clear float64, wait time.Duration) rule.Tier {
	return rule.Tier{Severity: severity, Threshold: rule.Threshold{
		Op: rule.Above, Low: math.Inf(-1), High: bound, ClearLow: math.Inf(-1), ClearHigh: clear, For: wait,
	}}
}

func ruleOf(name string, tiers ...rule.Tier) *rule.Rule {
	return &rule.Rule{
		Group: "g", Name: name, Metric: "kv", Tiers: tiers, Owner: "platform", Response: "Drain it.",
		NoData: rule.NoData{HoldFor: time.Hour},
	}
}

// points makes a batch of one gauge; each value is a point of series "a" unless a label says otherwise.
type testPoint struct {
	series string
	v      float64
	at     time.Time
}

func gauge(points ...testPoint) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "vllm")
	rm.Resource().Attributes().PutStr("service.instance.id", "i-1")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("kv")
	m.SetUnit("1")
	g := m.SetEmptyGauge()
	for _, p := range points {
		dp := g.DataPoints().AppendEmpty()
		dp.SetDoubleValue(p.v)
		dp.SetTimestamp(pcommon.NewTimestampFromTime(p.at))
		dp.Attributes().PutStr("model.name", p.series)
	}
	return md
}

func (b *bench) feed(values ...float64) {
	for _, v := range values {
		b.judge(gauge(testPoint{"a", v, b.now}))
		b.advanceTo(b.now.Add(15 * time.Second))
	}
}

func (b *bench) judge(md pmetric.Metrics) {
	b.Judge(md, b.now)
	b.take()
}

func (b *bench) take() Result {
	r := b.Take()
	b.out = append(b.out, r.Emissions...)
	return r
}

// advanceTo lets time pass, ticking every second.
func (b *bench) advanceTo(to time.Time) {
	for b.now.Before(to) {
		b.now = b.now.Add(time.Second)
		b.Tick(b.now)
		b.take()
	}
}

// story is what has been said, without repetitions: "firing/high/threshold" and so on.
func (b *bench) story() []string {
	var story []string
	for _, e := range b.out {
		line := fmt.Sprintf("%s/%s/%s", e.State, e.Severity, e.Reason)
		if e.Stale {
			line = "stale/" + e.Severity.String()
		}
		if len(story) == 0 || story[len(story)-1] != line {
			story = append(story, line)
		}
	}
	return story
}

func TestOneAlertFromBreachToEnd(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("Full", above(alert.Critical, 0.98, 0.95, time.Minute), above(alert.High, 0.90, 0.90, 0))).known()
	b.feed(0.5, 0.5)
	require.Empty(t, b.out)
	b.feed(0.92, 0.99, 0.99, 0.99, 0.99, 0.99, 0.96, 0.94, 0.5)
	assert.Equal(t, []string{
		"firing/high/threshold",
		"stale/high", "firing/critical/threshold",
		"stale/critical", "firing/high/threshold",
		"inactive/high/recovered",
	}, b.story())

	first := b.out[0].Alert
	assert.Equal(t, "Full", first.Rule)
	assert.Equal(t, "g", first.Group)
	assert.Equal(t, "platform", first.Owner)
	assert.Equal(t, map[string]string{"job": "vllm", "instance": "i-1", "model_name": "a"}, first.Labels)
	assert.Equal(t, 0.92, *first.Value)
	assert.Equal(t, 0.90, *first.Threshold)
	assert.Equal(t, t0.Add(30*time.Second), first.Start)
	assert.Equal(t, t0.Add(30*time.Second), first.ObservedAt)
	assert.Equal(t, 3*time.Minute, first.ValidFor)
	assert.Equal(t, "kv", first.SourceMetric)
	assert.Equal(t, "1", first.SourceUnit)
	assert.Equal(t, "Drain it.", first.Response)
	last := map[string]time.Time{}
	for _, e := range b.out {
		if !e.Stale {
			assert.True(t, e.Time.After(last[e.ID]), "times rise")
			last[e.ID] = e.Time
		}
		assert.Equal(t, first.ID, e.ID)
	}
}

func TestPendingIsCancelledByTheFirstPointBelow(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 5, time.Minute))).known()
	b.feed(11, 11, 11, 7, 11, 11, 11, 11, 11)
	assert.Equal(t, []string{
		"pending/high/threshold", "inactive/high/recovered",
		"pending/high/threshold", "firing/high/threshold",
	}, b.story(), "clear plays no part while pending")
}

func TestKeepFiringForKeepsTheLastTier(t *testing.T) {
	r := ruleOf("R", above(alert.Critical, 20, 20, 0), above(alert.High, 10, 10, 0))
	r.KeepFiringFor = time.Minute
	b := newBench(t, testOptions(), r).known()
	b.feed(25, 15, 5, 5, 5, 5)
	assert.Equal(t, []string{"firing/critical/threshold", "stale/critical", "firing/high/threshold"}, b.story(),
		"a fall between tiers is not delayed")
	b.feed(5)
	assert.Equal(t, "inactive/high/recovered", b.story()[3])
}

func TestResendAndEndRepeated(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
	for range 21 {
		b.feed(11)
	}
	assert.Len(t, b.out, 1+5, "on the change, then every minute")
	b.out = nil
	b.feed(1)
	b.advanceTo(b.now.Add(20 * time.Minute))
	assert.Len(t, b.out, 1+15, "an end is repeated for 15 minutes")
}

func TestMissingIsNotHealthy(t *testing.T) {
	t.Run("hold", func(t *testing.T) {
		b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
		b.feed(11, 11, math.NaN())
		b.advanceTo(t0.Add(15*time.Second + 59*time.Minute + 59*time.Second))
		assert.Equal(t, []string{"firing/high/threshold"}, b.story())
		b.advanceTo(b.now.Add(time.Minute))
		assert.Equal(t, []string{"firing/high/threshold", "inactive/high/series_gone"}, b.story())
		assert.Zero(t, b.Statistics().Series)
	})
	t.Run("pending goes inactive", func(t *testing.T) {
		b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, time.Hour))).known()
		b.feed(11, 11)
		b.advanceTo(b.now.Add(2 * time.Minute))
		assert.Equal(t, []string{"pending/high/threshold", "inactive/high/series_gone"}, b.story())
	})
	t.Run("raise", func(t *testing.T) {
		r := ruleOf("R", above(alert.Medium, 10, 10, 0))
		r.NoData = rule.NoData{Action: rule.NoDataRaise, After: 5 * time.Minute, Tier: alert.High, HoldFor: time.Hour}
		b := newBench(t, testOptions(), r).known()
		b.feed(1, 1)
		b.advanceTo(b.now.Add(6 * time.Minute))
		assert.Equal(t, []string{"firing/high/no_data"}, b.story())
		id := b.out[0].ID
		b.feed(11)
		assert.Equal(t, []string{"firing/high/no_data", "stale/high", "firing/medium/threshold"}, b.story())
		assert.Equal(t, id, b.out[len(b.out)-1].ID)
		b.feed(1)
		assert.Equal(t, "inactive/medium/recovered", b.story()[3])
		b.advanceTo(b.now.Add(2 * time.Hour))
		story := b.story()
		assert.Equal(t, "inactive/high/series_gone", story[len(story)-1])
		assert.Zero(t, b.Statistics().Series)
	})
	t.Run("resolve", func(t *testing.T) {
		r := ruleOf("R", above(alert.Medium, 10, 10, 0))
		r.NoData = rule.NoData{Action: rule.NoDataResolve}
		b := newBench(t, testOptions(), r).known()
		b.feed(11, math.NaN())
		assert.Equal(t, []string{"firing/medium/threshold", "inactive/medium/series_gone"}, b.story())
		b.feed(11, 11)
		b.advanceTo(b.now.Add(2 * time.Minute))
		assert.Equal(t, "inactive/medium/series_gone", b.story()[3])
	})
}

func TestLateRepeatedAndWildPoints(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 2*time.Minute))).known()
	b.feed(11)
	for range 10 { // the same point again, and an older one
		b.judge(gauge(testPoint{"a", 11, t0}))
		b.judge(gauge(testPoint{"a", 1, t0.Add(-time.Minute)}))
	}
	assert.Equal(t, []string{"pending/high/threshold"}, b.story())

	b.judge(gauge(testPoint{"a", 11, b.now.Add(4 * time.Minute)})) // wild, within max_future
	assert.Equal(t, []string{"pending/high/threshold"}, b.story(), "the future does not count towards for")
	b.feed(1)
	assert.Equal(t, []string{"pending/high/threshold", "inactive/high/recovered"}, b.story(), "a wild point does not blind the series")

	b.judge(gauge(testPoint{"a", 11, b.now.Add(time.Hour)}))
	b.judge(gauge(testPoint{"a", 11, b.now.Add(-2 * time.Hour)}))
	b.judge(gauge(testPoint{"a", 11, time.Unix(0, 0)}))
	assert.Len(t, b.story(), 2)
	counts := map[Unjudged]int64{}
	for _, c := range b.Statistics().Unjudged {
		counts[c.Reason] = c.Count
	}
	assert.Equal(t, map[Unjudged]int64{UnjudgedRepeated: 20, UnjudgedFuture: 1, UnjudgedOld: 1, UnjudgedNoTime: 1}, counts)
}

func TestClockSteps(t *testing.T) {
	for _, step := range []time.Duration{time.Hour, -time.Hour, 3 * time.Minute, -3 * time.Minute} {
		t.Run(step.String(), func(t *testing.T) {
			// A wall clock that is set while the monotonic one goes on: the test has no monotonic reading, so the step is
			// one of base as well.
			b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 2*time.Minute)),
				ruleOf("Q", above(alert.Critical, 5, 5, 0))).known()
			b.feed(7, 7, 7)
			require.Equal(t, []string{"firing/critical/threshold"}, b.story())
			b.base = b.base.Add(step)
			b.now = b.now.Add(step)
			b.feed(7, 7, 7, 7, 11, 11, 11)
			for _, line := range b.story() {
				assert.NotContains(t, line, "inactive")
				assert.NotContains(t, line, "firing/high")
			}
			b.feed(11, 11, 11, 11, 11, 11)
			assert.Contains(t, b.story(), "firing/high/threshold")
			b.feed(1)
			assert.Contains(t, b.story(), "inactive/critical/recovered")
		})
	}
}

func TestAGapBreaksPending(t *testing.T) {
	r := ruleOf("R", above(alert.High, 10, 10, 2*time.Minute))
	b := newBench(t, testOptions(), r).known()
	b.feed(11, 11, 11, 11)
	b.now = b.now.Add(90 * time.Second) // no tick in between: only event time tells
	b.feed(11)
	assert.Equal(t, []string{"pending/high/threshold"}, b.story())
	b.feed(11, 11, 11, 11, 11, 11, 11, 11)
	assert.Equal(t, []string{"pending/high/threshold", "firing/high/threshold"}, b.story())
	last := b.out[len(b.out)-1]
	assert.Equal(t, 2*time.Minute, last.ObservedAt.Sub(last.Start))
}

func TestCollidingStreamsAreOneAlert(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.Critical, 20, 20, 0), above(alert.High, 10, 10, 0))).known()
	two := func(x, y float64) pmetric.Metrics {
		md := gauge(testPoint{"a", x, b.now})
		gauge(testPoint{"a", y, b.now}).ResourceMetrics().At(0).CopyTo(md.ResourceMetrics().AppendEmpty())
		md.ResourceMetrics().At(1).Resource().Attributes().PutStr("host.name", "other")
		return md
	}
	b.judge(two(11, 21))
	assert.Equal(t, []string{"firing/high/threshold", "stale/high", "firing/critical/threshold"}, b.story())
	b.now = b.now.Add(15 * time.Second)
	b.judge(two(1, 21))
	assert.Equal(t, 0, b.Statistics().Rules[0].CollidingSeries)
	b.now = b.now.Add(15 * time.Second)
	b.judge(two(11, 1))
	b.now = b.now.Add(15 * time.Second)
	b.judge(two(1, 1))
	story := b.story()
	assert.Equal(t, "inactive/high/recovered", story[len(story)-1])
}

func TestLimitsKeepWhatFires(t *testing.T) {
	opts := testOptions()
	opts.SeriesPerRule = 3
	b := newBench(t, opts, ruleOf("R", above(alert.High, 10, 10, 0))).known()
	for i := range 6 {
		b.judge(gauge(testPoint{strconv.Itoa(i), 11, b.now}))
	}
	assert.Equal(t, 3, b.Statistics().Rules[0].Firing)
	b.advanceTo(b.now.Add(2 * time.Second))
	for i := range 6 {
		b.judge(gauge(testPoint{strconv.Itoa(i), 1, b.now}))
	}
	assert.Equal(t, 0, b.Statistics().Rules[0].Firing)
	b.advanceTo(b.now.Add(2 * time.Second))
	b.judge(gauge(testPoint{"9", 11, b.now}))
	assert.Equal(t, 1, b.Statistics().Rules[0].Firing, "what only remembers a past breach makes room")
	assert.Equal(t, ProblemLimit, b.Problems(b.now)[0].Kind)
}

func TestTags(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("High", above(alert.High, 10, 10, time.Hour)), ruleOf("Critical", above(alert.Critical, 20, 20, time.Hour))).known()
	tags := func(md pmetric.Metrics) map[string]any {
		return md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Attributes().AsRaw()
	}
	for range 2 { // sent again, it is tagged again, and is the same series
		md := gauge(testPoint{"a", 25, t0})
		b.judge(md)
		want := map[string]any{"model.name": "a", "alert.rule.name": "Critical", "alert.severity": "critical", "alert.owner.name": "platform"}
		assert.Equal(t, want, tags(md))
		b.judge(md)
		assert.Equal(t, want, tags(md))
	}
	md := gauge(testPoint{"a", 15, t0.Add(time.Second)})
	b.judge(md)
	assert.Equal(t, "High", tags(md)["alert.rule.name"])
	md = gauge(testPoint{"a", 5, t0.Add(2 * time.Second)})
	b.judge(md)
	assert.Equal(t, map[string]any{"model.name": "a"}, tags(md))
	assert.EqualValues(t, 2, b.Statistics().Series)
}

func TestReload(t *testing.T) {
	high := ruleOf("R", above(alert.High, 10, 10, 0))
	gone := ruleOf("Gone", above(alert.Low, 10, 10, 0))
	b := newBench(t, testOptions(), high, gone).known()
	b.feed(11)
	require.Equal(t, []string{"firing/high/threshold", "firing/low/threshold"}, b.story())
	b.out = nil

	b.Reload(setOf(ruleOf("New", above(alert.Low, 100, 100, 0)), ruleOf("R", above(alert.High, 10, 10, 0))), b.now)
	b.take()
	assert.Equal(t, []string{"inactive/low/rule_removed"}, b.story())
	b.out = nil
	b.feed(11)
	assert.Empty(t, b.story(), "the unchanged rule goes on")
	b.advanceTo(b.now.Add(2 * time.Minute))
	assert.Equal(t, 1, b.Statistics().Rules[1].Firing)
	b.out = nil

	b.Reload(setOf(ruleOf("R", above(alert.High, 12, 12, 0))), b.now) // a threshold moved: the next point decides
	b.take()
	assert.Empty(t, b.story())
	b.feed(11)
	assert.Contains(t, b.story(), "inactive/high/recovered")
}

func TestRestartKeepsWhatFiresAndWhatIsPending(t *testing.T) {
	rules := func() []*rule.Rule {
		return []*rule.Rule{ruleOf("Fires", above(alert.High, 10, 10, 0)), ruleOf("Waits", above(alert.Critical, 10, 10, 2*time.Minute))}
	}
	b := newBench(t, testOptions(), rules()...).known()
	b.feed(11, 11, 11, 11, 11) // Waits has waited for a minute
	firing, quiet := snapshot(b)

	down := 10 * time.Minute
	again := &bench{Evaluator: New(setOf(rules()...), testOptions(), b.now.Add(down)), t: t, now: b.now.Add(down)}
	require.NoError(t, again.Restore(firing, quiet, true, b.now, again.now))
	again.feed(11, 11, 11)
	assert.Equal(t, []string{"firing/high/threshold", "pending/critical/threshold"}, sorted(again.story()), "repeated, and downtime does not count")
	again.feed(11)
	assert.Contains(t, again.story(), "firing/critical/threshold")

	// The rule is gone at the next start: the alert ends.
	firing, quiet = snapshot(again)
	third := &bench{Evaluator: New(setOf(rules()[1]), testOptions(), again.now), t: t, now: again.now}
	require.NoError(t, third.Restore(firing, quiet, true, again.now, third.now))
	third.take()
	assert.Equal(t, []string{"inactive/high/rule_removed"}, third.story())
	assert.Equal(t, 1, third.Statistics().Rules[0].Firing)

	broken := New(setOf(rules()...), testOptions(), t0)
	err := broken.Restore([][]byte{[]byte("{"), nil}, nil, true, time.Time{}, t0)
	assert.ErrorContains(t, err, "firing state, shard 0")
}

func sorted(lines []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, l := range lines {
		if !seen[l] {
			seen[l] = true
			out = append(out, l)
		}
	}
	return out
}

func snapshot(b *bench) (firing, quiet [][]byte) {
	for i := range Shards {
		firing = append(firing, b.FiringShard(i))
	}
	return firing, append(b.QuietShards(0, 100), b.QuietShards(100, Shards-100)...)
}

func TestWhatFiresIsStoredAtOnce(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 30*time.Second))).known()
	b.Judge(gauge(testPoint{"a", 11, b.now}), b.now)
	assert.Empty(t, b.take().Shards, "pending is not durable")
	var stored []int
	for range 3 {
		b.now = b.now.Add(15 * time.Second)
		b.Judge(gauge(testPoint{"a", 11, b.now}), b.now)
		stored = append(stored, b.take().Shards...)
	}
	require.Len(t, stored, 1)
	assert.NotEmpty(t, b.FiringShard(stored[0]))
	b.now = b.now.Add(15 * time.Second)
	b.Judge(gauge(testPoint{"a", 1, b.now}), b.now)
	assert.Equal(t, stored, b.take().Shards)
	assert.NotEmpty(t, b.FiringShard(stored[0]), "its end has to be said, by the next process if need be")
	b.advanceTo(b.now.Add(16 * time.Minute))
	assert.Empty(t, b.FiringShard(stored[0]))
}

// A process that is killed after it stored the end of an alert and before anybody heard of it.
func TestAnEndThatNobodyHeardIsSaidAfterARestart(t *testing.T) {
	r := ruleOf("R", above(alert.High, 10, 10, 0))
	b := newBench(t, testOptions(), r).known()
	b.feed(11, 1)
	end := b.out[len(b.out)-1]
	require.Equal(t, alert.Inactive, end.State)
	firing, quiet := snapshot(b)

	after := newBench(t, testOptions(), r)
	after.now = b.now.Add(time.Second)
	require.NoError(t, after.Restore(firing, quiet, true, b.now, after.now))
	after.advanceTo(after.now.Add(2 * time.Second))
	require.Equal(t, []string{"inactive/high/recovered"}, after.story())
	assert.Equal(t, end.ID, after.out[0].ID)
	assert.True(t, after.out[0].Time.After(end.Time))

	after.feed(11)
	assert.Equal(t, []string{"inactive/high/recovered", "firing/high/threshold"}, after.story())
	assert.Equal(t, b.out[0].Labels, after.out[len(after.out)-1].Labels)

	gone := newBench(t, testOptions(), ruleOf("Other", above(alert.High, 10, 10, 0)))
	gone.now = b.now
	require.NoError(t, gone.Restore(firing, quiet, true, b.now, b.now))
	gone.advanceTo(gone.now.Add(2 * time.Second))
	assert.Equal(t, []string{"inactive/high/recovered"}, gone.story(), "even when its rule went with the restart")
	gone.advanceTo(gone.now.Add(17 * time.Minute))
	kept, _ := snapshot(gone)
	for _, part := range kept {
		assert.Empty(t, part)
	}
}

func TestRecoveriesFromBeforeTheStartAreAnnouncedOnce(t *testing.T) {
	r := ruleOf("R", above(alert.Critical, 20, 15, 0), above(alert.High, 10, 5, time.Minute))
	b := newBench(t, testOptions(), r)
	b.feed(7)
	assert.Empty(t, b.out, "not past clear")
	b.feed(4)
	assert.Empty(t, b.out, "once is not twice")
	b.feed(7, 4, 4, 4, 4)
	assert.Equal(t, []string{"inactive/critical/recovered"}, b.story())
	assert.Len(t, b.out, 1)

	fresh := newBench(t, testOptions(), r)
	fresh.feed(11, 7)
	assert.Equal(t, []string{"pending/high/threshold"}, fresh.story(), "may have been firing: its end is not said before it is past clear")
	fresh.feed(4, 4)
	assert.Equal(t, []string{"pending/high/threshold", "inactive/critical/recovered"}, fresh.story())

	late := newBench(t, testOptions(), r)
	late.advanceTo(t0.Add(time.Hour))
	late.feed(4, 4, 4)
	assert.Empty(t, late.out, "only during the first hold_for")
}

func TestTypesThatCannotBeJudged(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
	md := pmetric.NewMetrics()
	ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	add := func() pmetric.Metric { m := ms.AppendEmpty(); m.SetName("kv"); return m }
	at := pcommon.NewTimestampFromTime(t0)
	number := func(dps pmetric.NumberDataPointSlice, attr string) {
		dp := dps.AppendEmpty()
		dp.SetIntValue(11)
		dp.SetTimestamp(at)
		dp.Attributes().PutStr("kind", attr)
	}
	cumulative := add().SetEmptySum()
	cumulative.SetIsMonotonic(true)
	cumulative.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	number(cumulative.DataPoints(), "cumulative")
	delta := add().SetEmptySum()
	delta.SetIsMonotonic(true)
	delta.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	number(delta.DataPoints(), "delta")
	updown := add().SetEmptySum()
	updown.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	number(updown.DataPoints(), "updown")
	add().SetEmptyHistogram().DataPoints().AppendEmpty()
	add().SetEmptyExponentialHistogram().DataPoints().AppendEmpty()
	add().SetEmptySummary().DataPoints().AppendEmpty()
	add() // no data at all
	b.judge(md)
	assert.Equal(t, 2, b.Statistics().Rules[0].Firing)
	require.Len(t, b.Statistics().Unjudged, 1)
	assert.Equal(t, UnjudgedCount{"g", "R", UnjudgedType, 4}, b.Statistics().Unjudged[0])
	assert.Equal(t, ProblemUnsupportedType, b.Problems(b.now)[0].Kind)
	_, tagged := delta.DataPoints().At(0).Attributes().Get(alert.AttrRule)
	assert.False(t, tagged, "only gauges are tagged")
}

func TestInfinitiesAndBlanks(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
	b.feed(math.Inf(1))
	assert.Equal(t, []string{"firing/high/threshold"}, b.story())
	firing, quiet := snapshot(b)
	require.NoError(t, New(setOf(ruleOf("R", above(alert.High, 10, 10, 0))), testOptions(), b.now).Restore(firing, quiet, true, b.now, b.now))
	b.feed(math.Inf(-1))
	assert.Contains(t, b.story(), "inactive/high/recovered")

	gpu := ruleOf("Hot", above(alert.High, 90, 90, 0))
	gpu.Metric = "DCGM_FI_DEV_MEMORY_TEMP"
	hot := newBench(t, testOptions(), gpu).known()
	md := gauge(testPoint{"a", 9223372036854775794, t0}, testPoint{"b", 95, t0})
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetName(gpu.Metric)
	hot.judge(md)
	require.Len(t, hot.out, 1)
	assert.Equal(t, "b", hot.out[0].Labels["model_name"])
}

func TestWarmUp(t *testing.T) {
	r := ruleOf("R", above(alert.High, 10, 10, 0))
	r.WarmUp = time.Minute
	b := newBench(t, testOptions(), r).known()
	b.feed(11, 11, 11, 11)
	assert.Empty(t, b.out)
	b.feed(11)
	assert.Equal(t, []string{"firing/high/threshold"}, b.story())
}

func TestNeverMatched(t *testing.T) {
	b := newBench(t, testOptions(), ruleOf("R", above(alert.High, 10, 10, 0))).known()
	b.advanceTo(t0.Add(time.Hour))
	assert.Empty(t, b.Problems(b.now))
	b.advanceTo(b.now.Add(time.Second))
	require.Len(t, b.Problems(b.now), 1)
	assert.Equal(t, ProblemNeverMatched, b.Problems(b.now)[0].Kind)
	b.feed(1)
	assert.Empty(t, b.Problems(b.now))
}

func TestWhereThatNothingMeetsIsNoticed(t *testing.T) {
	load := func(where string) *rule.Rule {
		groups, err := rule.LoadFile("r.yaml", []byte(`
groups:
  - name: g
    rules:
      - alert: R
        metric: kv
        where: `+where+`
        tiers: {high: {above: 10}}
`), rule.Defaults{})
		require.NoError(t, err)
		return groups[0].Rules[0]
	}
	met := load(`datapoint.attributes["model.name"] == "a"`)
	unmet := load(`datapoint.attributes["model.name"] == "no-such-model"`)
	unmet.Name = "Unmet"
	b := newBench(t, testOptions(), met, unmet).known()
	for range 250 {
		b.feed(1)
	}
	require.Len(t, b.Problems(b.now), 1)
	problem := b.Problems(b.now)[0]
	assert.Equal(t, "Unmet", problem.Rule)
	assert.Equal(t, ProblemNeverMatched, problem.Kind)
	assert.Contains(t, problem.Detail, "no-such-model")
	b.feed(11)
	assert.Equal(t, []string{"firing/high/threshold"}, b.story())
	assert.Equal(t, "R", b.out[0].Rule)
}

func TestLabelsArePacked(t *testing.T) {
	for _, labels := range []map[string]string{
		{}, {"job": "a"}, {"a": "", "b": "x"}, {"job": "j", "instance": "i", "model_name": "m", "z": "ü\x00"},
	} {
		assert.Equal(t, labels, pack(labels).unpack())
	}
}

func TestQuietPathAllocatesNothing(t *testing.T) {
	var rules []*rule.Rule
	for i := range 50 {
		rules = append(rules, ruleOf(fmt.Sprint("R", i), above(alert.High, 10+float64(i), 10, time.Minute)))
	}
	b := newBench(t, testOptions(), rules...).known()
	var points []testPoint
	for i := range 1000 {
		points = append(points, testPoint{strconv.Itoa(i), float64(i) / 1000, t0})
	}
	md := gauge(points...)
	assert.Zero(t, testing.AllocsPerRun(100, func() { b.Judge(md, b.now) }))
	assert.Zero(t, b.Statistics().Series)
}
