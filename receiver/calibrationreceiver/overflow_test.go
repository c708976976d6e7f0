package calibrationreceiver

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadatatest"
)

// crowd is a ledger of many rules, in memory: each with so many episodes, all paged, of which so many were judged false.
type crowd struct {
	ledger.Ledger
	now    time.Time
	rules  []crowded
	misses []*ledger.Miss
}

type crowded struct {
	name            string
	episodes, wrong int64
	idle            bool // nothing within the window
}

func (c *crowd) View(_ context.Context, _ time.Time, fn func(ledger.Tx) error) error {
	return fn(crowdTx{c: c})
}

func (c *crowd) Standing() ledger.Standing { return ledger.Standing{Leads: true} }

type crowdTx struct {
	ledger.Tx
	c *crowd
}

func (tx crowdTx) Now() time.Time                                           { return tx.c.now }
func (tx crowdTx) CountersSince() (time.Time, error)                        { return ledgertest.Epoch, nil }
func (crowdTx) LastEvent() (int64, error)                                   { return 0, nil }
func (crowdTx) EventsAfter(int64, int) ([]*ledger.Event, error)             { return nil, nil }
func (crowdTx) Samples(string, time.Time) ([]*ledger.Sample, error)         { return nil, nil }
func (tx crowdTx) Misses(string, time.Time) ([]*ledger.Miss, error)         { return tx.c.misses, nil }
func (crowdTx) Changes(string, time.Time) ([]*ledger.Change, error)         { return nil, nil }
func (crowdTx) Setting(string) (string, error)                              { return "", nil }
func (crowdTx) Explored(string, time.Time, int) ([]*ledger.Explored, error) { return nil, nil }

func (r crowded) key(metric, value string) ledger.CounterKey {
	return ledger.CounterKey{Metric: metric, Rule: r.name, Owner: "o", SourceMetric: "m", Severity: alert.High, Value: value}
}

func (tx crowdTx) Counters() (all []ledger.Counter, _ error) {
	for _, r := range tx.c.rules {
		all = append(all, ledger.Counter{CounterKey: r.key(alert.MetricEpisodes, "notified"), N: r.episodes})
		if r.wrong > 0 {
			all = append(all, ledger.Counter{CounterKey: r.key(alert.MetricVerdicts, "false_positive"), N: r.wrong})
		}
	}
	return all, nil
}

func (tx crowdTx) Histograms() (all []ledger.Histogram, _ error) {
	for _, r := range tx.c.rules {
		all = append(all, ledger.Histogram{
			CounterKey: r.key(alert.MetricTimeToNotify, ""), Scale: 4, Count: uint64(r.episodes), Sum: float64(r.episodes), Min: 1, Max: 1,
			Buckets: map[int32]uint64{-1: uint64(r.episodes)},
		})
	}
	return all, nil
}

func (tx crowdTx) Tallies(since time.Time) (all []ledger.Tally, _ error) {
	for _, r := range tx.c.rules {
		if r.idle && !since.IsZero() {
			continue
		}
		all = append(all, ledger.Tally{
			Rule: r.name, Owner: "o", SourceMetric: "m", Severity: alert.High, Episodes: r.episodes, Notified: r.episodes, NotifiedEnded: r.episodes,
			NotifiedJudged: r.wrong, Verdicts: map[ledger.Verdict]int64{ledger.FalsePositive: r.wrong},
		})
	}
	return all, nil
}

func (c *crowd) collect(t testing.TB, m *collector) (snapshot, pmetric.Metrics) {
	t.Helper()
	s, err := m.read(context.Background(), c.now)
	require.NoError(t, err)
	return s, s.metrics()
}

// overflow is the point of a number metric that stands for the rest.
func overflow(t testing.TB, md pmetric.Metrics, name string) (value float64, since time.Time) {
	t.Helper()
	found := 0
	each(md, func(metric string, attrs pcommon.Map, start pcommon.Timestamp, v float64) {
		if rest, ok := attrs.Get(alert.AttrOverflow); ok && metric == name {
			assert.True(t, rest.Bool())
			_, named := attrs.Get(alert.AttrRule)
			assert.False(t, named, "%s: nothing that tells apart", name)
			found++
			value, since = v, start.AsTime()
		}
	})
	require.Equal(t, 1, found, name)
	return value, since
}

