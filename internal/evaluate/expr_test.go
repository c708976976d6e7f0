package evaluate

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// exprBench is an evaluator of a rule file whose groups are evaluated on the clock, every 15 s.
type exprBench struct {
	*bench
	recorded []Recorded
}

func exprSet(t testing.TB, file string) *rule.Set {
	groups, err := rule.LoadFile("rules.yaml", []byte(file), rule.Defaults{EvaluationInterval: 15 * time.Second})
	require.NoError(t, err)
	set, err := rule.Combine(groups)
	require.NoError(t, err)
	return set
}

func exprOptions() Options {
	opts := testOptions()
	opts.Lookback, opts.EvaluationInterval = 5*time.Minute, time.Minute
	return opts
}

func newExprBench(t testing.TB, opts Options, file string) *exprBench {
	b := &exprBench{bench: &bench{Evaluator: New(exprSet(t, file), opts, t0), t: t, now: t0}}
	b.known()
	return b
}

// rules is a file of one group.
func rulesFile(lines ...string) string {
	return "groups:\n- name: g\n  rules:\n  - " + strings.Join(lines, "\n  - ") + "\n"
}

// step lets an interval pass: points come in, and the groups are evaluated.
func (b *exprBench) step(points ...testPoint) {
	b.advanceTo(b.now.Add(15 * time.Second))
	for i := range points {
		points[i].at = b.now
	}
	b.judge(gauge(points...))
	b.evaluateAll()
}

func (b *exprBench) evaluateAll() {
	for _, g := range b.Groups() {
		b.EvaluateGroup(b.t.Context(), g.Key, b.now, b.now)
	}
	b.recorded = append(b.recorded, b.take().Recorded...)
}

func (b *exprBench) steps(n int, points ...testPoint) {
	for range n {
		b.step(slices.Clone(points)...)
	}
}

func at(series string, v float64) testPoint { return testPoint{series: series, v: v} }

func (b *exprBench) last() Emission { return b.out[len(b.out)-1] }

func (b *exprBench) kinds() []ProblemKind {
	var kinds []ProblemKind
	for _, p := range b.Problems(b.now) {
		kinds = append(kinds, p.Kind)
	}
	return kinds
}

const tieredRule = `{alert: Full, expr: max by (model_name) (kv_ratio), tiers: {critical: {above: 0.98, for: 1m, clear: 0.95}, high: {above: 0.9}}, owner: platform}`

func TestExprRisesAndFallsThroughItsTiers(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(tieredRule))
	b.steps(2, at("a", 0.5), at("b", 0.5))
	b.steps(1, at("a", 0.95), at("b", 0.5))
	b.steps(6, at("a", 0.99), at("b", 0.5))
	b.steps(2, at("a", 0.96), at("b", 0.5)) // within critical's clear
	b.steps(1, at("a", 0.94), at("b", 0.5))
	b.steps(1, at("a", 0.5), at("b", 0.5))
	assert.Equal(t, []string{
		"firing/high/threshold", "stale/high", "firing/critical/threshold", "stale/critical", "firing/high/threshold", "inactive/high/recovered",
	}, b.story())
	first := b.out[0].Alert
	assert.Equal(t, map[string]string{"model_name": "a"}, first.Labels)
	assert.Equal(t, "kv_ratio", first.SourceMetric)
	assert.Equal(t, "1", first.SourceUnit)
	assert.InDelta(t, 0.95, *first.Value, 0)
	assert.InDelta(t, 0.9, *first.Threshold, 0)
}

