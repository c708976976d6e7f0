package escalate

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// hours are times at which an owner is not paged: within one of `mute`, or outside all of `active` where there are any.
// Intervals count in whole minutes, in the time zone that they name, UTC otherwise.
type hours struct {
	mute, active []timeinterval.TimeInterval
	// last is what was found last, for the thousand groups that ask within the same minute.
	last atomic.Pointer[span]
}

// span is a time within which the answer is the same.
type span struct {
	from, until time.Time
	muted       bool
}

// longestSpan bounds how far is looked ahead.
const longestSpan = 24 * time.Hour

func (h *hours) muted(t time.Time) bool {
	within := func(all []timeinterval.TimeInterval) bool {
		for i := range all {
			if all[i].ContainsTime(t.UTC()) {
				return true
			}
		}
		return false
	}
	return within(h.mute) || len(h.active) > 0 && !within(h.active)
}

// at returns the span that a time is in, as far as it is looked ahead.
func (h *hours) at(now time.Time) *span {
	s := h.last.Load()
	if s == nil || now.Before(s.from) || !now.Before(s.until) {
		s = &span{from: now.Truncate(time.Minute), muted: h.muted(now)}
		for s.until = s.from.Add(time.Minute); s.until.Sub(s.from) < longestSpan && h.muted(s.until) == s.muted; {
			s.until = s.until.Add(time.Minute)
		}
		h.last.Store(s)
	}
	return s
}

// mutedUntil is when an episode's owner is paged for it again, or an earlier time at which to ask again; zero where it is
// paged. Then changes is when it may not be any more, or an earlier time at which to ask; zero where it always is.
func (o *owner) mutedUntil(t alert.Severity, now time.Time) (until, changes time.Time) {
	if o.hours == nil || t == alert.Critical && !o.muteCritical {
		return time.Time{}, time.Time{}
	}
	s := o.hours.at(now)
	if s.muted {
		return s.until, time.Time{}
	}
	return time.Time{}, s.until
}
