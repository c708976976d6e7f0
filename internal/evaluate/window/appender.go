package window

import (
	"context"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
)

// AppenderV2 returns an appender for what speaks Prometheus' interface. Its samples come into the window with Commit.
// There is no clock in the interface, so none of them lies ahead; in all else they are treated as by Append. Exemplars
// and metadata are not kept.
func (w *Window) AppenderV2(context.Context) storage.AppenderV2 {
	return &appender{window: w}
}

type appender struct {
	window  *Window
	pending []pending
}

type pending struct {
	ref    storage.SeriesRef
	labels labels.Labels
	sample sample
}

var _ storage.AppenderV2 = (*appender)(nil)

// Append keeps the sample for Commit. The series has its place from now on, so that there is a reference to it: 0 where
// nothing selects it. Samples that are late within one transaction are found out and counted at Commit.
func (a *appender) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, _ storage.AOptions) (storage.SeriesRef, error) {
	sh, position, reason := a.window.locate(ref, ls, t, clock{now: t})
	if reason == kept && sh.table[position].t >= t {
		reason = lateOrRepeated
	}
	if reason != kept {
		sh.mu.Unlock()
		return 0, a.window.drop(reason)
	}
	ls = sh.table[position].labels
	sh.mu.Unlock()
	if h != nil {
		h = h.Copy()
	}
	if fh != nil {
		fh = fh.Copy()
	}
	ref = reference(sh.number, position)
	a.pending = append(a.pending, pending{ref: ref, labels: ls, sample: sample{st: st, t: t, v: v, h: h, fh: fh}})
	return ref, nil
}

// Commit brings the samples into the window. What has become late meanwhile is dropped and counted.
func (a *appender) Commit() error {
	for i := range a.pending {
		p := &a.pending[i]
		_, _ = a.window.append(p.ref, p.labels, p.sample, clock{now: p.sample.t})
	}
	a.pending = nil
	return nil
}

// Rollback forgets the samples. Series that came with them have no samples, and go with the next Prune.
func (a *appender) Rollback() error {
	a.pending = nil
	return nil
}