func TestExprMissingIsNotHealthy(t *testing.T) {
	t.Run("tiers hold", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), rulesFile(tieredRule))
		b.steps(2, at("a", 0.95))
		b.steps(4 * 59) // the look-back ends after 5 minutes
		assert.Equal(t, []string{"firing/high/threshold"}, b.story())
		b.steps(4 * 7)
		assert.Equal(t, []string{"firing/high/threshold", "inactive/high/series_gone"}, b.story())
	})
	t.Run("plain recovers", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), rulesFile(`{alert: Full, expr: kv_ratio > 0.9}`))
		b.steps(2, at("a", 0.95))
		b.steps(4 * 4)
		assert.Equal(t, []string{"firing/medium/threshold"}, b.story())
		b.steps(4 * 2)
		assert.Equal(t, []string{"firing/medium/threshold", "inactive/medium/recovered"}, b.story())
	})
	t.Run("no_data raises", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), rulesFile(
			`{alert: Full, expr: max by (model_name) (kv_ratio), tiers: {low: {above: 0.9}}, no_data: {after: 2m, tier: high}}`))
		b.steps(2, at("a", 0.5))
		b.steps(4 * 6)
		assert.Empty(t, b.story(), "the look-back still gives a value")
		b.steps(4 * 2)
		assert.Equal(t, []string{"firing/high/no_data"}, b.story())
		b.steps(1, at("a", 0.5))
		assert.Equal(t, []string{"firing/high/no_data", "inactive/high/recovered"}, b.story())
	})
	t.Run("NaN", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), rulesFile(`{alert: Full, expr: kv_ratio / kv_ratio, tiers: {high: {at_least: 1}}}`))
		b.steps(2, at("a", 0.95))
		b.steps(4, at("a", 0)) // 0/0
		assert.Equal(t, []string{"firing/high/threshold"}, b.story())
	})
}

func TestExprThatFiltersTakesAbsenceAsRecovery(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(
		`{alert: Full, expr: kv_ratio and on (model_name) (kv_ratio > 0.7), tiers: {high: {above: 0.6}}}`))
	b.steps(25, at("a", 0.5)) // until the window has covered the look-back
	b.steps(2, at("a", 0.8))
	b.steps(1, at("a", 0.65))
	assert.Equal(t, []string{"firing/high/threshold", "inactive/high/recovered"}, b.story())
}

func TestNothingIsConcludedFromAbsenceAfterAStart(t *testing.T) {
	file := rulesFile(`{alert: Gone, expr: absent(kv_ratio)}`, `{alert: Both, expr: kv_ratio > 0.7 or kv_ratio < 0.2}`)
	t.Run("absent", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), file)
		b.steps(4*5 - 1)
		assert.Empty(t, b.story())
		b.steps(2)
		assert.Equal(t, []string{"firing/medium/threshold"}, b.story())
	})
	t.Run("restored state holds", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), file)
		b.steps(4*6, at("a", 0.8))
		require.Equal(t, []string{"firing/medium/threshold"}, b.story())
		after := restarted(t, b, file)
		after.steps(4 * 4)
		assert.NotContains(t, after.story(), "inactive/medium/recovered")
		after.steps(4 * 2)
		assert.Contains(t, after.story(), "inactive/medium/recovered")
	})
	t.Run("a whole history", func(t *testing.T) {
		opts := exprOptions()
		opts.WholeHistory = true
		b := newExprBench(t, opts, file)
		b.steps(1)
		assert.Equal(t, []string{"firing/medium/threshold"}, b.story())
	})
}

// restarted is what comes up a minute later with what b has stored, and an empty window.
func restarted(t *testing.T, b *exprBench, file string) *exprBench {
	var firing [][]byte
	for i := range Shards {
		firing = append(firing, b.FiringShard(i))
	}
	quiet := b.QuietShards(0, Shards)
	now := b.now.Add(time.Minute)
	after := &exprBench{bench: &bench{Evaluator: New(exprSet(t, file), exprOptions(), now), t: t, now: now}}
	require.NoError(t, after.Restore(firing, quiet, true, b.now, now))
	return after
}

func TestExprRestart(t *testing.T) {
	// Two rules of one name, as they are common: each has its own state.
	file := rulesFile(
		`{alert: Full, expr: kv_ratio > 0.9, for: 2m, labels: {severity: page}}`,
		`{alert: Full, expr: kv_ratio > 0.7, labels: {severity: warning}}`)
	b := newExprBench(t, exprOptions(), file)
	b.steps(5, at("a", 0.95)) // a minute of the two
	require.Equal(t, []string{"pending/critical/threshold", "firing/medium/threshold", "pending/critical/threshold"}, b.story()[:3])
	before := b.out[0].ID
	after := restarted(t, b, file)
	after.steps(3, at("a", 0.95))
	assert.NotContains(t, after.story(), "firing/critical/threshold", "the minute in between does not count")
	after.steps(2, at("a", 0.95))
	require.Contains(t, after.story(), "firing/critical/threshold")
	for _, e := range after.out {
		if e.Severity == alert.Critical {
			assert.Equal(t, before, e.ID)
		}
	}
}

