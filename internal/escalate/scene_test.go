package escalate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// scene plays one group of episodes against a policy: what people and evaluators do changes it as the ledger's deeds
// do, and between two of those it decides whenever the group is due.
type scene struct {
	policy   *Policy
	start    time.Time
	now      time.Time
	group    *ledger.Group
	episodes []*ledger.Episode
	told     func(d Decision)
	decided  int
}

func newScene(p *Policy, start time.Time, told func(Decision)) *scene {
	return &scene{policy: p, start: start, now: start, told: told}
}

func (s *scene) decide() Decision {
	if s.decided++; s.decided%8 == 0 {
		s.restart()
	}
	d := s.policy.Decide(*s.group, s.episodes, s.now)
	*s.group = d.Group
	for _, hold := range d.Holds {
		s.episode(hold.EpisodeID).Suppressed = hold.Reason
	}
	if d.Digest != nil {
		s.group.DigestID = "digest"
	}
	s.told(d)
	return d
}

// restart puts the group through a stored form, every now and then: a decision knows nothing that is not stored.
func (s *scene) restart() {
	text, err := json.Marshal(s.group)
	if err != nil {
		panic(err)
	}
	s.group = &ledger.Group{}
	if err := json.Unmarshal(text, s.group); err != nil {
		panic(err)
	}
}

// until lets time pass, deciding whenever the group is due, the end of the time included.
func (s *scene) until(t time.Time) {
	for s.group != nil && !s.group.DueAt.IsZero() && !s.group.DueAt.After(t) {
		if s.group.DueAt.After(s.now) {
			s.now = s.group.DueAt
		}
		s.decide()
	}
	s.now = t
}

func (s *scene) episode(id string) *ledger.Episode {
	for i := len(s.episodes) - 1; i >= 0; i-- {
		if s.episodes[i].ID == id {
			return s.episodes[i]
		}
	}
	return nil
}

func (s *scene) touch(dirty bool) {
	s.group.Dirty = s.group.Dirty || dirty
	if s.group.Open() && (s.group.DueAt.IsZero() || s.group.DueAt.After(s.now)) {
		s.group.DueAt = s.now
	}
}

func (s *scene) fire(id, owner string, t alert.Severity) {
	e := &ledger.Episode{
		ID: id, AlertID: id, Rule: "KVCacheNearlyFull", Owner: owner, Severity: t, Highest: t,
		OpenedAt: s.now, RaisedAt: s.now, StartsAt: s.now,
	}
	s.episodes = append(s.episodes, e)
	if s.group == nil {
		s.group = s.policy.Open(e, s.now)
		return
	}
	group, decide := Join(*s.group, e, s.now)
	*s.group = group
	if decide {
		s.touch(false)
	}
}

func (s *scene) turn(id string, t alert.Severity) {
	e := s.episode(id)
	if t > e.Severity {
		e.RaisedAt, e.SnoozedUntil, e.Suppressed = s.now, time.Time{}, ""
	}
	e.Severity, e.Highest = t, max(t, e.Highest)
	s.touch(true)
}

func (s *scene) end(id string) {
	s.episode(id).EndedAt = s.now
	s.touch(true)
}

func (s *scene) acknowledge(by string) {
	s.group.AcknowledgedAt, s.group.AcknowledgedBy = s.now, by
	s.touch(false)
}

func (s *scene) snooze(id string, d time.Duration) {
	s.episode(id).SnoozedUntil = s.now.Add(d)
	s.touch(false)
}

// act does what a line of a script says.
func (s *scene) act(t *testing.T, words []string) {
	tier := func(name string) alert.Severity {
		parsed, err := alert.ParseSeverity(name)
		require.NoError(t, err)
		return parsed
	}
	switch words[0] {
	case "fire":
		owner := "inference-platform"
		if len(words) > 3 {
			owner = words[3]
		}
		s.fire(words[1], owner, tier(words[2]))
	case "turn":
		s.turn(words[1], tier(words[2]))
	case "end":
		s.end(words[1])
	case "give":
		s.episode(words[1]).Owner = words[2]
		s.touch(true)
	case "acknowledge":
		s.acknowledge(words[1])
	case "snooze":
		d, err := time.ParseDuration(words[2])
		require.NoError(t, err)
		s.snooze(words[1], d)
	case "look":
	default:
		t.Fatalf("unknown action %q", words)
	}
}

// describe writes what a decision sends, one line each.
func describe(start, now time.Time, d Decision) []string {
	var lines []string
	at := now.Sub(start).String()
	if short, ok := strings.CutSuffix(at, "m0s"); ok {
		at = short + "m"
	}
	if short, ok := strings.CutSuffix(at, "h0m"); ok {
		at = short + "h"
	}
	for _, o := range d.Orders {
		lines = append(lines, fmt.Sprintf("%s => %s %s (step %d): %s", at, o.Kind, list(o.Receivers), o.Step, o.Reason))
	}
	if d.Digest != nil {
		lines = append(lines, fmt.Sprintf("%s => digest %s of %s: %s", at, list(d.Digest.Receivers), d.Digest.Owner, d.Reason))
	}
	if d.Closed && len(d.Orders) == 0 {
		lines = append(lines, fmt.Sprintf("%s => nothing: %s", at, d.Reason))
	}
	return lines
}

// play runs a script. A line is a time since the start and an action, or a time, "=>" and what is expected to be sent;
// everything sent must be expected, in order.
func play(t *testing.T, p *Policy, start time.Time, script string) {
	t.Helper()
	var want, got []string
	var s *scene
	s = newScene(p, start, func(d Decision) { got = append(got, describe(start, s.now, d)...) })
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if words[1] == "=>" {
			want = append(want, strings.Join(words, " "))
			continue
		}
		at, err := time.ParseDuration(words[0])
		require.NoError(t, err)
		s.until(start.Add(at))
		s.act(t, words[1:])
		s.until(start.Add(at))
	}
	require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
}
