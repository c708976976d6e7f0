package escalate

import (
	"encoding/json"
	"fmt"
	"slices"
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
	around   Circumstances
	// inhibited are alerts by id; changes the times at which they fired or ended.
	inhibited map[string]bool
	changes   map[string][]time.Time
	noticed   map[string]time.Time
	decided   int
}

func newScene(p *Policy, start time.Time, told func(Decision)) *scene {
	s := &scene{
		policy: p, start: start, now: start, told: told,
		inhibited: map[string]bool{}, changes: map[string][]time.Time{}, noticed: map[string]time.Time{},
	}
	s.around.Inhibited = func(e *ledger.Episode) bool { return s.inhibited[e.AlertID] }
	return s
}

func (s *scene) decide() Decision {
	if s.decided++; s.decided%8 == 0 {
		s.restart()
	}
	d := s.policy.Decide(*s.group, s.members(), s.now, s.around)
	*s.group = d.Group
	for _, hold := range d.Holds {
		hold.Apply(s.episode(hold.EpisodeID))
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
	if s.group == nil {
		return
	}
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
	e.Recent, e.FlapNoticedAt = slices.Clone(s.changes[id]), s.noticed[id]
	s.policy.Begin(e)
	s.changes[id] = append(s.changes[id], s.now)
	s.episodes = append(s.episodes, e)
	if s.group == nil || !s.group.Open() {
		for _, old := range s.episodes[:len(s.episodes)-1] {
			old.GroupID = "closed"
		}
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
	s.changes[id] = append(s.changes[id], s.now)
	s.noticed[id] = s.episode(id).FlapNoticedAt
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

func (s *scene) silence(id string, d time.Duration) {
	one, err := CompileSilence(&ledger.Silence{
		Matchers: []ledger.Matcher{{Name: alert.LabelAlertID, Value: id, IsEqual: true}}, StartsAt: s.now, EndsAt: s.now.Add(d),
	})
	if err != nil {
		panic(err)
	}
	s.around.Silences = append(s.around.Silences, one)
	s.touch(false)
}

// members are the episodes of the present group.
func (s *scene) members() (members []*ledger.Episode) {
	for _, e := range s.episodes {
		if e.GroupID == "" {
			members = append(members, e)
		}
	}
	return members
}

// accept is what the exporter does when a destination has accepted the group's page.
func (s *scene) accept() {
	for _, a := range s.policy.Page(s.group, s.members(), time.Time{}, s.group.Step, s.now).Alerts {
		e := s.episode(a.Labels[alert.LabelEpisodeID])
		if e.NotifiedAt.IsZero() {
			e.NotifiedAt = s.now
		}
		if a.Annotations[AnnotationFlapping] != "" && e.FlapNoticedAt.IsZero() {
			e.FlapNoticedAt = s.now
			s.touch(false)
		}
	}
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
	case "silence": // an alert by its id, for a time
		d, err := time.ParseDuration(words[2])
		require.NoError(t, err)
		s.silence(words[1], d)
	case "unsilence":
		s.around.Silences = nil
		s.touch(false)
	case "inhibit":
		s.inhibited[words[1]] = true
		s.touch(false)
	case "release": // nobody tells the group
		delete(s.inhibited, words[1])
	case "accept": // a destination accepts what was sent last
		s.accept()
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