// Where no stored state was found, too, what fired since the start ends when its series is absent, or by the clock.
func TestAbsenceEndsWhatFiredAfterAStartWithoutState(t *testing.T) {
	for name, file := range map[string]string{
		"firing":  rulesFile(`{alert: Full, expr: 'kv_ratio > scalar(kv_ratio{model_name="limit"})'}`),
		"pending": rulesFile(`{alert: Full, expr: 'kv_ratio > scalar(kv_ratio{model_name="limit"})', for: 1h}`),
	} {
		t.Run(name, func(t *testing.T) {
			b := &exprBench{bench: &bench{Evaluator: New(exprSet(t, file), exprOptions(), t0), t: t, now: t0}}
			b.steps(3, at("a", 5), at("limit", 3))
			require.Equal(t, []string{name + "/medium/threshold"}, b.story())
			b.steps(2, at("a", 2), at("limit", 3))
			assert.Equal(t, []string{name + "/medium/threshold", "inactive/medium/recovered"}, b.story())
		})
	}
	kept := ruleOf("Kept", above(alert.High, 0.9, 0.8, 0))
	kept.KeepFiringFor = time.Minute
	b := &bench{t: t, now: t0, Evaluator: New(setOf(kept), testOptions(), t0)}
	for _, v := range []float64{0.95, 0.7, 0.85, 0.85, 0.85} {
		b.advanceTo(b.now.Add(30 * time.Second))
		b.judge(gauge(testPoint{series: "a", v: v, at: b.now}))
	}
	assert.Equal(t, []string{"firing/high/threshold", "inactive/high/recovered"}, b.story())
}

// After a start a sum has not heard of all its series, nor a range of all its past: what they give is no recovery before
// the window has covered what the rule looks at. A value that is a sample of its own is one at once.
func TestAPartOfThePastIsNoRecovery(t *testing.T) {
	for expr, whole := range map[string]time.Duration{
		"sum(kv_ratio)": 5 * time.Minute,
		"sum(sum_over_time(kv_ratio[2m] offset 1m)) / 9": 3 * time.Minute,
		"sum(kv:recorded)":             10 * time.Minute,
		"2 * max(kv_ratio)":            5 * time.Minute,
		`kv_ratio{model_name="a"} * 2`: 0,
	} {
		t.Run(expr, func(t *testing.T) {
			file := rulesFile(`{record: "kv:recorded", expr: kv_ratio}`, "{alert: Full, expr: '"+expr+"', tiers: {critical: {above: 8}, high: {above: 5}}}")
			b := newExprBench(t, exprOptions(), file)
			b.steps(16, at("a", 5), at("b", 5))
			require.Equal(t, "firing/critical/threshold", b.story()[len(b.story())-1])
			after := restarted(t, b, file)
			started := after.now
			for len(after.out) == 0 || after.last().State == alert.Firing && after.last().Severity == alert.Critical {
				require.Less(t, after.now.Sub(started), time.Hour)
				after.step(at("a", 1))
			}
			assert.GreaterOrEqual(t, after.now.Sub(started), whole)
			assert.LessOrEqual(t, after.now.Sub(started), whole+30*time.Second)
			assert.Equal(t, alert.Inactive, after.last().State)
			assert.Equal(t, b.out[0].ID, after.last().ID)
		})
	}
}

