package window

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"
)

// The benchmarks put Prometheus' TSDB head beside the window, with the same series, samples and engine. The head writes
// no log here, so that it is compared for what it does in memory.

const (
	benchStart    = int64(1_700_000_000_000)
	benchInterval = 15_000
	benchRange    = 5 * time.Minute
)

// benchLabels makes labels of about 100 bytes, as a scraped series has.
func benchLabels(n int) []labels.Labels {
	b := labels.NewScratchBuilder(8)
	list := make([]labels.Labels, n)
	for i := range list {
		b.Reset()
		b.Add("__name__", "metric")
		b.Add("instance", "10.0."+strconv.Itoa(i/256%256)+"."+strconv.Itoa(i%256)+":9100")
		b.Add("job", "inference")
		b.Add("model_name", "model-"+strconv.Itoa(i/65536))
		b.Add("pod", fmt.Sprintf("vllm-%06x", i))
		b.Add("x", strconv.Itoa(i%10))
		b.Sort()
		list[i] = b.Labels()
	}
	return list
}

// benchValues are kinds of series.
var benchValues = map[string]func(i, n int) float64{
	"counter": func(i, n int) float64 { return float64(n * (i%50 + 1)) },
	"ratio":   func(i, n int) float64 { return rand.New(rand.NewPCG(uint64(i), uint64(n))).Float64() },
	"level":   func(i, n int) float64 { return float64(rand.New(rand.NewPCG(uint64(i), uint64(n))).IntN(100)) },
	"still":   func(int, int) float64 { return 1 },
}

var benchKinds = []string{"counter", "ratio", "level", "still"}

type peer struct {
	storage.Queryable
	histograms func(list []labels.Labels, t int64, value func(i int) *histogram.Histogram)
	append     func(refs []storage.SeriesRef, list []labels.Labels, t int64, value func(i int) float64)
}

func newBenchWindow(b *testing.B) peer {
	w := New(Options{Lookback: benchRange})
	w.Keep([]Selector{{
		Matchers: []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "metric")},
		Before:   benchRange,
	}}, false)
	made := peer{Queryable: w, append: func(refs []storage.SeriesRef, list []labels.Labels, t int64, value func(i int) float64) {
		for i, ls := range list {
			ref := storage.SeriesRef(0)
			if refs != nil {
				ref = refs[i]
			}
			ref, err := w.AppendRef(ref, ls, 0, t, value(i), nil, nil, t)
			if err != nil {
				b.Fatal(err)
			}
			if refs != nil {
				refs[i] = ref
			}
		}
		w.Prune(time.UnixMilli(t))
	}}
	made.histograms = func(list []labels.Labels, t int64, value func(i int) *histogram.Histogram) {
		for i, ls := range list {
			if err := w.Append(ls, 0, t, 0, value(i), nil, t); err != nil {
				b.Fatal(err)
			}
		}
	}
	return made
}

