package window

import (
	"context"
	"maps"
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/util/annotations"
)

// Querier reads samples from mint to maxt, in milliseconds, both included.
func (w *Window) Querier(mint, maxt int64) (storage.Querier, error) {
	return &querier{window: w, mint: mint, maxt: maxt}, nil
}

type querier struct {
	window     *Window
	mint, maxt int64
}

var _ storage.Querier = (*querier)(nil)

// Select returns the series that match. Which they are is settled here; a series' samples are those that it has when its
// iterator is made.
func (q *querier) Select(_ context.Context, sorted bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	r := &read{window: q.window, mint: q.mint, maxt: q.maxt}
	if hints != nil {
		r.mint, r.maxt = hints.Start, hints.End
		// The engine reads so for an instant vector at one time, outside subqueries: what it wants is the newest sample
		// not later than that.
		r.newest = hints.Range == 0 && hints.Step == 0 && q.window.lookback > 0 && hints.End-hints.Start+1 == q.window.lookback
	}
	found := q.window.find(matchers)
	if sorted {
		slices.SortFunc(found, func(a, b *series) int { return labels.Compare(a.labels, b.labels) })
	}
	set := &seriesSet{list: make([]entry, len(found))}
	for i, s := range found {
		set.list[i] = entry{series: s, read: r}
	}
	return set
}

// find returns the series that match: by the lists where the matchers are a selector's, among all otherwise.
func (w *Window) find(matchers []*labels.Matcher) []*series {
	key := matchersKey(matchers)
	var found []*series
	for i := range w.shards {
		sh := &w.shards[i]
		sh.mu.Lock()
		selector, known := sh.selection.byKey[key]
		if known {
			found = append(found, sh.lists[selector]...)
			sh.mu.Unlock()
			continue
		}
		first := len(found)
		for _, s := range sh.table {
			if s != nil {
				found = append(found, s)
			}
		}
		sh.mu.Unlock()
		matching := slices.DeleteFunc(found[first:], func(s *series) bool { return !matches(matchers, s.labels) })
		found = found[:first+len(matching)]
	}
	return found
}

// LabelValues returns the values of a label among the series that match, sorted.
func (q *querier) LabelValues(_ context.Context, name string, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	set := map[string]struct{}{}
	for _, s := range q.window.find(matchers) {
		if v := s.labels.Get(name); v != "" {
			set[v] = struct{}{}
		}
	}
	return limited(set, hints), nil, nil
}

// LabelNames returns the names of the labels of the series that match, sorted.
func (q *querier) LabelNames(_ context.Context, hints *storage.LabelHints, matchers ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	set := map[string]struct{}{}
	for _, s := range q.window.find(matchers) {
		s.labels.Range(func(l labels.Label) { set[l.Name] = struct{}{} })
	}
	return limited(set, hints), nil, nil
}

func limited(set map[string]struct{}, hints *storage.LabelHints) []string {
	list := slices.Sorted(maps.Keys(set))
	if hints != nil && hints.Limit > 0 && len(list) > hints.Limit {
		list = list[:hints.Limit]
	}
	return list
}

// Close has nothing to release.
func (*querier) Close() error { return nil }

// read is what one Select reads of each series.
type read struct {
	window     *Window
	mint, maxt int64
	newest     bool
}

type entry struct {
	series *series
	read   *read
}

func (e *entry) Labels() labels.Labels { return e.series.labels }

func (e *entry) Iterator(again chunkenc.Iterator) chunkenc.Iterator {
	it, ok := again.(*iterator)
	if !ok {
		it = &iterator{}
	}
	sh := &e.read.window.shards[e.series.shard]
	sh.mu.Lock()
	it.reset(e.series, e.read.mint, e.read.maxt, e.read.newest)
	sh.mu.Unlock()
	return it
}

type seriesSet struct {
	list []entry
	next int
}

func (s *seriesSet) Next() bool {
	s.next++
	return s.next <= len(s.list)
}

func (s *seriesSet) At() storage.Series              { return &s.list[s.next-1] }
func (*seriesSet) Err() error                        { return nil }
func (*seriesSet) Warnings() annotations.Annotations { return nil }
