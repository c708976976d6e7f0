package evaluate

import (
	"math/bits"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// maxTiers is the number of tiers that a rule can have: one per severity.
const maxTiers = len(alert.Severities)

// noTier stands where a tier's index could: there is none.
const noTier = -1

// machine is the alert state machine of one series under one rule. Its only inputs are values and event times, so it
// can be held against a slow, obvious model. Tiers are indexed as in rule.Rule.Tiers: 0 is the most urgent.
//
// Times are Unix nanoseconds of event time; 0 means "not".
type machine struct {
	// since is when each tier's condition began to hold without a break.
	since [maxTiers]int64
	// start is when the breach began: the first breaching point since the series was quiet.
	start int64
	// cleared is when no tier was active any more, while keep_firing_for keeps the alert.
	cleared int64
	// active has a bit per tier that fires.
	active uint8
	// kept is the tier that keep_firing_for keeps, or noTier.
	kept   int8
	firing bool
}

func newMachine() machine { return machine{kept: noTier} }

// step takes one point with value v at event time at. broken says that too long a gap lies between this point and the
// one before: what was pending starts anew.
func (m *machine) step(tiers []rule.Tier, keepFiringFor time.Duration, v float64, at int64, broken bool) {
	top := m.top()
	for i := range tiers {
		if m.isActive(i) && !tiers[i].Held(v) {
			m.active &^= 1 << i
			m.since[i] = 0
		}
	}
	if m.firing {
		m.fall(tiers, top, v)
	}
	for i := range tiers {
		m.rise(&tiers[i].Threshold, i, v, at, broken)
	}
	m.settle(top, keepFiringFor, at)
}

// fall activates what a firing alert falls back on. An alert never goes back to pending: when its tier clears, every
// lower tier whose condition or clear band still holds is active at once. While keep_firing_for keeps a tier, a new
// breach of it or of a lower one makes that tier active at once, as Prometheus does.
func (m *machine) fall(tiers []rule.Tier, top int, v float64) {
	switch {
	case top != noTier && !m.isActive(top):
		for i := top + 1; i < len(tiers); i++ {
			if tiers[i].Held(v) {
				m.active |= 1 << i
			}
		}
	case top == noTier:
		for i := max(int(m.kept), 0); i < len(tiers); i++ {
			if tiers[i].Breached(v) {
				m.active |= 1 << i
			}
		}
	}
}

// rise lets one tier's condition run towards its `for`.
func (m *machine) rise(t *rule.Threshold, i int, v float64, at int64, broken bool) {
	if m.isActive(i) {
		return
	}
	if !t.Breached(v) {
		m.since[i] = 0
		return
	}
	if since := m.since[i]; since == 0 || broken || since > at {
		m.since[i] = at
	}
	if at-m.since[i] >= int64(t.For) {
		m.active |= 1 << i
	}
}

// settle decides whether the alert fires, is kept, or is over.
func (m *machine) settle(top int, keepFiringFor time.Duration, at int64) {
	switch {
	case m.active != 0:
		m.firing, m.kept, m.cleared = true, noTier, 0
	case m.firing:
		if m.cleared == 0 || m.cleared > at {
			m.cleared = at
		}
		if m.kept == noTier {
			m.kept = int8(max(top, 0))
		}
		if at-m.cleared >= int64(keepFiringFor) {
			m.firing, m.kept, m.cleared = false, noTier, 0
		}
	}
	m.begin()
}

// begin moves start: the earliest condition that still runs, unless the alert fires already.
func (m *machine) begin() {
	if m.firing && m.start != 0 {
		return
	}
	m.start = 0
	for _, since := range m.since {
		if since != 0 && (m.start == 0 || since < m.start) {
			m.start = since
		}
	}
}

func (m *machine) isActive(i int) bool { return m.active&(1<<i) != 0 }

// top is the most urgent active tier.
func (m *machine) top() int {
	if m.active == 0 {
		return noTier
	}
	return bits.TrailingZeros8(m.active)
}

// pending reports whether some tier's condition runs towards its `for` while nothing fires.
func (m *machine) pending() bool { return !m.firing && m.since != [maxTiers]int64{} }

// tier is the tier at which the alert stands: the highest active one, the kept one, or the highest pending one.
func (m *machine) tier() int {
	if m.firing {
		if m.active != 0 {
			return m.top()
		}
		return int(m.kept)
	}
	for i, since := range m.since {
		if since != 0 {
			return i
		}
	}
	return noTier
}

// dropPending forgets what has not fired.
func (m *machine) dropPending() {
	for i := range m.since {
		if !m.isActive(i) {
			m.since[i] = 0
		}
	}
	m.begin()
}
