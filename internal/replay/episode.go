package replay

import (
	"math"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Episode is one time that an alert fired, from its beginning to its end.
type Episode struct {
	ID    string `json:"alert_id"`
	Group string `json:"group"`
	Rule  string `json:"rule"`
	// Tier is the highest that it reached, Owner its last owner.
	Tier   alert.Severity    `json:"tier"`
	Owner  string            `json:"owner"`
	Labels map[string]string `json:"labels"`
	// Start is when the breach began, Fired when the alert fired, End when it ended, or, where it is Open, when the
	// recording did.
	Start time.Time `json:"start"`
	Fired time.Time `json:"fired"`
	End   time.Time `json:"end"`
	Open  bool      `json:"open"`
	// Duration is from Fired to End, in seconds.
	Duration float64 `json:"duration_seconds"`
	// Peak is the value farthest past the threshold that was seen while it fired: at every change and every 10 s.
	Peak *float64 `json:"peak,omitempty"`
	// Threshold is that of the tier, FiringLevel the most extreme one at which the tier would still have fired, and
	// Levels the same of every tier.
	Threshold   *float64                             `json:"threshold,omitempty"`
	FiringLevel *alert.FiringLevel                   `json:"firing_level,omitempty"`
	Levels      map[alert.Severity]alert.FiringLevel `json:"firing_levels,omitempty"`
	// Cause is why it fired, Reason why it ended; "" while Open.
	Cause  alert.Reason `json:"cause"`
	Reason alert.Reason `json:"reason,omitempty"`
	Metric string       `json:"metric,omitempty"`
	Unit   string       `json:"unit,omitempty"`
	// Known says whether it met a known incident; nil where none are known.
	Known *bool `json:"known_incident,omitempty"`
}

// see takes over what was said about the alert while it fires.
func (e *Episode) see(a *alert.Alert) {
	e.Owner, e.Labels = a.Owner, a.Labels
	if a.Severity > e.Tier {
		e.Tier, e.Threshold = a.Severity, a.Threshold
	}
	if e.Threshold == nil {
		e.Threshold = a.Threshold
	}
	if a.Value != nil && a.Reason != alert.ReasonNoData {
		e.extend(*a.Value)
	}
	e.level(a)
}

// extend takes a value into the peak. The side was settled by the first one, which stood past its threshold.
func (e *Episode) extend(v float64) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
	case e.Peak == nil:
		e.Peak = &v
	case e.Threshold != nil && *e.Peak < *e.Threshold:
		v = min(v, *e.Peak)
		e.Peak = &v
	default:
		v = max(v, *e.Peak)
		e.Peak = &v
	}
}

// level takes over the firing levels so far. A level is a value that was seen, or a bound of one: it is at most the peak.
func (e *Episode) level(a *alert.Alert) {
	if len(a.FiringLevels) == 0 {
		return
	}
	e.Levels = a.FiringLevels
	if l, ok := a.FiringLevels[e.Tier]; ok {
		e.FiringLevel = &l
		e.extend(l.Value)
	}
}

// end closes the episode.
func (e *Episode) end(at time.Time) {
	e.End = at
	e.Duration = max(at.Sub(e.Fired), 0).Seconds()
	if l, ok := e.Levels[e.Tier]; ok {
		e.FiringLevel = &l
	}
}
