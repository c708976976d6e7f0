package evaluate

import (
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// A rule may have two conditions for more than a page: see rule.Rule.Rollback and ManualIntervention. They run as a
// tier's condition does, beside the machine: they have no part in what the alert's severity is or when it ends, and say
// something only while the alert fires by its data. A rule file has them beyond some tier, so that a series has a machine
// by the time that their condition can begin.

// actionKinds are the triggers of a rule, in the order of their bits.
var actionKinds = [...]alert.Action{alert.ActionRollback, alert.ActionManualIntervention}

// trigger is one condition at work; times are as in machine.
type trigger struct {
	since  int64
	active bool
}

type triggers [len(actionKinds)]trigger

// conditions are those of a rule's triggers; nil where it has none.
func conditions(r *rule.Rule) [len(actionKinds)]*rule.Threshold {
	return [...]*rule.Threshold{r.Rollback, r.ManualIntervention}
}

// trip moves the triggers of a series by one judged point.
func (l *live) trip(v float64, at int64, broken bool) {
	r := l.rule.rule
	if r.Rollback == nil && r.ManualIntervention == nil {
		return
	}
	for i, t := range conditions(r) {
		if t == nil || l.triggers == nil && !t.Breached(v) {
			continue
		}
		if l.triggers == nil {
			l.triggers = &triggers{}
		}
		l.triggers[i].take(t, v, at, broken)
	}
	if l.triggers != nil && *l.triggers == (triggers{}) {
		l.triggers = nil
	}
}

// take is what machine.step does with one tier.
func (g *trigger) take(t *rule.Threshold, v float64, at int64, broken bool) {
	if g.active {
		if t.Held(v) {
			return
		}
		*g = trigger{}
	}
	switch {
	case !t.Breached(v):
		g.since = 0
		return
	case g.since == 0, broken, g.since > at:
		g.since = at
	}
	g.active = at-g.since >= int64(t.For)
}

// pause lets the `for` of what is not active yet begin anew: of an action nobody may say that its condition held all the
// time while there were no data, not even where the interval of a series is not known yet.
func (g *triggers) pause() *triggers {
	if g == nil {
		return nil
	}
	for i := range g {
		if !g[i].active {
			g[i] = trigger{}
		}
	}
	if *g == (triggers{}) {
		return nil
	}
	return g
}

// actions are the triggers of a series that are active, a bit each: none before it fires, and none where its data are
// missing.
func (l *live) actions() (bits uint8) {
	if l.triggers == nil || !l.firing || l.noData {
		return 0
	}
	for i := range l.triggers {
		if l.triggers[i].active {
			bits |= 1 << i
		}
	}
	return bits
}

// wanted are the actions of an alert: those of any of its series.
func (a *alertState) wanted() (bits uint8) {
	for _, l := range a.lives {
		bits |= l.actions()
	}
	return bits
}

// listActions names what the bits say.
func listActions(bits uint8) (all []alert.Action) {
	for i, kind := range actionKinds {
		if bits&(1<<i) != 0 {
			all = append(all, kind)
		}
	}
	return all
}

// carry keeps the triggers that another version of the rule has, too.
func (g *triggers) carry(to *rule.Rule) *triggers {
	if g == nil {
		return nil
	}
	next := *g
	for i, t := range conditions(to) {
		if t == nil {
			next[i] = trigger{}
		}
	}
	if next == (triggers{}) {
		return nil
	}
	return &next
}

// storedTrigger is a trigger in the stored state.
type storedTrigger struct {
	Since  int64 `json:"s,omitempty"`
	Active bool  `json:"a,omitempty"`
}

func (g *triggers) stored() (all map[alert.Action]storedTrigger) {
	if g == nil {
		return nil
	}
	all = map[alert.Action]storedTrigger{}
	for i, kind := range actionKinds {
		if g[i] != (trigger{}) {
			all[kind] = storedTrigger{Since: g[i].since, Active: g[i].active}
		}
	}
	return all
}

// restoreTriggers brings them back; down is how long nobody judged, which does not count towards `for`.
func restoreTriggers(r *rule.Rule, stored map[alert.Action]storedTrigger, down int64) *triggers {
	var g triggers
	for i, kind := range actionKinds {
		if s, ok := stored[kind]; ok {
			g[i] = trigger{since: s.Since, active: s.Active}
			if s.Since != 0 {
				g[i].since += down
			}
		}
	}
	if g == (triggers{}) {
		return nil
	}
	return g.carry(r)
}