func newBenchHead(b *testing.B) peer {
	opts := tsdb.DefaultHeadOptions()
	opts.ChunkDirRoot = b.TempDir()
	opts.ChunkRange = 2 * time.Hour.Milliseconds()
	h, err := tsdb.NewHead(nil, nil, nil, nil, opts, nil)
	require.NoError(b, err)
	require.NoError(b, h.Init(0))
	b.Cleanup(func() { require.NoError(b, h.Close()) })
	queryable := storage.QueryableFunc(func(mint, maxt int64) (storage.Querier, error) {
		return tsdb.NewBlockQuerier(tsdb.NewRangeHead(h, mint, maxt), mint, maxt)
	})
	made := peer{Queryable: queryable, append: func(refs []storage.SeriesRef, list []labels.Labels, t int64, value func(i int) float64) {
		a := h.AppenderV2(context.Background())
		for i, ls := range list {
			ref := storage.SeriesRef(0)
			if refs != nil {
				ref = refs[i]
			}
			ref, err := a.Append(ref, ls, 0, t, value(i), nil, nil, storage.AOptions{})
			if err != nil {
				b.Fatal(err)
			}
			if refs != nil {
				refs[i] = ref
			}
		}
		require.NoError(b, a.Commit())
	}}
	made.histograms = func(list []labels.Labels, t int64, value func(i int) *histogram.Histogram) {
		a := h.AppenderV2(context.Background())
		for i, ls := range list {
			if _, err := a.Append(0, ls, 0, t, 0, value(i), nil, storage.AOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		require.NoError(b, a.Commit())
	}
	return made
}

var peers = []struct {
	name string
	make func(*testing.B) peer
}{{"window", newBenchWindow}, {"head", newBenchHead}}

// BenchmarkMemory reports bytes per series of 5 minutes at 15 s, labels included, as runtime.ReadMemStats counts them.
// The head has 21 samples of each. The window has run for 10 minutes, so it has what it keeps for good; what it takes
// then depends on how many samples wait to be encoded: the figure is the mean of four scrapes. To be run with
// -benchtime 1x.
func BenchmarkMemory(b *testing.B) {
	for _, kind := range append(benchKinds, "histogram") {
		n := 100_000
		if kind == "histogram" {
			n = 20_000
		}
		for _, p := range peers {
			b.Run(kind+"/"+p.name, func(b *testing.B) {
				before := allocated()
				tested := p.make(b)
				s := 0
				scrape := func() {
					// The labels of each scrape are in memory of their own, as a parser's are.
					list, t := benchLabels(n), benchStart+int64(s*benchInterval)
					if kind == "histogram" {
						tested.histograms(list, t, func(i int) *histogram.Histogram { return benchHistogram(i, s) })
					} else {
						tested.append(nil, list, t, func(i int) float64 { return benchValues[kind](i, s) })
					}
					s++
				}
				series := func() float64 { return float64(int64(allocated()-before)) / float64(n) }
				for range 21 {
					scrape()
				}
				w, ok := tested.Queryable.(*Window)
				if !ok {
					b.ReportMetric(series(), "B/series")
					runtime.KeepAlive(tested)
					return
				}
				for range 20 {
					scrape()
				}
				bytes, estimated, held := 0., 0., 0.
				for range 4 {
					scrape()
					st := w.Statistics()
					bytes, estimated, held = bytes+series(), estimated+float64(st.Bytes)/float64(n), held+float64(st.Samples)/float64(n)
				}
				b.ReportMetric(bytes/4, "B/series")
				b.ReportMetric(estimated/4, "estimated-B/series")
				b.ReportMetric(held/4, "samples/series")
				runtime.KeepAlive(tested)
			})
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkAppend reports the time of one sample of a series that has 5 minutes of them.
func BenchmarkAppend(b *testing.B) {
	const n = 10_000
	list := benchLabels(n)
	for _, byRef := range []bool{false, true} {
		for _, kind := range []string{"counter", "ratio"} {
			for _, p := range peers {
				b.Run(fmt.Sprintf("%s/ref=%t/%s", kind, byRef, p.name), func(b *testing.B) {
					tested := p.make(b)
					var refs []storage.SeriesRef
					if byRef {
						refs = make([]storage.SeriesRef, n)
					}
					values := make([]float64, n)
					t, s := benchStart, 0
					scrape := func() {
						t, s = t+benchInterval, s+1
						tested.append(refs, list, t, func(i int) float64 { return values[i] })
					}
					for range 21 {
						scrape()
					}
					b.ReportAllocs()
					b.ResetTimer()
					for done := 0; done < b.N; done += n {
						b.StopTimer()
						for i := range values {
							values[i] = benchValues[kind](i, s)
						}
						b.StartTimer()
						scrape()
					}
				})
			}
		}
	}
}

// BenchmarkQuery reports the time of one instant query of 10,000 series.
func BenchmarkQuery(b *testing.B) {
	const n = 10_000
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: benchRange, Parser: parser.NewParser(parser.Options{}),
	})
	b.Cleanup(func() { require.NoError(b, engine.Close()) })
	list := benchLabels(n)
	for _, expr := range []string{"metric > 0.5", "sum by (x) (rate(metric[5m]))"} {
		for _, p := range peers {
			b.Run(expr+"/"+p.name, func(b *testing.B) {
				tested := p.make(b)
				for s := range 41 {
					tested.append(nil, list, benchStart+int64(s*benchInterval), func(i int) float64 { return benchValues["ratio"](i, s) })
				}
				at := time.UnixMilli(benchStart + 40*benchInterval + 1000)
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					q, err := engine.NewInstantQuery(context.Background(), tested, nil, expr, at)
					require.NoError(b, err)
					r := q.Exec(context.Background())
					require.NoError(b, r.Err)
					v, err := r.Vector()
					require.NoError(b, err)
					require.NotEmpty(b, v)
					q.Close()
				}
			})
		}
	}
}

// BenchmarkAppendHistogram reports the time of one sample of a native histogram of 20 buckets.
func BenchmarkAppendHistogram(b *testing.B) {
	const n = 2_000
	list := benchLabels(n)
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			tested := p.make(b)
			b.ReportAllocs()
			for s := 0; b.N > s*n; s++ {
				b.StopTimer()
				values := make([]*histogram.Histogram, n)
				for i := range values {
					values[i] = benchHistogram(i, s)
				}
				b.StartTimer()
				tested.histograms(list, benchStart+int64(s*benchInterval), func(i int) *histogram.Histogram { return values[i] })
			}
		})
	}
}

func benchHistogram(i, s int) *histogram.Histogram {
	h := &histogram.Histogram{
		Schema: 3, Sum: float64(i * s), ZeroThreshold: 1e-128,
		PositiveSpans: []histogram.Span{{Offset: 10, Length: 20}}, PositiveBuckets: make([]int64, 20),
	}
	before := int64(0)
	for bucket := range h.PositiveBuckets {
		count := int64(s * (bucket*i%7 + 1))
		h.PositiveBuckets[bucket] = count - before
		before, h.Count = count, h.Count+uint64(count)
	}
	return h
}

// BenchmarkUpkeep reports what pruning and a reload of 100 rules cost with 100,000 series. Prune is called once a second.
func BenchmarkUpkeep(b *testing.B) {
	tested := newBenchWindow(b)
	tested.append(nil, benchLabels(100_000), benchStart, func(int) float64 { return 1 })
	w := tested.Queryable.(*Window)
	b.Run("prune", func(b *testing.B) {
		for range b.N {
			w.Prune(time.UnixMilli(benchStart))
		}
	})
	b.Run("keep", func(b *testing.B) {
		var selectors []Selector
		for i := range 100 {
			selectors = append(selectors, Selector{Before: benchRange, Matchers: []*labels.Matcher{
				labels.MustNewMatcher(labels.MatchEqual, "__name__", "metric"),
				labels.MustNewMatcher(labels.MatchNotEqual, "x", strconv.Itoa(i)),
			}})
		}
		for range b.N {
			w.Keep(selectors, false)
		}
	})
}
