package window

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// obvious is a window that is slow and obvious: it never forgets a sample unless the series goes or the sample is
// withdrawn. From the horizon of a series on, the window must have the very same samples.
type obvious struct {
	window     *Window
	now        int64
	selectors  []Selector
	everything bool
	series     map[string]*modelSeries
	dropped    map[Reason]int64
}

type modelSeries struct {
	labels  labels.Labels
	samples []sample
	horizon int64
}

const modelSlack = 5 * time.Second

func (m *obvious) cut(ls labels.Labels) (cut int64, selected bool) {
	if m.everything {
		return math.MinInt64, true
	}
	before := time.Duration(-1)
	for _, s := range m.selectors {
		if matches(s.Matchers, ls) {
			before = max(before, s.Before+modelSlack)
		}
	}
	return m.now - before.Milliseconds(), before >= 0
}

func (m *obvious) raise() {
	for _, s := range m.series {
		cut, _ := m.cut(s.labels)
		s.horizon = max(s.horizon, cut)
	}
}

// append says whether the window must take the sample, must not, or may.
func (m *obvious) append(ls labels.Labels, sm sample) (kept, certain bool) {
	cut, selected := m.cut(ls)
	s := m.series[ls.String()]
	switch {
	case !selected:
		m.dropped[ReasonUnselected]++
		return false, true
	case sm.t < cut:
		m.dropped[ReasonTooOld]++
		return false, true
	case s == nil:
		m.series[ls.String()] = &modelSeries{labels: ls, samples: []sample{sm}, horizon: cut}
		return true, true
	}
	past := slices.DeleteFunc(slices.Clone(s.samples), func(old sample) bool { return old.t > m.now })
	if len(past) < len(s.samples) && sm.t <= m.now && (len(past) == 0 || past[len(past)-1].t < sm.t) {
		m.dropped[ReasonWithdrawn] += int64(len(s.samples) - len(past))
		s.samples = past
	}
	if n := len(s.samples); n > 0 && sm.t <= s.samples[n-1].t {
		m.dropped[ReasonLate]++
		return false, sm.t >= s.horizon
	}
	s.samples = append(s.samples, sm)
	return true, true
}

var (
	modelSeriesLabels = []labels.Labels{
		labels.FromStrings("__name__", "a", "x", "1"),
		labels.FromStrings("__name__", "a", "x", "2"),
		labels.FromStrings("__name__", "ab", "x", "1", "y", "2"),
		labels.FromStrings("__name__", "b"),
	}
	modelMatchers = [][]*labels.Matcher{
		{labels.MustNewMatcher(labels.MatchEqual, "__name__", "a")},
		{labels.MustNewMatcher(labels.MatchEqual, "__name__", "a"), labels.MustNewMatcher(labels.MatchEqual, "x", "2")},
		{labels.MustNewMatcher(labels.MatchRegexp, "__name__", "a.*")},
		{labels.MustNewMatcher(labels.MatchRegexp, "__name__", "b|ab")},
		{labels.MustNewMatcher(labels.MatchEqual, "x", "1")},
		{labels.MustNewMatcher(labels.MatchEqual, "__name__", "b"), labels.MustNewMatcher(labels.MatchNotEqual, "x", "1")},
		{labels.MustNewMatcher(labels.MatchNotRegexp, "__name__", "b|ab")},
	}
)

func TestAgainstModel(t *testing.T) { rapid.Check(t, checkModel) }