func TestLimitOfAGroupKeepsWhatFires(t *testing.T) {
	b := newExprBench(t, exprOptions(), "groups:\n- name: g\n  limit: 2\n  rules:\n  - {alert: Full, expr: kv_ratio > 0.9}\n")
	b.steps(1, at("a", 0.95))
	b.steps(2, at("a", 0.95), at("b", 0.95), at("c", 0.95), at("d", 0.95))
	s := b.Statistics()
	assert.Equal(t, 2, s.Rules[0].Firing)
	assert.Contains(t, b.kinds(), ProblemLimit)
	firing := map[string]bool{}
	for _, e := range b.out {
		firing[e.Labels["model_name"]] = true
	}
	assert.True(t, firing["a"], "what fired first fires on")

	// The silent track takes none of the places.
	b = newExprBench(t, exprOptions(), "groups:\n- name: g\n  limit: 2\n  rules:\n  - {alert: Full, expr: kv_ratio, tiers: {high: {above: 0.9}}, explore: 50%}\n")
	b.steps(1, at("a", 0.6), at("b", 0.6), at("c", 0.6))
	b.steps(1, at("a", 0.6), at("b", 0.6), at("c", 0.95))
	assert.Equal(t, 1, b.Statistics().Rules[0].Firing)
}

func TestRecordingRules(t *testing.T) {
	opts := exprOptions()
	opts.EmitRecorded = true
	b := newExprBench(t, opts, rulesFile(
		`{record: 'model:kv:max', expr: max by (model_name) (kv_ratio), labels: {made: here}}`,
		`{alert: Full, expr: 'model:kv:max > 0.9'}`))
	b.steps(1, at("a", 0.95), at("b", 0.5))
	require.Len(t, b.recorded, 2)
	slices.SortFunc(b.recorded, func(x, y Recorded) int { return labels.Compare(x.Labels, y.Labels) })
	assert.Equal(t, `{__name__="model:kv:max", made="here", model_name="a"}`, b.recorded[0].Labels.String())
	assert.InDelta(t, 0.95, b.recorded[0].Value, 0)
	assert.Equal(t, []string{"firing/medium/threshold"}, b.story(), "a later rule of the group sees it at once")
	assert.Equal(t, map[string]string{"made": "here", "model_name": "a"}, b.last().Labels)

	t.Run("what is not recorded any more is stale at once", func(t *testing.T) {
		b.steps(4 * 5)
		b.recorded = nil
		b.steps(4)
		assert.Empty(t, b.recorded)
		assert.Equal(t, []string{"firing/medium/threshold", "inactive/medium/recovered"}, b.story())
	})
	t.Run("one that is removed", func(t *testing.T) {
		b := newExprBench(t, exprOptions(), rulesFile(`{record: 'kv:max', expr: max(kv_ratio)}`, `{alert: Full, expr: 'kv:max > 0.9'}`))
		b.steps(4*6, at("a", 0.95))
		b.advanceTo(b.now.Add(time.Second))
		b.Reload(exprSet(t, rulesFile(`{alert: Full, expr: 'kv:max > 0.9'}`)), b.now)
		b.steps(1, at("a", 0.95))
		assert.Equal(t, []string{"firing/medium/threshold", "inactive/medium/recovered"}, b.story())
	})
}

func TestAlertsAreSeries(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(
		`{alert: Full, expr: kv_ratio > 0.9, for: 30s, labels: {team: x}}`,
		`{alert: Many, expr: 'count(ALERTS{alertname="Full", alertstate="firing", team="x"}) >= 2', labels: {severity: page}}`))
	b.steps(2, at("a", 0.95), at("b", 0.95))
	assert.NotContains(t, b.story(), "firing/critical/threshold")
	b.steps(1, at("a", 0.95), at("b", 0.95))
	assert.Contains(t, b.story(), "firing/critical/threshold")
}

func TestReloadOfExprRules(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(`{alert: Full, expr: kv_ratio, tiers: {high: {above: 0.9}}}`, `{alert: Other, expr: kv_ratio > 0.9}`))
	b.steps(2, at("a", 0.95))
	require.Len(t, b.story(), 2)
	b.out = nil

	b.Reload(exprSet(t, rulesFile(`{alert: Full, expr: kv_ratio, tiers: {high: {above: 0.8}}}`)), b.now)
	b.take()
	assert.Equal(t, []string{"inactive/medium/rule_removed"}, b.story(), "only what is gone ends")
	b.out = nil
	b.steps(1, at("a", 0.85))
	assert.Empty(t, b.story(), "judged by the new threshold, and the same alert")
	b.steps(1, at("a", 0.75))
	assert.Equal(t, []string{"inactive/high/recovered"}, b.story())
}

