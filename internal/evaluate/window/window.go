// Package window keeps the latest samples of the series that some rule's PromQL selects, and no others, for Prometheus'
// engine to read.
//
// It is no database: nothing is on disk, nothing is indexed. What is read is known in advance, so each selector keeps a
// list of its series; a series is kept only as far back as the selectors that match it look. Samples are appended by
// many goroutines while the engine reads; neither waits for the other longer than it takes to append one sample or to
// copy one list.
package window

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

const (
	shardBits = 6
	shards    = 1 << shardBits
	// prunedAtOnce is how many shards one Prune looks at: all are seen within 16 calls.
	prunedAtOnce = 4
)

// DefaultSlack is Options.Slack where none is set.
const DefaultSlack = 30 * time.Second

// Options are fixed for a window's life.
type Options struct {
	// Series is how many series are kept at most, 0 for no limit. Beyond it new series are refused; none is ever given
	// up for another.
	Series int
	// Lookback is the engine's look-back delta. Where it is set, an instant vector is served from the newest sample
	// alone if that is the one the engine would find; 0 turns that off, and nothing else.
	Lookback time.Duration
	// Slack is how long a sample is kept after the selectors' reach, because evaluations run later than the time they
	// are for: by a group's query_offset, and by as long as one waits for another. DefaultSlack if 0.
	Slack time.Duration
	// StartTimestamps keeps the start timestamps that come with samples. Only an engine with UseStartTimestamps
	// reads them; without this they are forgotten.
	StartTimestamps bool
}

// ErrLate is returned for a sample that is not newer than the newest of its series.
var ErrLate = fmt.Errorf("the series has a sample of that time or a later one: %w", storage.ErrOutOfOrderSample)

// ErrTooOld is returned for a sample that lies before whatever is read.
var ErrTooOld = fmt.Errorf("the sample lies before the window: %w", storage.ErrTooOldSample)

// ErrSeriesLimit is returned for a sample of a new series where there is no room for one.
var ErrSeriesLimit = errors.New("the window has as many series as its limit allows: raise max_series or select fewer series")

// Window holds samples. Every method is safe for concurrent use.
type Window struct {
	slack    int64 // ms
	lookback int64 // ms
	limit    int64
	starts   bool

	// replacing is held by Keep, so that one ends before the next begins.
	replacing sync.Mutex
	selection atomic.Pointer[selection]
	series    atomic.Int64
	pruned    atomic.Uint32
	dropped   [reasons]atomic.Int64
	shards    [shards]shard
}

var (
	_ storage.Queryable    = (*Window)(nil)
	_ storage.AppendableV2 = (*Window)(nil)
)

// New returns a window that keeps nothing until Keep says what.
func New(opts Options) *Window {
	if opts.Slack == 0 {
		opts.Slack = DefaultSlack
	}
	w := &Window{
		slack:    opts.Slack.Milliseconds(),
		lookback: opts.Lookback.Milliseconds(),
		limit:    int64(opts.Series),
		starts:   opts.StartTimestamps,
	}
	none := newSelection(nil, false, w.slack)
	w.selection.Store(none)
	for i := range w.shards {
		w.shards[i].number = i
		w.shards[i].reselect(none)
	}
	return w
}

// Keep replaces what is kept. Series that no selector matches go away at once, those that selectors come to match from
// now on have the past that others had kept. With everything, all series are kept for good, as tests need it.
func (w *Window) Keep(selectors []Selector, everything bool) {
	w.replacing.Lock()
	defer w.replacing.Unlock()
	next := newSelection(selectors, everything, w.slack)
	for i := range w.shards {
		sh := &w.shards[i]
		sh.mu.Lock()
		w.series.Add(-int64(sh.reselect(next)))
		sh.mu.Unlock()
	}
	w.selection.Store(next)
}

// Wants reports whether a series of this metric name could be selected. It takes no lock.
func (w *Window) Wants(name string) bool {
	return w.selection.Load().wants(name)
}

// Append adds a sample: of fh if there is one, else of h, else v. st and t are milliseconds since the epoch, st is 0
// where it is not known; now is the clock. A newest sample that lies ahead of the clock gives way to one that does
// not, so that no wild timestamp blinds a series. Samples of series that nothing selects are dropped without an error.
// Neither labels nor histograms are held on to.
func (w *Window) Append(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, now int64) error {
	_, err := w.AppendRef(0, ls, st, t, v, h, fh, now)
	return err
}

// AppendRef is Append for a caller that has appended to the series before: with the reference that was returned then,
// labels need not be hashed. A reference that has become void, or 0, costs no more than having none. It returns 0 where
// the sample was dropped.
func (w *Window) AppendRef(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, now int64) (storage.SeriesRef, error) {
	return w.append(ref, ls, sample{st: st, t: t, v: v, h: h, fh: fh}, clock{now: now, known: true})
}

// clock is the time at which a sample comes. Where it is not known, a sample is taken as of its own time, and none lies
// ahead.
type clock struct {
	now   int64
	known bool
}

func (w *Window) append(ref storage.SeriesRef, ls labels.Labels, sm sample, c clock) (storage.SeriesRef, error) {
	if !w.starts {
		sm.st = 0
	}
	sh, position, reason := w.locate(ref, ls, sm.t, c)
	if reason == kept {
		reason = sh.append(sh.table[position], sm, c)
	}
	sh.mu.Unlock()
	if reason != kept {
		return 0, w.drop(reason)
	}
	return reference(sh.number, position), nil
}

// locate finds the place of a series, or makes it. The shard is locked when it returns, whatever the reason.
func (w *Window) locate(ref storage.SeriesRef, ls labels.Labels, t int64, c clock) (sh *shard, position int, reason reason) {
	if ref != 0 {
		number, position := place(ref)
		sh := &w.shards[number]
		sh.mu.Lock()
		if position < len(sh.table) && sh.table[position] != nil && labels.Equal(sh.table[position].labels, ls) {
			return sh, position, kept
		}
		sh.mu.Unlock()
	}
	hash := ls.Hash()
	sh = &w.shards[hash%shards]
	sh.mu.Lock()
	if position, ok := sh.find(uint32(hash>>32), ls); ok {
		return sh, position, kept
	}
	m := sh.match(ls)
	if m == nil {
		return sh, 0, unselected
	}
	if t < m.cut(c.now) {
		return sh, 0, tooOld
	}
	if w.series.Add(1) > w.limit && w.limit > 0 {
		w.series.Add(-1)
		return sh, 0, seriesLimit
	}
	return sh, sh.insert(newSeries(ls, sh.number, uint32(hash>>32), m)), kept
}

// Newest returns the time, in ms, of the newest sample that came of the series that one of the selectors given to Keep
// matches, those that have left the window since then included.
func (w *Window) Newest(s Selector) (t int64, ok bool) {
	key, t := matchersKey(s.Matchers), int64(math.MinInt64)
	for i := range w.shards {
		sh := &w.shards[i]
		sh.mu.Lock()
		if selector, known := sh.selection.byKey[key]; known {
			t = max(t, sh.newest(selector))
		}
		sh.mu.Unlock()
	}
	return t, t != math.MinInt64
}

// Prune drops what has left the window: now is the clock. Each call looks at a share of the series; it is to be called
// about every second.
func (w *Window) Prune(now time.Time) {
	if w.selection.Load().everything {
		return
	}
	for range prunedAtOnce {
		sh := &w.shards[w.pruned.Add(1)%shards]
		sh.mu.Lock()
		w.series.Add(-int64(sh.prune(now.UnixMilli())))
		sh.mu.Unlock()
	}
}