func checkModel(t *rapid.T) {
	w := New(Options{Lookback: time.Minute, Slack: modelSlack, StartTimestamps: true})
	m := &obvious{window: w, now: 1_700_000_000_000, series: map[string]*modelSeries{}, dropped: map[Reason]int64{}}
	refs := map[string]storage.SeriesRef{}

	one := func(t *rapid.T, ls labels.Labels, sm sample) {
		was := sm
		if sm.h != nil {
			was.h = sm.h.Copy()
		}
		if sm.fh != nil {
			was.fh = sm.fh.Copy()
		}
		ref, err := w.AppendRef(refs[ls.String()], ls, sm.st, sm.t, sm.v, sm.h, sm.fh, m.now)
		require.Equal(t, fmt.Sprintf("%#v %#v", was.h, was.fh), fmt.Sprintf("%#v %#v", sm.h, sm.fh), "the caller's histogram was changed")
		kept, certain := m.append(ls, sm)
		if certain {
			require.Equal(t, kept, ref != 0, "%s at %d, now %d: %v", ls, sm.t, m.now, err)
		}
		if err != nil {
			require.True(t, errors.Is(err, ErrLate) || errors.Is(err, ErrTooOld), "%v", err)
		}
		if ref != 0 {
			refs[ls.String()] = ref
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"keep": func(t *rapid.T) {
			m.selectors = nil
			for range rapid.IntRange(0, 4).Draw(t, "selectors") {
				m.selectors = append(m.selectors, Selector{
					Matchers: rapid.SampledFrom(modelMatchers).Draw(t, "matchers"),
					Before:   time.Duration(rapid.IntRange(0, 900).Draw(t, "before")) * time.Second,
				})
			}
			m.everything = rapid.IntRange(0, 9).Draw(t, "everything") == 0
			w.Keep(m.selectors, m.everything)
			for key, s := range m.series {
				if _, selected := m.cut(s.labels); !selected {
					delete(m.series, key)
				}
			}
		},
		"append": func(t *rapid.T) {
			m.now += rapid.Int64Range(0, 20_000).Draw(t, "passed")
			m.raise()
			ahead := rapid.SampledFrom([]int64{0, 0, 0, 1, 5_000, 300_000, -1, -15_000, -400_000}).Draw(t, "ahead")
			one(t, rapid.SampledFrom(modelSeriesLabels).Draw(t, "labels"), drawSample(t, m.now+ahead))
		},
		"steady": func(t *rapid.T) {
			ls := rapid.SampledFrom(modelSeriesLabels).Draw(t, "labels")
			every := rapid.SampledFrom([]int64{1000, 15_000, 60_000}).Draw(t, "every")
			jitter := rapid.Int64Range(0, 500).Draw(t, "jitter")
			kind := rapid.IntRange(0, 3).Draw(t, "kind")
			for i := range rapid.IntRange(1, 150).Draw(t, "samples") {
				m.now += every
				m.raise()
				sm := sample{st: 7, t: m.now - int64(i)%3*jitter, v: float64(i) * 1.1}
				if kind == 0 && i%40 < 20 {
					sm.h, sm.v = steadyHistogram(i), 0
				}
				one(t, ls, sm)
			}
		},
		"repeat": func(t *rapid.T) {
			for _, s := range m.series {
				if n := len(s.samples); n > 0 {
					one(t, s.labels, s.samples[n-1])
				}
			}
		},
		"prune": func(t *rapid.T) {
			m.now += rapid.Int64Range(0, 120_000).Draw(t, "passed")
			m.raise()
			for range rapid.SampledFrom([]int{1, shards / prunedAtOnce}).Draw(t, "calls") {
				w.Prune(time.UnixMilli(m.now))
			}
		},
		"": m.check,
	})
}