func TestFailedEvaluationKeepsAlerts(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(`{alert: Full, expr: kv_ratio * on (job) kv_ratio > 0.5}`))
	b.steps(2, at("a", 0.95))
	require.Equal(t, []string{"firing/medium/threshold"}, b.story())
	b.steps(4*7, at("a", 0.1), at("b", 0.1)) // two series of one job: many to many
	assert.Equal(t, []string{"firing/medium/threshold"}, b.story())
	assert.Equal(t, []ProblemKind{ProblemEvaluation}, b.kinds())
	b.steps(4*6, at("a", 0.1))
	assert.Equal(t, []string{"firing/medium/threshold", "inactive/medium/recovered"}, b.story())
	assert.Empty(t, b.kinds())
}

func TestDuplicateSeriesFireAndAreReported(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(`{alert: Any, expr: '{__name__=~"kv_ratio|kv:copy"} > 0.9'}`, `{record: 'kv:copy', expr: kv_ratio}`))
	b.steps(3, at("a", 0.95))
	assert.Equal(t, []string{"firing/medium/threshold"}, b.story())
	assert.Contains(t, b.kinds(), ProblemEvaluation)
	assert.Equal(t, int64(2), b.Statistics().Groups[0].Failures)
}

func TestSilentTrack(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(
		`{alert: Full, expr: kv_ratio, tiers: {high: {above: 0.9, for: 30s}}, explore: 20%}`,
		`{alert: Gauge, metric: kv, tiers: {high: {above: 0.9}}, explore: 20%}`))
	b.steps(1, at("a", 0.5))
	b.steps(6, at("a", 0.8))
	b.steps(2, at("a", 0.5))
	var said []string
	for _, e := range b.out {
		require.True(t, e.Silent, "nobody is told")
		said = append(said, e.Rule+" "+e.State.String())
	}
	slices.Sort(said)
	assert.Equal(t, []string{"Full firing", "Full inactive", "Gauge firing", "Gauge inactive"}, said, "at start and end only")
	for i := range Shards {
		assert.Empty(t, b.FiringShard(i))
	}
	assert.Zero(t, b.Statistics().Tagged)

	b.out = nil
	b.steps(4, at("a", 0.95))
	states := map[string]bool{}
	for _, e := range b.out {
		if !e.Silent {
			states[e.Rule+" "+e.State.String()] = true
		}
	}
	assert.Equal(t, []string{"Full firing", "Full pending", "Gauge firing"}, slices.Sorted(maps.Keys(states)))
}

func TestTwinsAreTwoAlerts(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(`{alert: Full, expr: kv_ratio > 0.9}`, `{alert: Full, expr: kv_ratio > 0.8}`))
	b.steps(1, at("a", 0.95))
	require.Len(t, b.out, 2)
	assert.NotEqual(t, b.out[0].ID, b.out[1].ID)

	// The very same rule twice, as Prometheus runs it, too; and each keeps its own state over a reload.
	file := rulesFile(`{alert: Full, expr: kv_ratio > 0.9}`, `{alert: Full, expr: kv_ratio > 0.9}`)
	b = newExprBench(t, exprOptions(), file)
	b.steps(1, at("a", 0.95))
	require.Len(t, b.out, 2)
	assert.NotEqual(t, b.out[0].ID, b.out[1].ID)
	b.out = nil
	b.Reload(exprSet(t, file), b.now)
	b.steps(1, at("a", 0.95))
	assert.Empty(t, b.out)
}

func TestQueriesInTemplates(t *testing.T) {
	b := newExprBench(t, exprOptions(), rulesFile(
		`{alert: Full, expr: kv_ratio > 0.9, annotations: {summary: '{{ $labels.__name__ }} {{ with query "sum(kv_ratio)" }}{{ . | first | value }}{{ end }}'}}`))
	b.steps(1, at("a", 1), at("b", 0.5))
	assert.Equal(t, "kv_ratio 1.5", b.last().Annotations["summary"])
	assert.NotContains(t, b.last().Labels, "__name__")
}

