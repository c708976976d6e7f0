package translate

import (
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// appender stands between the library and the sink: it lets through only wanted names, and tells the library of no
// error, because the library leaves out the rest of a metric after one.
type appender struct {
	sink   Sink
	now    int64
	counts *Counts
	// utf8 is set where attribute names become label names as they are: then a point that has one twice gives a label
	// twice, and an empty one gives a label without a name.
	utf8 bool
	// only is the one name that is let through, "" for all that are wanted.
	only string
	// names are the latest answers of the sink: a histogram's points alternate between three names.
	names [3]asked
	next  int
}

type asked struct {
	name   string
	wanted bool
}

var _ storage.AppenderV2 = (*appender)(nil)

func (a *appender) begin(now int64, counts *Counts) {
	*a = appender{sink: a.sink, utf8: a.utf8, now: now, counts: counts}
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
	wanted := a.sink.Wants(name)
	a.names[a.next] = asked{name: name, wanted: wanted}
	a.next = (a.next + 1) % len(a.names)
	return wanted
}

func (a *appender) Append(_ storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	if !a.wants(ls.Get(model.MetricNameLabel)) {
		return 0, nil
	}
	if !a.valid(ls, h) {
		a.counts.Untranslatable++
		return 0, nil
	}
	if err := a.sink.Append(ls, st, t, v, h, fh, a.now); err != nil {
		a.counts.Refused++
		return 0, nil
	}
	a.counts.Appended++
	return 0, nil
}

// valid says whether Prometheus' storage would take it: not a histogram whose count is not the sum of its buckets, for
// one.
func (a *appender) valid(ls labels.Labels, h *histogram.Histogram) bool {
	if h != nil && h.Validate() != nil {
		return false
	}
	if a.utf8 {
		if _, twice := ls.HasDuplicateLabelNames(); twice {
			return false
		}
	}
	return true
}

func (*appender) Commit() error   { return nil }
func (*appender) Rollback() error { return nil }
