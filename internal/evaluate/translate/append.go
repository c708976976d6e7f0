package translate

import (
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

// appender stands between the library and the sink. It lets through only wanted names, remembers the labels of what it
// lets through, and tells the library of no error, because the library leaves out the rest of a metric after one.
type appender struct {
	t      *Translator
	now    time.Time
	counts *Counts
	// only is the one name that is let through, "" for all that are wanted.
	only string
	// names are the latest answers of the sink: a histogram's points alternate between three names.
	names [3]asked
	next  int
	// pending are the points that the library has been given. The library passes a point's start time on as it is; so
	// that it can be told which point a sample comes from, the place in pending, from 1 on, stands there instead.
	pending []pending
}

type asked struct {
	name   string
	wanted bool
}

// pending is a point on its way through the library.
type pending struct {
	key    uint64
	start  int64 // ms
	wanted parts
	// keep is set for points whose stream's labels shall be remembered.
	keep  bool
	parts *partLabels
}

var _ storage.AppenderV2 = (*appender)(nil)

func (a *appender) begin(now time.Time, counts *Counts) {
	*a = appender{t: a.t, now: now, counts: counts, pending: a.pending[:0]}
}

// end lets go of what the batch held.
func (a *appender) end() {
	clear(a.pending)
	const most = 4096
	if cap(a.pending) > most {
		a.pending = nil
	}
	a.counts = nil
}

// ms is how the library makes milliseconds of a time.
func ms(at pcommon.Timestamp) int64 { return int64(at) / int64(time.Millisecond) }

// place notes a point that the library is given, and returns what stands for its start time.
func (a *appender) place(p pending) pcommon.Timestamp {
	a.pending = append(a.pending, p)
	return pcommon.Timestamp(len(a.pending)) * pcommon.Timestamp(time.Millisecond)
}

func (a *appender) wants(name string) bool {
	if a.only != "" {
		return name == a.only
	}
	for i := range a.names {
		if a.names[i].name == name && name != "" {
			return a.names[i].wanted
		}
	}
	wanted := a.t.sink.Wants(name)
	a.names[a.next] = asked{name: name, wanted: wanted}
	a.next = (a.next + 1) % len(a.names)
	return wanted
}

// Append is called by the library.
func (a *appender) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, _ *histogram.FloatHistogram, opts storage.AOptions) (storage.SeriesRef, error) {
	name := ls.Get(model.MetricNameLabel)
	if !a.wants(name) {
		return 0, nil
	}
	if !a.valid(ls, h) {
		a.counts.Untranslatable++
		return 0, nil
	}
	if a.only == "" {
		p := &a.pending[st-1]
		st = p.start
		if p.keep {
			a.remember(p, ls, name[len(opts.MetricFamilyName):])
		}
	}
	a.put(ls, st, t, v, h)
	return 0, nil
}

// put hands a sample to the sink.
func (a *appender) put(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram) {
	if err := a.t.sink.Append(ls, st, t, v, h, nil, a.now.UnixMilli()); err != nil {
		a.counts.Refused++
		return
	}
	a.counts.Appended++
}

// remember keeps the labels that the library made of a point: a number's at once, a histogram's when the last of its
// series, the bucket +Inf, has come.
func (a *appender) remember(p *pending, ls labels.Labels, suffix string) {
	if p.parts == nil {
		a.t.known.put(p.key, stream{labels: ls, seen: a.now.Unix(), wanted: p.wanted})
		return
	}
	switch suffix {
	case "_sum":
		p.parts.sum = ls
	case "_count":
		p.parts.count = ls
	default:
		p.parts.buckets = append(p.parts.buckets, ls)
	}
	if p.parts.complete(p.wanted) {
		a.t.known.put(p.key, stream{parts: p.parts, seen: a.now.Unix(), wanted: p.wanted})
	}
}

// valid says whether Prometheus' storage would take it: not a histogram whose count is not the sum of its buckets, for
// one. Where attribute names become label names as they are, a point that has one twice gives a label twice, and an empty
// one gives a label without a name.
func (a *appender) valid(ls labels.Labels, h *histogram.Histogram) bool {
	if h != nil && h.Validate() != nil {
		return false
	}
	if a.t.settings.AllowUTF8 {
		if _, twice := ls.HasDuplicateLabelNames(); twice {
			return false
		}
	}
	return true
}

func (*appender) Commit() error   { return nil }
func (*appender) Rollback() error { return nil }