func TestGroupsAreSpreadOverTheirInterval(t *testing.T) {
	g := Group{Interval: time.Minute, Offset: 17 * time.Second}
	next := g.Next(t0)
	assert.Equal(t, int64(g.Offset), next.UnixNano()%int64(g.Interval))
	assert.True(t, next.After(t0) && next.Sub(t0) <= g.Interval)
	assert.Equal(t, next.Add(time.Minute), g.Next(next))
	assert.Equal(t, next, g.Next(next.Add(-time.Nanosecond)))
}

func TestProblemsThatOnlyDataShow(t *testing.T) {
	for name, c := range map[string]struct {
		rule string
		feed func(m pmetric.Metric, now time.Time, i int)
		want ProblemKind
	}{
		"rate of a gauge": {`{alert: R, expr: 'rate(depth[1m]) > 5'}`, func(m pmetric.Metric, now time.Time, i int) {
			numberPoint(m.SetEmptyGauge().DataPoints(), now, float64(i))
		}, ProblemGaugeRate},
		"percent of a fraction": {`{alert: R, expr: max(depth_ratio) > 90}`, func(m pmetric.Metric, now time.Time, i int) {
			m.SetUnit("1")
			numberPoint(m.SetEmptyGauge().DataPoints(), now, 0.93)
		}, ProblemPercent},
		"beyond the last bucket": {`{alert: R, expr: 'histogram_quantile(0.9, sum by (le) (rate(depth_bucket[1m])))', tiers: {high: {above: 10}}}`, func(m pmetric.Metric, now time.Time, i int) {
			h := m.SetEmptyHistogram()
			h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			dp := h.DataPoints().AppendEmpty()
			dp.SetTimestamp(pcommon.NewTimestampFromTime(now))
			dp.ExplicitBounds().FromRaw([]float64{1, 10})
			dp.BucketCounts().FromRaw([]uint64{0, uint64(i), uint64(i)})
			dp.SetCount(uint64(2 * i))
		}, ProblemBucket},
		"never matched": {`{alert: R, expr: gone > 5}`, func(m pmetric.Metric, now time.Time, _ int) {
			numberPoint(m.SetEmptyGauge().DataPoints(), now, 1)
		}, ProblemNeverMatched},
		"an error": {`{alert: R, expr: depth * on (job) depth > 5}`, func(m pmetric.Metric, now time.Time, _ int) {
			points := m.SetEmptyGauge().DataPoints()
			for _, s := range []string{"a", "b"} {
				numberPoint(points, now, 1).Attributes().PutStr("s", s)
			}
		}, ProblemEvaluation},
		"rate of what has no type": {`{alert: R, expr: 'rate(depth[1m]) > 5'}`, func(m pmetric.Metric, now time.Time, i int) {
			m.Metadata().PutStr(translate.TypeKey, translate.TypeUnknown)
			numberPoint(m.SetEmptyGauge().DataPoints(), now, float64(i))
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			opts := exprOptions()
			opts.NeverMatched = time.Minute
			b := newExprBench(t, opts, rulesFile(c.rule))
			for i := range 8 {
				b.advanceTo(b.now.Add(15 * time.Second))
				md := pmetric.NewMetrics()
				m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
				m.SetName("depth")
				c.feed(m, b.now, i)
				b.judge(md)
				b.evaluateAll()
			}
			if c.want == "" {
				assert.Empty(t, b.kinds())
				return
			}
			assert.Equal(t, []ProblemKind{c.want}, b.kinds())
			assert.NotEmpty(t, b.Problems(b.now)[0].Detail)
		})
	}
}

func numberPoint(points pmetric.NumberDataPointSlice, now time.Time, v float64) pmetric.NumberDataPoint {
	p := points.AppendEmpty()
	p.SetTimestamp(pcommon.NewTimestampFromTime(now))
	p.SetDoubleValue(v)
	return p
}
