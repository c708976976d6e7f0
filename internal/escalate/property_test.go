package escalate

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// histories is how many random histories each property sees. HISTORIES asks for another number: under the race detector
// each takes ten times as long.
func histories() string {
	if n := os.Getenv("HISTORIES"); n != "" {
		return n
	}
	return "100000"
}

func manyHistories(t *testing.T) {
	t.Helper()
	before := flag.Lookup("rapid.checks").Value.String()
	if before == "100" { // not asked otherwise
		require.NoError(t, flag.Set("rapid.checks", histories()))
		t.Cleanup(func() { _ = flag.Set("rapid.checks", before) })
	}
}

func propertySpec() Spec {
	s := DefaultSpec()
	s.Tiers.High = PagedSpec{Window: 3 * time.Minute, RepeatInterval: 7 * time.Minute}
	s.Tiers.Medium = PagedSpec{Window: 10 * time.Minute, RepeatInterval: 15 * time.Minute}
	s.Tiers.Critical.RepeatInterval = 4 * time.Minute
	s.Tiers.Low.BatchAt = "12:30"
	s.GroupInterval = 2 * time.Minute
	s.AcknowledgeFor = 6 * time.Minute
	s.Owners = map[string]OwnerSpec{
		Unowned: {MuteTimeIntervals: []string{"coffee"}, RespondWithin: 4 * time.Minute, Steps: []StepSpec{
			{Receivers: []string{"oncall"}},
			{After: 3 * time.Minute, Receivers: []string{"lead"}},
			{After: 5 * time.Minute, Receivers: []string{"head"}, Tiers: []string{"critical"}},
		}},
	}
	return s
}

func propertyModel() *model {
	return &model{
		spec: map[alert.Severity]modelTier{alert.Critical: {0, 4}, alert.High: {3, 7}, alert.Medium: {10, 15}},
		steps: []modelStep{
			{0, "oncall", "critical high medium"}, {3, "lead", "critical high"}, {5, "head", "critical"},
		},
		interval: 2, handFor: 6, respondFor: 4, silences: map[string]int{}, mutedFrom: 20, mutedTo: 32,
	}
}

// history is what happens, minute by minute.
type history [][]event

type event struct {
	what, id string
	tier     alert.Severity
	minutes  int
}

// drawHistory draws events that make sense: what ends has fired. Each minute has few events; many have none.
func drawHistory(t *rapid.T, tiers []alert.Severity) history {
	ids := []string{"a", "b", "c"}
	open := map[string]alert.Severity{}
	var h history
	for range rapid.IntRange(5, 70).Draw(t, "minutes") {
		var events []event
		if len(h) > 0 && rapid.IntRange(0, 4).Draw(t, "anything") > 0 {
			h = append(h, nil)
			continue
		}
		for range rapid.IntRange(1, 2).Draw(t, "events") {
			e := event{id: rapid.SampledFrom(ids).Draw(t, "id"), tier: rapid.SampledFrom(tiers).Draw(t, "tier")}
			switch tier, firing := open[e.id]; {
			case !firing:
				e.what, open[e.id] = "fire", e.tier
			default:
				e.what = rapid.SampledFrom([]string{"end", "turn", "turn", "acknowledge", "snooze", "silence", "unsilence"}).Draw(t, "what")
				switch e.what {
				case "end":
					delete(open, e.id)
				case "turn":
					if e.tier == tier {
						continue
					}
					open[e.id] = e.tier
				case "snooze", "silence":
					e.minutes = rapid.IntRange(1, 20).Draw(t, "minutes")
				}
			}
			events = append(events, e)
		}
		h = append(h, events)
	}
	return h
}

func (s *scene) apply(e event) {
	switch e.what {
	case "fire":
		s.fire(e.id, "x", e.tier)
	case "turn":
		s.turn(e.id, e.tier)
	case "end":
		s.end(e.id)
	case "acknowledge":
		s.acknowledge("ada")
	case "snooze":
		s.snooze(e.id, time.Duration(e.minutes)*time.Minute)
	case "silence":
		s.silence(e.id, time.Duration(e.minutes)*time.Minute)
	case "unsilence":
		s.around.Silences = nil
		s.touch(false)
	}
}

func (m *model) apply(e event) {
	switch e.what {
	case "fire":
		m.fire(e.id, e.tier)
	case "turn":
		m.turn(e.id, e.tier)
	case "end":
		m.end(e.id)
	case "acknowledge":
		m.acknowledge()
	case "snooze":
		m.find(e.id).snooze = e.minutes
	case "silence":
		m.silences[e.id] = max(m.silences[e.id], e.minutes)
	case "unsilence":
		clear(m.silences)
	}
}

// run plays a history. Lazily it decides only when the group says that it is due; otherwise every minute too. It stops
// when the group closes: what fires later belongs to another group.
func run(p *Policy, h history, lazy bool) []string {
	start := noon
	var said []string
	var s *scene
	s = newScene(p, start, func(d Decision) {
		minute := int(s.now.Sub(start) / time.Minute)
		for _, o := range d.Orders {
			said = append(said, fmt.Sprintf("%d %s %s %d", minute, o.Kind, list(o.Receivers), o.Step))
		}
		if d.Digest != nil {
			said = append(said, fmt.Sprintf("%d digest %s", minute, list(d.Digest.Receivers)))
		}
	})
	for minute, events := range h {
		at := start.Add(time.Duration(minute) * time.Minute)
		if s.group != nil {
			s.until(at.Add(-time.Nanosecond))
		}
		s.now = at
		for _, e := range events {
			if s.group == nil || s.group.Open() {
				s.apply(e)
			}
		}
		if s.group == nil {
			continue
		}
		s.until(at)
		if !lazy {
			s.decide()
		}
		if !s.group.Open() && s.group.DueAt.IsZero() {
			break
		}
	}
	return said
}

func TestDecisionsAreThoseOfTheModel(t *testing.T) {
	manyHistories(t)
	p, err := Build(propertySpec(), knownDocument)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, []alert.Severity{alert.Medium, alert.High, alert.Critical})
		m := propertyModel()
		for minute, events := range h {
			if minute > 0 {
				m.minute()
			}
			for _, e := range events {
				if !m.closed {
					m.apply(e)
				}
			}
			m.decide()
			if m.closed {
				break
			}
		}
		require.Equal(t, m.said, run(p, h, true), "history %v", h)
	})
}

// Nothing depends on how often is looked, in any tier: DueAt is never too late.
func TestDecidingOftenerChangesNothing(t *testing.T) {
	manyHistories(t)
	p, err := Build(propertySpec(), knownDocument)
	require.NoError(t, err)
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t, []alert.Severity{alert.Low, alert.Medium, alert.High, alert.Critical})
		require.Equal(t, run(p, h, false), run(p, h, true), "history %v", h)
	})
}
