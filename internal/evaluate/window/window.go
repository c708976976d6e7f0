package window

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// TEMPORARY naive stand-in by core until helper "window" commits: overwrite freely.
type Selector struct {
	Matchers      []*labels.Matcher
	Before, After time.Duration
	Fixed         bool
}
type Options struct {
	Series   int
	Lookback time.Duration
}
type Window struct {
	mu     sync.Mutex
	series map[uint64]*naive
	sel    []Selector
	all    bool
}
type naive struct {
	ls      labels.Labels
	samples []sample
}
type sample struct {
	t  int64
	v  float64
	h  *histogram.Histogram
	fh *histogram.FloatHistogram
}

func (s sample) ST() int64                           { return 0 }
func (s sample) T() int64                            { return s.t }
func (s sample) F() float64                          { return s.v }
func (s sample) H() *histogram.Histogram             { return s.h }
func (s sample) FH() *histogram.FloatHistogram       { return s.fh }
func (s sample) Copy() chunks.Sample                 { return s }
func (s sample) Type() chunkenc.ValueType {
	switch {
	case s.h != nil:
		return chunkenc.ValHistogram
	case s.fh != nil:
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

type Reason string
type Statistics struct {
	Series  int
	Bytes   int64
	Dropped map[Reason]int64
}

func New(Options) *Window { return &Window{series: map[uint64]*naive{}} }
func (w *Window) Keep(s []Selector, everything bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sel, w.all = s, everything
}
func (w *Window) Wants(name string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all {
		return true
	}
	for _, s := range w.sel {
		ok := true
		for _, m := range s.Matchers {
			if m.Name == labels.MetricName && !m.Matches(name) {
				ok = false
			}
		}
		if ok {
			return true
		}
	}
	return false
}
func (w *Window) Append(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, now int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.series[ls.Hash()]
	if n == nil {
		n = &naive{ls: ls}
		w.series[ls.Hash()] = n
	}
	if k := len(n.samples); k > 0 && n.samples[k-1].t >= t {
		return errors.New("late")
	}
	n.samples = append(n.samples, sample{t, v, h, fh})
	return nil
}
func (w *Window) Prune(time.Time)        {}
func (w *Window) Statistics() Statistics { return Statistics{} }
func (w *Window) Querier(mint, maxt int64) (storage.Querier, error) {
	return querier{w, mint, maxt}, nil
}

type querier struct {
	w          *Window
	mint, maxt int64
}

func (q querier) Close() error { return nil }
func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}
func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	q.w.mu.Lock()
	defer q.w.mu.Unlock()
	var out []storage.Series
series:
	for _, n := range q.w.series {
		for _, m := range ms {
			if !m.Matches(n.ls.Get(m.Name)) {
				continue series
			}
		}
		var list []chunks.Sample
		for _, s := range n.samples {
			if s.t >= q.mint && s.t <= q.maxt {
				list = append(list, s)
			}
		}
		out = append(out, storage.NewListSeries(n.ls, list))
	}
	return &naiveSet{out: out}
}

type naiveSet struct {
	out []storage.Series
	i   int
}

func (s *naiveSet) Next() bool                       { s.i++; return s.i <= len(s.out) }
func (s *naiveSet) At() storage.Series                { return s.out[s.i-1] }
func (s *naiveSet) Err() error                        { return nil }
func (s *naiveSet) Warnings() annotations.Annotations { return nil }

// Newest returns the time (ms) of the newest sample of the series that a selector matches.
func (w *Window) Newest(s Selector) (t int64, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.series {
		t, ok = max(t, n.samples[len(n.samples)-1].t), true
	}
	return t, ok
}
