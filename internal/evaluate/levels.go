package evaluate

import (
	"math"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// levels are those of a rule's tiers, as in rule.Rule.Tiers. nil: nothing was breached yet, or nothing can be.
type levels []level

func newLevels(tiers []rule.Tier) levels {
	for i := range tiers {
		if tiers[i].Op == rule.Always {
			return nil
		}
	}
	ls := make(levels, len(tiers))
	for i := range ls {
		ls[i] = newLevel()
	}
	return ls
}

// interrupt ends all runs.
func (ls levels) interrupt() {
	for i := range ls {
		ls[i].interrupt()
	}
}

// carry moves levels to another set of tiers, each to the one of the same severity. A level does not depend on the
// threshold that was in force, so it stays where only that changed. It depends on `for`: with a shorter one it is a
// bound, with a longer one it starts anew and is a bound from there on. So it is with another comparison or band.
func (ls levels) carry(from, to []rule.Tier) levels {
	if ls == nil {
		return nil
	}
	next := newLevels(to)
	for j := range next {
		next[j].lost = math.Inf(1) // a tier that was not there: what it would have made of the past nobody knows
		for i := range from {
			if from[i].Severity == to[j].Severity {
				next[j] = ls[i].carry(&from[i].Threshold, &to[j].Threshold)
			}
		}
	}
	return next
}

func (l *level) carry(from, to *rule.Threshold) level {
	anew := newLevel()
	anew.lost = math.Inf(1)
	switch {
	case from.Op != to.Op || from.Op == rule.Outside && (from.Low != to.Low || from.High != to.High):
		return anew
	case to.For == from.For:
		return *l
	case to.For < from.For:
		anew.best, anew.reached = l.best, l.reached
	}
	anew.run = l.run // since when is since when
	return anew
}

// merge takes in those of another series of the same alert.
func (ls levels) merge(tiers []rule.Tier, o levels) levels {
	if o == nil {
		return ls
	}
	if ls == nil {
		ls = newLevels(tiers)
	}
	for i := range ls {
		ls[i].merge(&tiers[i].Threshold, &o[i])
	}
	return ls
}

// said are the levels as they go out, nil where none was reached.
func (ls levels) said(tiers []rule.Tier) map[alert.Severity]alert.FiringLevel {
	var out map[alert.Severity]alert.FiringLevel
	for i := range ls {
		if !ls[i].reached {
			continue
		}
		if out == nil {
			out = make(map[alert.Severity]alert.FiringLevel, len(ls))
		}
		out[tiers[i].Severity] = alert.FiringLevel{Value: ls[i].best, Bound: ls[i].bound(&tiers[i].Threshold)}
	}
	return out
}

// take moves the series by one judged point, and its levels with it.
func (l *live) take(v float64, at int64, broken bool) {
	r, before := l.rule.rule, l.active
	l.step(r.Tiers, r.KeepFiringFor, v, at, broken)
	l.trip(v, at, broken)
	if l.levels == nil {
		if l.levels = newLevels(r.Tiers); l.levels == nil {
			return
		}
	}
	for i := range l.levels {
		t := &r.Tiers[i].Threshold
		l.levels[i].take(t, v, at, broken)
		if l.isActive(i) && before&(1<<i) == 0 {
			l.levels[i].fired(t, v)
		}
	}
}

// levels are those of the whole alert in its episode: of its series, and of those that have recovered before the others.
func (a *alertState) levels() levels {
	tiers := a.rule.rule.Tiers
	all := levels(nil).merge(tiers, a.past)
	for _, l := range a.lives {
		all = all.merge(tiers, l.levels)
	}
	return all
}

// putLevels writes the levels into what is said of an alert. The one is that of the tier that the alert stands at, and
// at the end of the highest tier that it reached.
func (a *alertState) putLevels(out *alert.Alert) {
	out.FiringLevels = a.levels().said(a.rule.rule.Tiers)
	severity := out.Severity
	switch {
	case out.State == alert.Inactive:
		for s := range out.FiringLevels {
			severity = max(severity, s)
		}
	case out.Reason == alert.ReasonNoData:
		return
	}
	if l, ok := out.FiringLevels[severity]; ok {
		out.FiringLevel, out.FiringLevelBound = &l.Value, l.Bound
	}
}

// storedLevel is the level of one tier as it is stored. Between two stores points may be lost, and the staircase is
// thinned, so what is restored is a bound.
type storedLevel struct {
	Best *uint64    `json:"b,omitempty"` // bits, so that infinities survive
	Run  []stepBits `json:"r,omitempty"`
}

type stepBits struct {
	Since int64  `json:"s"`
	Value uint64 `json:"v"`
}

func (ls levels) stored(tiers []rule.Tier) map[alert.Severity]storedLevel {
	if ls == nil {
		return nil
	}
	out := map[alert.Severity]storedLevel{}
	for i := range ls {
		l := ls[i]
		l.run.ring = slices.Clone(l.run.ring)
		l.thin(&tiers[i].Threshold, storedSteps)
		var s storedLevel
		if l.reached {
			bits := math.Float64bits(l.best)
			s.Best = &bits
		}
		for k := range l.run.n {
			st := l.run.at(k)
			s.Run = append(s.Run, stepBits{Since: st.since, Value: math.Float64bits(st.v)})
		}
		if s.Best != nil || s.Run != nil {
			out[tiers[i].Severity] = s
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// restoreLevels brings levels back; down is how long nobody looked, see Restore. What was stored is not believed to be
// in order: a staircase that is none under the present rule is left out.
func restoreLevels(tiers []rule.Tier, stored map[alert.Severity]storedLevel, down int64) levels {
	ls := newLevels(tiers)
	for i := range ls {
		l, t := &ls[i], &tiers[i].Threshold
		l.lost = math.Inf(1)
		s, ok := stored[tiers[i].Severity]
		if !ok {
			continue
		}
		if s.Best != nil {
			if best := math.Float64frombits(*s.Best); !math.IsNaN(best) {
				l.best, l.reached = best, true
			}
		}
		for _, b := range s.Run[:min(len(s.Run), storedSteps)] {
			next := step{since: b.Since + down, v: math.Float64frombits(b.Value)}
			if n := l.run.n; math.IsNaN(next.v) || n > 0 &&
				(next.since <= l.run.at(n-1).since || excess(t, next.v) <= excess(t, l.run.at(n-1).v)) {
				l.run = steps{}
				break
			}
			l.run.push(next)
		}
	}
	return ls
}
