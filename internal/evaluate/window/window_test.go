package window

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

const start = int64(1_700_000_000_000)

func selector(t testing.TB, text string, before time.Duration) Selector {
	matchers, err := parser.NewParser(parser.Options{}).ParseMetricSelector(text)
	require.NoError(t, err)
	return Selector{Matchers: matchers, Before: before}
}

func keeping(t testing.TB, opts Options, texts ...string) *Window {
	w := New(opts)
	var selectors []Selector
	for _, text := range texts {
		selectors = append(selectors, selector(t, text, 5*time.Minute))
	}
	w.Keep(selectors, false)
	return w
}

// read returns what a selector reads, as text.
func readAll(t testing.TB, w *Window, text string) map[string]string {
	q, err := w.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(t, err)
	found := map[string]string{}
	set := q.Select(context.Background(), false, nil, selector(t, text, 0).Matchers...)
	var it chunkenc.Iterator
	for set.Next() {
		list := ""
		it = set.At().Iterator(it)
		for it.Next() != chunkenc.ValNone {
			_, v := it.At()
			list += fmt.Sprintf("%g@%d ", v, (it.AtT()-start)/1000)
		}
		found[set.At().Labels().String()] = list
	}
	return found
}

func at(seconds int64) int64 { return start + seconds*1000 }

func TestWants(t *testing.T) {
	for _, tc := range []struct {
		selectors     []string
		wants, wants0 []string
	}{
		{nil, nil, []string{"a", ""}},
		{[]string{`a{x="1"}`, `b`}, []string{"a", "b"}, []string{"c", "ab", ""}},
		{[]string{`{__name__=~"a|b"}`}, []string{"a", "b"}, []string{"c", "ab", ""}},
		{[]string{`{__name__=~"a.*",__name__!="ab"}`}, []string{"a", "ac"}, []string{"b", "ab"}},
		{[]string{`{__name__=~"a|ab",__name__!="ab"}`}, []string{"a"}, []string{"b", "ab"}},
		{[]string{`{__name__!="a",x="1"}`}, []string{"b", ""}, []string{"a"}},
		{[]string{`{x="1"}`}, []string{"a", "b", ""}, nil},
	} {
		w := keeping(t, Options{}, tc.selectors...)
		for _, name := range tc.wants {
			require.True(t, w.Wants(name), "%v %q", tc.selectors, name)
		}
		for _, name := range tc.wants0 {
			require.False(t, w.Wants(name), "%v %q", tc.selectors, name)
		}
	}
	everything := New(Options{})
	everything.Keep(nil, true)
	require.True(t, everything.Wants("a"))
}

func TestSeriesLimitRefusesNewSeriesOnly(t *testing.T) {
	w := keeping(t, Options{Series: 2}, "a")
	series := func(x string) labels.Labels { return labels.FromStrings("__name__", "a", "x", x) }
	require.NoError(t, w.Append(series("1"), 0, at(0), 1, nil, nil, at(0)))
	require.NoError(t, w.Append(series("2"), 0, at(0), 1, nil, nil, at(0)))
	require.ErrorIs(t, w.Append(series("3"), 0, at(0), 1, nil, nil, at(0)), ErrSeriesLimit)
	require.NoError(t, w.Append(series("1"), 0, at(1), 1, nil, nil, at(1)))
	st := w.Statistics()
	require.Equal(t, 2, st.Series)
	require.EqualValues(t, 1, st.Dropped[ReasonSeriesLimit])

	// A series that has left the window makes room.
	require.NoError(t, w.Append(series("2"), 0, at(400), 1, nil, nil, at(400)))
	for range shards / prunedAtOnce {
		w.Prune(time.UnixMilli(at(400)))
	}
	require.NoError(t, w.Append(series("3"), 0, at(400), 1, nil, nil, at(400)))
	require.Len(t, readAll(t, w, "a"), 2)

	// So does one that nothing selects any more.
	w.Keep([]Selector{selector(t, `a{x="3"}`, time.Minute)}, false)
	require.Equal(t, 1, w.Statistics().Series)
	require.NoError(t, w.Append(series("1"), 0, at(401), 1, nil, nil, at(401)), "what nothing selects is no error")
	require.Equal(t, 1, w.Statistics().Series)
}