// check compares what queries see.
func (m *obvious) check(t *rapid.T) {
	matchers := rapid.SampledFrom(modelMatchers).Draw(t, "query")
	mint := m.now - rapid.Int64Range(0, 1_000_000).Draw(t, "from")
	maxt := mint + rapid.Int64Range(0, 1_400_000).Draw(t, "for")
	q, err := m.window.Querier(mint, maxt)
	require.NoError(t, err)
	hints := &storage.SelectHints{Start: mint, End: maxt, Step: 1000}
	if newest := rapid.Bool().Draw(t, "newest"); newest {
		hints = &storage.SelectHints{Start: maxt - 59_999, End: maxt}
		mint = maxt - 59_999
	}
	set := q.Select(context.Background(), rapid.Bool().Draw(t, "sorted"), hints, matchers...)
	found := map[string]bool{}
	var it chunkenc.Iterator
	for set.Next() {
		ls := set.At().Labels()
		key := ls.String()
		require.False(t, found[key], "%s comes twice", key)
		require.True(t, matches(matchers, ls), "%s does not match", key)
		found[key] = true
		it = set.At().Iterator(it)
		s := m.series[key]
		if s == nil { // pruned in the model only when it is deselected
			require.Fail(t, "not selected", key)
		}
		want := slices.DeleteFunc(slices.Clone(s.samples), func(sm sample) bool { return sm.t < max(mint, s.horizon) || sm.t > maxt })
		if hints.Step == 0 {
			if n := len(want); n > 0 {
				m.compareNewest(t, it, want[n-1])
			}
			continue
		}
		m.compare(t, it, want, s.horizon)
	}
	require.NoError(t, set.Err())
	for key, s := range m.series {
		if !found[key] && matches(matchers, s.labels) {
			for _, sm := range s.samples {
				require.False(t, sm.t >= max(mint, s.horizon) && sm.t <= maxt, "%s is missing", key)
			}
		}
	}
	st := m.window.Statistics()
	for r, n := range st.Dropped {
		if r == ReasonUnselected || r == ReasonWithdrawn {
			require.Equal(t, m.dropped[r], n, r)
		}
	}
	require.GreaterOrEqual(t, st.Bytes, int64(st.Series*80+st.Samples/8))
	counted := 0
	for i := range m.window.shards {
		for _, s := range m.window.shards[i].table {
			if s != nil {
				counted += s.samples()
			}
		}
	}
	require.Equal(t, counted, st.Samples)
	require.EqualValues(t, st.Series, m.window.series.Load())
}

func (*obvious) compareNewest(t *rapid.T, it chunkenc.Iterator, want sample) {
	var last sample
	for kind := it.Next(); kind != chunkenc.ValNone; kind = it.Next() {
		last = current(it, kind)
	}
	requireSame(t, want, last)
}

// compare goes through the samples as the engine may: by Next, or by Seek.
func (*obvious) compare(t *rapid.T, it chunkenc.Iterator, want []sample, horizon int64) {
	i := -1
	for {
		var at chunkenc.ValueType
		if rapid.IntRange(0, 9).Draw(t, "seek") == 0 && len(want) > 0 {
			to := want[rapid.IntRange(0, len(want)-1).Draw(t, "to")].t + rapid.Int64Range(-1, 1).Draw(t, "off")
			to = max(to, horizon)
			at, i = it.Seek(to), max(i, 0)
			for i < len(want) && want[i].t < to {
				i++
			}
		} else {
			at = it.Next()
			for at != chunkenc.ValNone && it.AtT() < horizon {
				at = it.Next()
			}
			i++
		}
		if i >= len(want) {
			require.Equal(t, chunkenc.ValNone, at, "a sample too many")
			require.Equal(t, chunkenc.ValNone, it.Next())
			require.Equal(t, chunkenc.ValNone, it.Seek(math.MaxInt64))
			require.NoError(t, it.Err())
			return
		}
		require.NotEqual(t, chunkenc.ValNone, at, "sample %d of %d at %d is missing", i, len(want), want[i].t)
		requireSame(t, want[i], current(it, at))
	}
}

func current(it chunkenc.Iterator, kind chunkenc.ValueType) sample {
	sm := sample{st: it.AtST(), t: it.AtT()}
	switch kind {
	case chunkenc.ValHistogram:
		_, sm.h = it.AtHistogram(nil)
	case chunkenc.ValFloatHistogram:
		_, sm.fh = it.AtFloatHistogram(nil)
	default:
		_, sm.v = it.At()
	}
	return sm
}