// each calls fn for every number point.
func each(md pmetric.Metrics, fn func(metric string, attrs pcommon.Map, start pcommon.Timestamp, value float64)) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			var points pmetric.NumberDataPointSlice
			switch m.Type() {
			case pmetric.MetricTypeSum:
				points = m.Sum().DataPoints()
			case pmetric.MetricTypeGauge:
				points = m.Gauge().DataPoints()
			default:
				continue
			}
			for _, p := range points.All() {
				v := p.DoubleValue()
				if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
					v = float64(p.IntValue())
				}
				fn(m.Name(), p.Attributes(), p.StartTimestamp(), v)
			}
		}
	}
}

// A hundred thousand names of rules, which anybody who can send OTLP can make up: a collection has no more points than the limit
// allows, those that people judge and that fire most are told apart, and the rest is told together.
func TestAHundredThousandRules(t *testing.T) {
	const names, limit = 100_000, 1000
	c := &crowd{now: ledgertest.Epoch.Add(time.Hour)}
	for i := range names {
		r := crowded{name: fmt.Sprintf("rule-%06d", i), episodes: 1}
		switch {
		case i%10_000 == 0: // ten that people have judged
			r.episodes, r.wrong = 2, 2
		case i%1000 == 1: // a hundred that fire often
			r.episodes = 50
		}
		c.rules = append(c.rules, r)
	}
	m := newCollector(c, time.Hour, limit)
	began := time.Now()
	c.collect(t, m)
	first := time.Since(began)
	began = time.Now()
	s, md := c.collect(t, m)
	t.Logf("%d names: %d points, first %s, then %s", names, md.DataPointCount(), first, time.Since(began))
	assert.Less(t, time.Since(began), 20*time.Second, "only a gross failure fails here")
	assert.Equal(t, names-limit, s.over)
	assert.LessOrEqual(t, md.DataPointCount(), (limit+1)*12)
	told := named(md, alert.MetricFlappingRatio)
	assert.Len(t, told, limit+1, "and the rest")
	for i := range names {
		if i%10_000 == 0 || i%1000 == 1 {
			assert.Contains(t, told, c.rules[i].name)
		}
	}
	value, _ := overflow(t, md, alert.MetricUnacknowledgedRatio)
	assert.Zero(t, value)
	assert.Equal(t, 1., named(md, alert.MetricFalsePositiveRatio)["rule-000000"])
}