func TestWildTimestampDoesNotBlindASeries(t *testing.T) {
	w := keeping(t, Options{}, "a")
	a := labels.FromStrings("__name__", "a")
	add := func(t, now int64, v float64) error { return w.Append(a, 0, at(t), v, nil, nil, at(now)) }
	for i := range int64(10) {
		require.NoError(t, add(i, i, float64(i)))
	}
	require.NoError(t, add(250, 10, 99), "a point four minutes ahead is taken")
	require.NoError(t, add(260, 10, 99))
	require.ErrorIs(t, add(9, 11, 98), ErrLate, "what is late without the wild points stays late, and they stay")
	require.Contains(t, readAll(t, w, "a")[a.String()], "99@260")
	require.NoError(t, add(11, 11, 11))
	require.Equal(t, "0@0 1@1 2@2 3@3 4@4 5@5 6@6 7@7 8@8 9@9 11@11 ", readAll(t, w, "a")[a.String()])
	require.EqualValues(t, 2, w.Statistics().Dropped[ReasonWithdrawn])
	require.NoError(t, add(12, 12, 12))
}

func TestLateAndRepeatedSamplesAreCounted(t *testing.T) {
	w := keeping(t, Options{}, "a")
	a := labels.FromStrings("__name__", "a")
	require.NoError(t, w.Append(a, 0, at(400), 1, nil, nil, at(400)))
	require.ErrorIs(t, w.Append(a, 0, at(400), 1, nil, nil, at(400)), storage.ErrOutOfOrderSample)
	require.ErrorIs(t, w.Append(a, 0, at(399), 1, nil, nil, at(400)), ErrLate)
	require.ErrorIs(t, w.Append(a, 0, at(0), 1, nil, nil, at(400)), ErrTooOld)
	require.ErrorIs(t, w.Append(labels.FromStrings("__name__", "a", "x", "1"), 0, at(0), 1, nil, nil, at(400)), ErrTooOld)
	require.NoError(t, w.Append(labels.FromStrings("__name__", "b"), 0, at(0), 1, nil, nil, at(400)))
	require.Equal(t, map[Reason]int64{
		ReasonLate: 2, ReasonTooOld: 2, ReasonUnselected: 1, ReasonSeriesLimit: 0, ReasonWithdrawn: 0,
	}, w.Statistics().Dropped)
}

// A series keeps little more than its selectors read, whatever the interval: a few samples, or a chunk.
func TestKeepsLittleMoreThanIsRead(t *testing.T) {
	for _, tc := range []struct {
		every              int64 // s
		before             time.Duration
		floats, histograms int
	}{
		{15, 5 * time.Minute, 22 + 5, 22 + 12},
		{60, 5 * time.Minute, 6 + 5, 6 + 12},
		{1, 5 * time.Minute, 330 + 120 + 4, 330 + 48},
		{15, time.Hour, 242 + 120 + 4, 242 + 48},
	} {
		for _, isHistogram := range []bool{false, true} {
			w := New(Options{})
			w.Keep([]Selector{selector(t, "a", tc.before)}, false)
			most := tc.floats
			for s := int64(0); s < 3*int64(tc.before/time.Second); s += tc.every {
				var h *histogram.Histogram
				if isHistogram {
					most = tc.histograms
					h = &histogram.Histogram{Count: uint64(s), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{s}}
				}
				require.NoError(t, w.Append(labels.FromStrings("__name__", "a"), 0, at(s), float64(s), h, nil, at(s)))
				require.LessOrEqual(t, w.Statistics().Samples, most, "%+v at %d", tc, s)
			}
			require.GreaterOrEqual(t, w.Statistics().Samples, int(tc.before/time.Second)/int(tc.every))
		}
	}
}

// Nothing that is read is missing: at the edges of the window, of chunks and of queries.
func TestEdges(t *testing.T) {
	for _, tc := range []struct {
		every       int64 // s
		isHistogram bool
	}{{1, false}, {1, true}, {5, false}, {5, true}} {
		w := New(Options{Slack: time.Second})
		w.Keep([]Selector{selector(t, "a", 99*time.Second)}, false)
		for s := int64(0); s < 300; s += tc.every {
			var h *histogram.Histogram
			if tc.isHistogram {
				h = &histogram.Histogram{Count: uint64(s), PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []int64{s}}
			}
			require.NoError(t, w.Append(labels.FromStrings("__name__", "a"), 0, at(s), float64(s), h, nil, at(s)))
			if s%3 == 0 {
				for range shards / prunedAtOnce {
					w.Prune(time.UnixMilli(at(s)))
				}
			}
			for back := int64(0); back <= min(100, s); back++ {
				require.Equal(t, back/tc.every+1, countFrom(t, w, at(s-back), math.MaxInt64), "%+v from %d at %d", tc, s-back, s)
			}
			require.EqualValues(t, min(s, 1), countFrom(t, w, at(s-tc.every), at(s)-1))
		}
	}
}