func requireSame(t *rapid.T, want, got sample) {
	require.Equal(t, want.t, got.t, "time")
	require.Equal(t, want.st, got.st, "start time")
	require.Equal(t, math.Float64bits(want.v), math.Float64bits(got.v), "value at %d", want.t)
	wantH, wantF := histogramString(want)
	gotH, gotF := histogramString(got)
	require.Equal(t, wantH, gotH)
	require.Equal(t, wantF, gotF)
}

// histogramString is the same for the same buckets, however they are laid out.
func histogramString(sm sample) (string, string) {
	hint := func(h histogram.CounterResetHint) bool { return h == histogram.GaugeType }
	switch {
	case sm.h != nil:
		if value.IsStaleNaN(sm.h.Sum) {
			return "stale", ""
		}
		return fmt.Sprint(sm.h.Copy().Compact(0), hint(sm.h.CounterResetHint)), ""
	case sm.fh != nil:
		if value.IsStaleNaN(sm.fh.Sum) {
			return "", "stale"
		}
		return "", fmt.Sprint(sm.fh.Copy().Compact(0), hint(sm.fh.CounterResetHint))
	default:
		return "", ""
	}
}

func drawSample(t *rapid.T, at int64) sample {
	sm := sample{st: rapid.SampledFrom([]int64{0, 1, at - 1000}).Draw(t, "st"), t: at}
	switch rapid.IntRange(0, 7).Draw(t, "kind") {
	case 0:
		sm.h = drawHistogram(t)
	case 1:
		sm.fh = drawHistogram(t).ToFloat(nil)
	case 2:
		sm.v = math.Float64frombits(value.StaleNaN)
	case 3:
		sm.v = float64(rapid.IntRange(0, 3).Draw(t, "v"))
	default:
		sm.v = rapid.Float64().Draw(t, "v")
	}
	return sm
}

func drawHistogram(t *rapid.T) *histogram.Histogram {
	h := &histogram.Histogram{
		Schema:        rapid.Int32Range(0, 2).Draw(t, "schema"),
		ZeroThreshold: 0.001,
		ZeroCount:     rapid.Uint64Range(0, 3).Draw(t, "zero"),
		Sum:           rapid.Float64Range(-10, 10).Draw(t, "sum"),
	}
	h.CounterResetHint = rapid.SampledFrom([]histogram.CounterResetHint{
		histogram.UnknownCounterReset, histogram.CounterReset, histogram.NotCounterReset, histogram.GaugeType,
	}).Draw(t, "hint")
	if rapid.IntRange(0, 9).Draw(t, "stale") == 0 {
		return &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	}
	h.Count = h.ZeroCount
	buckets := func() (spans []histogram.Span, deltas []int64) {
		before := int64(0)
		for range rapid.IntRange(0, 2).Draw(t, "spans") {
			span := histogram.Span{Offset: rapid.Int32Range(1, 3).Draw(t, "offset"), Length: rapid.Uint32Range(1, 3).Draw(t, "length")}
			for range span.Length {
				n := rapid.Int64Range(0, 5).Draw(t, "bucket")
				deltas, before = append(deltas, n-before), n
				h.Count += uint64(n)
			}
			spans = append(spans, span)
		}
		return spans, deltas
	}
	h.PositiveSpans, h.PositiveBuckets = buckets()
	h.NegativeSpans, h.NegativeBuckets = buckets()
	return h
}

func steadyHistogram(i int) *histogram.Histogram {
	return &histogram.Histogram{
		Schema: 1, Count: uint64(3 * i), Sum: float64(i),
		PositiveSpans:   []histogram.Span{{Offset: 1, Length: uint32(1 + i%2)}},
		PositiveBuckets: []int64{int64(3 * i), -int64(3 * i)}[:1+i%2],
	}
}