// What is told apart stays so, and the rest's sums go up from one collection to the next. Where a place is wanted it is taken from who
// has been silent for the window; the rest then begins anew.
func TestOverflowOverTime(t *testing.T) {
	c := &crowd{now: ledgertest.Epoch.Add(time.Hour)}
	for i := range 10 {
		c.rules = append(c.rules, crowded{name: fmt.Sprint("r", i), episodes: int64(10 - i)})
	}
	m := newCollector(c, time.Hour, 4)
	apart := func(md pmetric.Metrics) string {
		var names []string
		for i := range 10 {
			if _, ok := named(md, alert.MetricEpisodes)[fmt.Sprint("r", i)]; ok {
				names = append(names, fmt.Sprint("r", i))
			}
		}
		return strings.Join(names, " ")
	}
	begun := c.now
	_, md := c.collect(t, m)
	assert.Equal(t, "r0 r1 r2 r3", apart(md))
	assert.Equal(t, 10., named(md, alert.MetricEpisodes)["r0"], "of all time")
	value, since := overflow(t, md, alert.MetricEpisodes)
	assert.Zero(t, value, "what they had before is not known to be new")
	assert.Equal(t, begun.UTC(), since)

	c.now = c.now.Add(time.Minute)
	c.rules[9].episodes += 100 // more than any other: but the choice holds
	c.rules[8].episodes++
	_, md = c.collect(t, m)
	assert.Equal(t, "r0 r1 r2 r3", apart(md))
	value, since = overflow(t, md, alert.MetricEpisodes)
	assert.Equal(t, 101., value)
	assert.Equal(t, begun.UTC(), since)

	c.now = c.now.Add(time.Minute)
	c.rules = append(c.rules, crowded{name: "r-new", episodes: 5})
	_, md = c.collect(t, m)
	value, since = overflow(t, md, alert.MetricEpisodes)
	assert.Equal(t, 106., value, "a new one is told with the rest, from its beginning")
	assert.Equal(t, begun.UTC(), since)

	c.now = c.now.Add(time.Minute)
	c.rules[2].idle = true
	_, md = c.collect(t, m)
	assert.Equal(t, "r0 r1 r3 r9", apart(md), "the place of who is silent is taken by who fires most")
	value, since = overflow(t, md, alert.MetricEpisodes)
	assert.Zero(t, value)
	assert.Equal(t, c.now.UTC(), since, "the rest begins anew")

	c.now = c.now.Add(time.Minute)
	c.rules = c.rules[:4]
	s, md := c.collect(t, m)
	assert.Zero(t, s.over)
	assert.Equal(t, "r0 r1 r2 r3", apart(md))
	each(md, func(metric string, attrs pcommon.Map, _ pcommon.Timestamp, _ float64) {
		_, ok := attrs.Get(alert.AttrOverflow)
		assert.False(t, ok, metric)
	})
}

// The rest's distribution is that of what came since the choice.
func TestOverflowHistogram(t *testing.T) {
	c := &crowd{now: ledgertest.Epoch, rules: []crowded{{name: "a", episodes: 9}, {name: "b", episodes: 5}, {name: "c", episodes: 3}}}
	m := newCollector(c, time.Hour, 1)
	point := func() (p pmetric.ExponentialHistogramDataPoint, found bool) {
		_, md := c.collect(t, m)
		for _, one := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
			if one.Name() != alert.MetricTimeToNotify {
				continue
			}
			for _, p := range one.ExponentialHistogram().DataPoints().All() {
				if _, ok := p.Attributes().Get(alert.AttrOverflow); ok {
					return p, true
				}
			}
		}
		return p, false
	}
	_, found := point()
	assert.False(t, found, "nothing yet")
	c.rules[1].episodes += 2
	c.rules[2].episodes++
	p, found := point()
	require.True(t, found)
	assert.Equal(t, uint64(3), p.Count())
	assert.Equal(t, 3.0, p.Sum())
	assert.Equal(t, []uint64{3}, p.Positive().BucketCounts().AsRaw())
	assert.False(t, p.HasMin() || p.HasMax())
	assert.Equal(t, ledgertest.Epoch.UTC(), p.StartTimestamp().AsTime())
}

// What people say was missed is told of rules that are told apart, and of those that have never fired, no more than the limit.
func TestMissesAreBounded(t *testing.T) {
	c := &crowd{now: ledgertest.Epoch}
	for i := range 10 {
		c.rules = append(c.rules, crowded{name: fmt.Sprint("r", i), episodes: int64(10 - i)})
		for _, rule := range []string{fmt.Sprint("r", i), fmt.Sprint("silent", i)} {
			c.misses = append(c.misses, &ledger.Miss{Rule: rule, At: c.now})
		}
	}
	_, md := c.collect(t, newCollector(c, time.Hour, 4))
	recalls := named(md, alert.MetricRecall)
	assert.Len(t, recalls, 4)
	for i := 4; i < 10; i++ {
		assert.NotContains(t, recalls, fmt.Sprint("r", i), "it is told with the rest")
	}
	_, md = c.collect(t, newCollector(c, time.Hour, 100))
	recalls = named(md, alert.MetricRecall)
	assert.Len(t, recalls, 20)
	assert.Zero(t, recalls["silent9"])
}

