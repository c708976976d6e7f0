package escalate

import (
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// holdPolicy has an owner that is not paged from 13:00 to 14:00 UTC, an hour after the tests' noon.
func holdPolicy(t *testing.T, change func(*Spec)) *Policy {
	t.Helper()
	s := testSpec()
	owner := s.Owners["inference-platform"]
	owner.RespondWithin, owner.MuteTimeIntervals = 0, []string{"lunch"}
	s.Owners["inference-platform"] = owner
	if change != nil {
		change(&s)
	}
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	return p
}

func TestStoriesOfWhatIsHeld(t *testing.T) {
	for name, script := range map[string]string{
		"what is silenced is paged when the silence is over": `
			0s   silence a 30m
			0s   fire a high
			30m  => page oncall (step 1): window_passed
			31m  end a
			31m  => end oncall (step 1): ended`,
		"what recovers under a silence pages nobody": `
			0s   silence a 30m
			0s   fire a high
			20m  end a
			20m  => nothing: self_resolved`,
		"a silence stops the steps, and taking it away lets them go on": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   silence a 2h
			20m  look
			30m  unsilence
			30m  => repeat oncall (step 1): snooze_ended
			45m  => page lead (step 2): not_acknowledged
			46m  look`,
		"the others of a group go on": `
			0s   fire a high
			0s   fire b high
			5m   silence a 2h
			15m  => page oncall (step 1): window_passed
			20m  look
			30m  => page lead (step 2): not_acknowledged
			31m  look`,
		"what is inhibited is looked at every minute": `
			0s   inhibit a
			0s   fire a critical
			9m30s release a
			10m  => page oncall (step 1): window_passed
			11m  look`,
		"outside of the owner's hours": `
			50m  fire a high
			2h   => page oncall (step 1): window_passed
			2h1m look`,
		"hours do not hold what is critical": `
			1h10m fire a critical
			1h10m => page oncall (step 1): window_passed
			1h11m look`,
		"a rise to critical is paged at once": `
			1h10m fire a high
			1h30m turn a critical
			1h30m => page oncall (step 1): window_passed
			1h31m look`,
		"hours stop the steps": `
			40m  fire a high
			55m  => page oncall (step 1): window_passed
			2h   => repeat oncall (step 1): snooze_ended
			2h15m => page lead (step 2): not_acknowledged
			2h16m look`,
		"one page says that it flaps, the next comes when it has settled": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			0s   accept
			1m   end a
			1m   => end oncall (step 1): ended
			2m   fire a critical
			2m   => page oncall (step 1): window_passed
			2m   accept
			3m   end a
			3m   => end oncall (step 1): ended
			4m   fire a critical
			4m   => page oncall (step 1): window_passed
			4m   accept
			5m   end a
			5m   => end oncall (step 1): ended
			6m   fire a critical
			7m   end a
			7m   => nothing: self_resolved
			8m   fire a critical
			19m  => page oncall (step 1): window_passed
			19m  accept
			25m  => repeat oncall (step 1): snooze_ended
			40m  => page lead (step 2): not_acknowledged
			41m  look`,
	} {
		t.Run(name, func(t *testing.T) { play(t, holdPolicy(t, nil), noon, script) })
	}
}

func TestStoriesOfWhoHasToRespond(t *testing.T) {
	within := func(d time.Duration) func(*Spec) {
		return func(s *Spec) {
			owner := s.Owners["inference-platform"]
			owner.RespondWithin = d
			s.Owners["inference-platform"] = owner
		}
	}
	for name, script := range map[string]string{
		"the next step comes when the promised time has passed": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			5m   => page lead (step 2): response_overdue
			35m  => page head (step 3): not_acknowledged
			36m  look`,
		"who acknowledges has responded": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			4m   acknowledge ada
			30m  look`,
		"a tier of one step is repeated": `
			2h   fire a medium
			3h   => page oncall (step 1): window_passed
			3h5m => repeat oncall (step 1): response_overdue
			4h   look`,
		"after a rise it begins anew": `
			0s   fire a high
			15m  => page oncall (step 1): window_passed
			18m  turn a critical
			18m  => page oncall (step 1): tier_rose
			23m  => page lead (step 2): response_overdue
			24m  look`,
		"and after an acknowledgement that expired": `
			0s   fire a critical
			0s   => page oncall (step 1): window_passed
			4m   acknowledge ada
			4h4m => repeat oncall (step 1): acknowledgement_expired
			4h9m => page lead (step 2): response_overdue
			4h10m look`,
	} {
		t.Run(name, func(t *testing.T) { play(t, holdPolicy(t, within(5*time.Minute)), noon, script) })
	}
	t.Run("without a repeat it is repeated once", func(t *testing.T) {
		p := holdPolicy(t, func(s *Spec) {
			within(5 * time.Minute)(s)
			s.Tiers.Medium = PagedSpec{Window: time.Minute}
		})
		play(t, p, noon, `
			0s   fire a medium
			1m   => page oncall (step 1): window_passed
			6m   => repeat oncall (step 1): response_overdue
			59m  look`)
	})
}

func TestMuteCritical(t *testing.T) {
	p := holdPolicy(t, func(s *Spec) {
		owner := s.Owners["inference-platform"]
		owner.MuteCritical = true
		s.Owners["inference-platform"] = owner
	})
	play(t, p, noon, `
		1h10m fire a critical
		2h    => page oncall (step 1): window_passed
		2h1m  look`)
}

// Office hours end at 17:00 in Berlin, in winter and in summer, and the weekend has none.
func TestHoursFollowTheCalendar(t *testing.T) {
	s := testSpec()
	s.Owners["office"] = OwnerSpec{ActiveTimeIntervals: []string{"office"}, Steps: []StepSpec{{Receivers: []string{"oncall"}}}}
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	o := p.ownerOf("office")
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return parsed
	}
	// until when, asked again and again as decisions do
	until := func(now time.Time) string {
		for next, _ := o.mutedUntil(alert.High, now); !next.IsZero(); next, _ = o.mutedUntil(alert.High, now) {
			require.True(t, next.After(now))
			now = next
		}
		return now.UTC().Format(time.RFC3339)
	}
	for now, want := range map[string]string{
		"2026-01-12T12:00:00Z": "2026-01-12T12:00:00Z", // Monday noon
		"2026-01-12T15:59:59Z": "2026-01-12T15:59:59Z",
		"2026-01-12T16:00:00Z": "2026-01-13T08:00:00Z",
		"2026-01-16T16:00:30Z": "2026-01-19T08:00:00Z", // Friday evening to Monday morning
		"2026-07-13T15:00:00Z": "2026-07-14T07:00:00Z", // in summer an hour earlier
		"2026-03-27T16:00:00Z": "2026-03-30T07:00:00Z", // the clocks change on that weekend
		"2026-10-23T15:00:00Z": "2026-10-26T08:00:00Z",
	} {
		require.Equal(t, want, until(at(now)), now)
	}
}

