package evaluate

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// observation is one point of a history.
type observation struct {
	v      float64
	at     int64
	broken bool
}

// slowMachine says the same as machine by looking through the whole history at every point.
type slowMachine struct {
	tiers   []rule.Tier
	keep    time.Duration
	history []observation

	active     map[int]bool
	firing     bool
	lastTier   int   // the tier the alert stands or stood at
	quietSince int64 // when no tier was active any more
}

func (s *slowMachine) step(o observation) {
	s.history = append(s.history, o)
	before := s.active
	s.active = map[int]bool{}
	for i := range s.tiers {
		switch {
		case before[i] && s.tiers[i].Held(o.v):
			s.active[i] = true
		case !before[i] && s.ranFor(i):
			s.active[i] = true
		}
	}
	if s.firing {
		if top, ok := highest(before); ok && !s.tiers[top].Held(o.v) {
			for i := top + 1; i < len(s.tiers); i++ {
				if s.tiers[i].Held(o.v) {
					s.active[i] = true
				}
			}
		} else if !ok {
			for i := s.lastTier; i < len(s.tiers); i++ {
				if s.tiers[i].Breached(o.v) {
					s.active[i] = true
				}
			}
		}
	}
	if top, ok := highest(s.active); ok {
		s.firing, s.lastTier, s.quietSince = true, top, 0
		return
	}
	if s.firing {
		if s.quietSince == 0 {
			s.quietSince = o.at
		}
		if o.at-s.quietSince >= int64(s.keep) {
			s.firing, s.quietSince = false, 0
		}
	}
}

// ranFor looks back for the beginning of the breach of tier i that lasts until now, and says whether it is long enough.
func (s *slowMachine) ranFor(i int) bool {
	last := len(s.history) - 1
	begin := -1
	for k := last; k >= 0 && s.tiers[i].Breached(s.history[k].v); k-- {
		begin = k
		if s.history[k].broken {
			break
		}
	}
	return begin >= 0 && s.history[last].at-s.history[begin].at >= int64(s.tiers[i].For)
}

func (s *slowMachine) pending() bool {
	if s.firing {
		return false
	}
	for i := range s.tiers {
		if s.tiers[i].Breached(s.history[len(s.history)-1].v) {
			return true
		}
	}
	return false
}

func highest(active map[int]bool) (int, bool) {
	for i := range maxTiers {
		if active[i] {
			return i, true
		}
	}
	return 0, false
}

func drawTiers(t *rapid.T) []rule.Tier {
	n := rapid.IntRange(1, 4).Draw(t, "tiers")
	op := rapid.SampledFrom([]rule.Op{rule.Above, rule.AtLeast, rule.Below, rule.AtMost, rule.Outside}).Draw(t, "op")
	var tiers []rule.Tier
	for i := range n {
		bound := float64(10 - 2*i)
		gap := float64(rapid.IntRange(0, 3).Draw(t, "gap"))
		th := rule.Threshold{Op: op, Low: math.Inf(-1), High: math.Inf(1), ClearLow: math.Inf(-1), ClearHigh: math.Inf(1)}
		switch op {
		case rule.Above, rule.AtLeast:
			th.High, th.ClearHigh = bound, bound-gap
		case rule.Below, rule.AtMost:
			th.Low, th.ClearLow = -bound, -bound+gap
		default:
			th.Low, th.High, th.ClearLow, th.ClearHigh = -bound, bound, -bound+gap, bound-gap
		}
		th.For = time.Duration(rapid.IntRange(0, 5).Draw(t, "for")) * time.Minute
		tiers = append(tiers, rule.Tier{Severity: alert.Severities[i], Threshold: th})
	}
	return tiers
}

func TestMachineAgreesWithHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tiers := drawTiers(t)
		keep := time.Duration(rapid.IntRange(0, 3).Draw(t, "keep_firing_for")) * time.Minute
		slow := &slowMachine{tiers: tiers, keep: keep}
		fast := newMachine()
		at := int64(time.Hour)
		for range rapid.IntRange(1, 60).Draw(t, "points") {
			at += int64(rapid.IntRange(1, 120).Draw(t, "distance")) * int64(time.Second)
			o := observation{
				v:      float64(rapid.IntRange(-12, 12).Draw(t, "value")),
				at:     at,
				broken: rapid.IntRange(0, 9).Draw(t, "broken") == 0,
			}
			slow.step(o)
			fast.step(tiers, keep, o.v, o.at, o.broken)
			require.Equal(t, slow.firing, fast.firing, "firing after %+v", o)
			require.Equal(t, slow.pending(), fast.pending(), "pending after %+v", o)
			if slow.firing {
				require.Equal(t, slow.lastTier, fast.tier(), "tier after %+v", o)
			}
			for i := range tiers {
				require.Equal(t, slow.active[i], fast.isActive(i), "tier %d after %+v", i, o)
			}
		}
	})
}

func TestCarryKeepsWhatFires(t *testing.T) {
	critical := rule.Tier{Severity: alert.Critical, Threshold: rule.Threshold{Op: rule.Above, High: 10, ClearHigh: 10}}
	high := rule.Tier{Severity: alert.High, Threshold: rule.Threshold{Op: rule.Above, High: 5, ClearHigh: 5}}
	m := newMachine()
	m.step([]rule.Tier{critical, high}, 0, 20, 1, false)
	require.True(t, m.isActive(0) && m.isActive(1))

	same := m.carry([]rule.Tier{critical, high}, []rule.Tier{critical, high})
	require.Equal(t, m, same)

	fewer := m.carry([]rule.Tier{critical, high}, []rule.Tier{high})
	require.True(t, fewer.firing && fewer.isActive(0))

	other := m.carry([]rule.Tier{critical}, []rule.Tier{high})
	require.True(t, other.firing, "fires on until its next point")
	other.step([]rule.Tier{high}, 0, 1, 2, false)
	require.False(t, other.firing)
}