// Whatever comes and goes: there are never more than the limit, who is heard of keeps the place, and the choice does not depend on the
// order in which maps are read.
func TestAdmission(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		a, twin := admission{limit: limit}, admission{limit: limit}
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			known := map[series]standing{}
			for i := range 10 {
				k := series{rule: fmt.Sprint("r", i)}
				switch rapid.IntRange(0, 3).Draw(t, "state") {
				case 0: // unknown
				case 1:
					known[k] = standing{total: rapid.Int64Range(0, 3).Draw(t, "total")}
				default:
					known[k] = standing{total: 1, recent: &ledger.Tally{
						Episodes: rapid.Int64Range(1, 3).Draw(t, "episodes"), Verdicts: map[ledger.Verdict]int64{ledger.Expected: rapid.Int64Range(0, 2).Draw(t, "judged")},
					}}
				}
			}
			before := a.kept
			over, changed := a.choose(known)
			_, _ = twin.choose(known)
			require.Equal(t, a.kept, twin.kept)
			require.LessOrEqual(t, len(a.kept), limit)
			require.Equal(t, len(known)-len(a.kept), over)
			if over > 0 {
				require.Len(t, a.kept, limit, "no place is empty")
			}
			for k := range before {
				one, ok := known[k]
				if _, still := a.kept[k]; ok && !one.idle() {
					require.True(t, still, "%v is heard of", k)
				}
			}
			for k := range a.kept {
				_, was := before[k]
				require.True(t, was || changed || over == 0, "what is told apart now is told apart by a choice")
				require.Contains(t, known, k)
			}
			if over > 0 {
				a.base, twin.base = &rest{}, &rest{}
			} else {
				a.base, twin.base = nil, nil
			}
		}
	})
}

// What is added to a distribution and taken away again leaves it as it was, but for the extremes.
func TestRestOfHistograms(t *testing.T) {
	draw := func(t *rapid.T, name string) *ledger.Histogram {
		h := &ledger.Histogram{Scale: rapid.Int32Range(2, 5).Draw(t, name+" scale"), Buckets: rapid.MapOf(rapid.Int32Range(-500, 500), rapid.Uint64Range(1, 100)).Draw(t, name)}
		h.Zero = rapid.Uint64Range(0, 5).Draw(t, name+" zero")
		h.Count = h.Zero
		for _, n := range h.Buckets {
			h.Count += n
		}
		h.Sum = float64(h.Count)
		return h
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		sum := copyOf(a)
		add(sum, b)
		require.Equal(t, a.Count+b.Count, sum.Count)
		subtract(sum, a)
		want := copyOf(b)
		coarsen(want, sum.Scale)
		require.Equal(t, want.Buckets, sum.Buckets)
		require.Equal(t, b.Count, sum.Count)
		require.Equal(t, b.Zero, sum.Zero)
		require.True(t, math.IsNaN(sum.Min))
	})
}

// That there are too many is said once, and how many is counted.
func TestOverflowIsTold(t *testing.T) {
	c := &crowd{now: ledgertest.Epoch, rules: []crowded{{name: "a", episodes: 1}, {name: "b", episodes: 1}, {name: "c", episodes: 1}}}
	own := componenttest.NewTelemetry()
	obs, err := newObsreport(settings(own))
	require.NoError(t, err)
	logged, lines := observer.New(zap.InfoLevel)
	m := newCollector(c, time.Hour, 1)
	m.obs, m.health, m.next = obs, &health{logger: zap.New(logged)}, consumertest.NewNop()
	expect := func(n int64) {
		t.Helper()
		m.collect(t.Context())
		metadatatest.AssertEqualReceiverCalibrationOverflow(t, own, []metricdata.DataPoint[int64]{{Value: n}}, ignoreTime)
	}
	expect(2)
	expect(2)
	assert.Equal(t, 1, lines.Len())
	assert.Contains(t, lines.All()[0].Message, "limits.series")
	c.rules = c.rules[:1]
	expect(0)
	assert.Equal(t, 2, lines.Len())
	require.NoError(t, own.Shutdown(t.Context()))
}