func countFrom(t *testing.T, w *Window, mint, maxt int64) (n int64) {
	q, err := w.Querier(mint, maxt)
	require.NoError(t, err)
	set := q.Select(context.Background(), false, nil, selector(t, "a", 0).Matchers...)
	require.True(t, set.Next())
	it := set.At().Iterator(nil)
	for it.Next() != chunkenc.ValNone {
		require.True(t, it.AtT() >= mint && it.AtT() <= maxt)
		n++
	}
	require.NoError(t, it.Err())
	return n
}

func TestNewest(t *testing.T) {
	w := keeping(t, Options{}, "a", "b")
	_, ever := w.Newest(selector(t, "a", 0))
	require.False(t, ever)
	for i := range int64(100) {
		ls := labels.FromStrings("__name__", "a", "x", fmt.Sprint(i))
		require.NoError(t, w.Append(ls, 0, at(i), 1, nil, nil, at(i)))
	}
	newest, ever := w.Newest(selector(t, "a", 0))
	require.True(t, ever)
	require.Equal(t, at(99), newest)
	for range shards / prunedAtOnce {
		w.Prune(time.UnixMilli(at(1000)))
	}
	require.Zero(t, w.Statistics().Series)
	newest, ever = w.Newest(selector(t, "a", 0))
	require.True(t, ever)
	require.Equal(t, at(99), newest)
	_, ever = w.Newest(selector(t, "b", 0))
	require.False(t, ever)
}

func TestLabelsAreCopied(t *testing.T) {
	w := keeping(t, Options{}, "a")
	b := labels.NewScratchBuilder(2)
	b.Add("__name__", "a")
	b.Add("x", "1")
	var ls labels.Labels
	b.Overwrite(&ls)
	require.NoError(t, w.Append(ls, 0, at(0), 1, nil, nil, at(0)))
	b.Reset()
	b.Add("__name__", "z")
	b.Add("x", "2")
	b.Overwrite(&ls)
	require.Equal(t, map[string]string{`{__name__="a", x="1"}`: "1@0 "}, readAll(t, w, "a"))
}