func TestSilencesMatchWhatPagesCarry(t *testing.T) {
	e := testEpisode()
	for want, matchers := range map[bool][][]ledger.Matcher{
		true: {
			{{Name: "alertname", Value: e.Rule, IsEqual: true}},
			{{Name: "severity", Value: "critical|" + e.Severity.String(), IsEqual: true, IsRegex: true}},
			{{Name: "owner", Value: "somebody"}},
			{{Name: "nowhere", Value: "", IsEqual: true}, {Name: "owner", Value: e.Owner, IsEqual: true}},
			{{Name: "owner", Value: "x.*", IsRegex: true}},
		},
		false: {
			{{Name: "alertname", Value: "Other", IsEqual: true}},
			{{Name: "owner", Value: e.Owner}},
			{{Name: "owner", Value: e.Owner[:3], IsEqual: true, IsRegex: true}},
			{},
		},
	} {
		for _, m := range matchers {
			s, err := CompileSilence(&ledger.Silence{Matchers: m})
			require.NoError(t, err)
			require.Equal(t, want, s.Matches(e), "%v", m)
		}
	}
	_, err := CompileSilence(&ledger.Silence{ID: "s", Matchers: []ledger.Matcher{{Name: "a", Value: "(", IsRegex: true}}})
	require.ErrorContains(t, err, "silence s: matcher a!~")
}

func TestInhibition(t *testing.T) {
	matchers := func(texts ...string) (all labels.Matchers) {
		for _, text := range texts {
			m, err := labels.ParseMatcher(text)
			require.NoError(t, err)
			all = append(all, m)
		}
		return all
	}
	d := knownDocument
	d.InhibitRules = []InhibitRule{{
		Source: matchers(`severity="critical"`), Target: matchers(`severity=~"high|critical"`), Equal: []string{"cluster"},
	}}
	p, err := Build(testSpec(), d)
	require.NoError(t, err)
	episode := func(id string, t alert.Severity, cluster string) *ledger.Episode {
		return &ledger.Episode{ID: id, Severity: t, Labels: map[string]string{"cluster": cluster}}
	}
	down := episode("down", alert.Critical, "a")
	require.True(t, p.Inhibits(down))
	slow := episode("slow", alert.High, "a")
	require.False(t, p.Inhibits(slow))
	require.Same(t, down, p.Inhibited(slow, []*ledger.Episode{slow, down}))
	require.Nil(t, p.Inhibited(episode("slow", alert.High, "b"), []*ledger.Episode{down}), "another cluster")
	require.Nil(t, p.Inhibited(episode("low", alert.Low, "a"), []*ledger.Episode{down}), "no target")
	require.Nil(t, p.Inhibited(down, []*ledger.Episode{down}), "not by itself")
	require.Nil(t, p.Inhibited(down, []*ledger.Episode{episode("other", alert.Critical, "a")}), "both match both sides")
}

func TestPagesTellOfFlappingAndDeadlines(t *testing.T) {
	p := testPolicy(t)
	e := testEpisode()
	e.EndedAt, e.OpenedAt = time.Time{}, noon
	g := p.Open(e, noon)
	require.NotContains(t, p.Page(g, []*ledger.Episode{e}, time.Time{}, 1, noon).Alerts[0].Annotations, AnnotationFlapping)
	e.Recent = []time.Time{noon.Add(-19 * time.Minute), noon.Add(-5 * time.Minute), noon.Add(-4 * time.Minute)}
	g.RespondBy = noon.Add(time.Minute)
	annotations := p.Page(g, []*ledger.Episode{e}, time.Time{}, 1, noon).Alerts[0].Annotations
	require.Contains(t, annotations[AnnotationFlapping], "4 times within 20m")
	require.Equal(t, "2026-01-12T12:01:00Z", annotations[AnnotationRespondBy])
	e.Held = ledger.SuppressedSilenced
	require.Empty(t, p.Page(g, []*ledger.Episode{e}, time.Time{}, 1, noon).Alerts)
	e.HeldUntil = noon
	require.Len(t, p.Page(g, []*ledger.Episode{e}, time.Time{}, 1, noon).Alerts, 1, "it is over")
}