func TestAppenderTransactions(t *testing.T) {
	w := keeping(t, Options{}, "a")
	a := labels.FromStrings("__name__", "a")
	ctx := context.Background()

	app := w.AppenderV2(ctx)
	ref, err := app.Append(0, a, 0, at(0), 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.NotZero(t, ref)
	require.Empty(t, readAll(t, w, "a")[a.String()], "not before Commit")
	require.NoError(t, app.Rollback())
	require.Empty(t, readAll(t, w, "a")[a.String()])

	app = w.AppenderV2(ctx)
	again, err := app.Append(ref, a, 0, at(0), 1, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.Equal(t, ref, again)
	_, err = app.Append(12345, a, 0, at(1), 2, nil, nil, storage.AOptions{})
	require.NoError(t, err, "a void reference is none")
	ref, err = app.Append(0, labels.FromStrings("__name__", "b"), 0, at(1), 2, nil, nil, storage.AOptions{})
	require.NoError(t, err)
	require.Zero(t, ref, "nothing selects it")
	require.NoError(t, app.Commit())
	require.Equal(t, "1@0 2@1 ", readAll(t, w, "a")[a.String()])

	app = w.AppenderV2(ctx)
	_, err = app.Append(ref, a, 0, at(1), 3, nil, nil, storage.AOptions{})
	require.ErrorIs(t, err, ErrLate)
}

func TestReferenceToAnotherSeriesIsNotTaken(t *testing.T) {
	w := keeping(t, Options{}, "a")
	refs := map[string]storage.SeriesRef{}
	for round := range int64(3) {
		for i := range 500 { // tables grow, so that references become void
			ls := labels.FromStrings("__name__", "a", "x", fmt.Sprint(i))
			ref, err := w.AppendRef(refs[ls.String()], ls, 0, at(round), float64(i), nil, nil, at(round))
			require.NoError(t, err)
			refs[ls.String()] = ref
		}
	}
	for key, list := range readAll(t, w, "a") {
		var i int
		_, err := fmt.Sscanf(key, `{__name__="a", x="%d"}`, &i)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("%d@0 %d@1 %d@2 ", i, i, i), list)
	}
}

func TestLabelValuesAndNames(t *testing.T) {
	w := keeping(t, Options{}, "a", "b")
	for _, ls := range []labels.Labels{
		labels.FromStrings("__name__", "a", "x", "2"), labels.FromStrings("__name__", "a", "x", "1"),
		labels.FromStrings("__name__", "b", "y", "3"),
	} {
		require.NoError(t, w.Append(ls, 0, at(0), 1, nil, nil, at(0)))
	}
	q, err := w.Querier(0, math.MaxInt64)
	require.NoError(t, err)
	values, _, err := q.LabelValues(context.Background(), "x", nil)
	require.NoError(t, err)
	require.Equal(t, []string{"1", "2"}, values)
	values, _, err = q.LabelValues(context.Background(), "__name__", &storage.LabelHints{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, []string{"a"}, values)
	names, _, err := q.LabelNames(context.Background(), nil, selector(t, "b", 0).Matchers...)
	require.NoError(t, err)
	require.Equal(t, []string{"__name__", "y"}, names)
	require.NoError(t, q.Close())
}

// TestConcurrently is for the race detector: appends, queries, prunes and reloads at the same time, and each query sees
// whole series.
func TestConcurrently(t *testing.T) {
	const writers, series, scrapes = 4, 50, 200
	w := keeping(t, Options{Lookback: 5 * time.Minute}, "a", "h")
	selectors := []Selector{selector(t, "a", 5*time.Minute), selector(t, "h", 5*time.Minute)}
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: parser.NewParser(parser.Options{}),
	})
	t.Cleanup(func() { require.NoError(t, engine.Close()) })

	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for n := range writers {
		writing.Go(func() {
			for s := range int64(scrapes) {
				for i := range series {
					now := at(s * 15)
					if w.Append(labels.FromStrings("__name__", "a", "w", fmt.Sprint(n), "i", fmt.Sprint(i)), 0, now, float64(s), nil, nil, now) != nil {
						t.Error("a sample was refused")
					}
					if i%10 == 0 {
						h := &histogram.Histogram{
							Schema: 1, Count: uint64(s), Sum: float64(s),
							PositiveSpans: []histogram.Span{{Length: 1 + uint32(s)/40}}, PositiveBuckets: append([]int64{s, -s}, make([]int64, s)...)[:1+s/40],
						}
						_ = w.Append(labels.FromStrings("__name__", "h", "w", fmt.Sprint(n), "i", fmt.Sprint(i)), 0, now, 0, h, nil, now)
					}
				}
			}
		})
	}
	for _, expr := range []string{`a > -1`, `sum by (w) (rate(a[5m]))`, `histogram_quantile(0.9, sum(rate(h[5m])))`, `max_over_time({i="1"}[10m])`} {
		reading.Go(func() {
			for s := int64(0); ; s += 15 {
				select {
				case <-done:
					return
				default:
				}
				q, err := engine.NewInstantQuery(context.Background(), w, nil, expr, time.UnixMilli(at(s%(scrapes*15))))
				if err != nil {
					t.Error(err)
					return
				}
				if r := q.Exec(context.Background()); r.Err != nil {
					t.Error(r.Err)
				}
				q.Close()
			}
		})
	}
	reading.Go(func() {
		for s := int64(0); ; s++ {
			select {
			case <-done:
				return
			default:
			}
			w.Prune(time.UnixMilli(at(0))) // drops nothing: writers are not in step
			w.Keep(selectors[:1+s%2], false)
			_ = w.Wants("a")
			_ = w.Statistics()
			_, _ = w.Newest(selectors[0])
		}
	})
	writing.Wait()
	close(done)
	reading.Wait()

	w.Keep(selectors, false)
	st := w.Statistics()
	require.Zero(t, st.Dropped[ReasonLate])
	found := readAll(t, w, "a")
	require.Len(t, found, writers*series)
	for key, list := range found {
		require.Contains(t, list, fmt.Sprintf("%d@%d ", scrapes-1, (scrapes-1)*15), key)
	}
}
