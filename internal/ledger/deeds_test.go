package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// story tells a ledger one thing after the other. Its clock stands still unless told to go on.
type story struct {
	*testing.T
	ledger.Ledger
	now   time.Time
	alert alert.Alert
	id    string // of the episode that was last recorded
}

func newStory(t *testing.T) *story {
	return &story{T: t, Ledger: ledgertest.New(t), now: ledgertest.Epoch, alert: alert.Alert{
		ID: "a", Group: "g", Rule: "KVCacheNearlyFull", Owner: "o", Severity: alert.High, State: alert.Firing,
		Reason: alert.ReasonThreshold, Start: ledgertest.Epoch.Add(-time.Minute), SourceMetric: "m", SourceUnit: "1",
		Labels: map[string]string{"instance": "x"}, Value: ptr(0.97), Threshold: ptr(0.9),
	}}
}

func ptr[T any](v T) *T { return &v }

func (s *story) wait(d time.Duration) { s.now = s.now.Add(d) }

func (s *story) do(fn func(ledger.Tx) error) error { return s.Update(context.Background(), s.now, fn) }

func (s *story) must(fn func(ledger.Tx) error) {
	s.Helper()
	require.NoError(s, s.do(fn))
}

// record judges the alert as it is, a second after the judgement before. It takes a mere repetition to Observe, as
// the exporter does.
func (s *story) record(want ledger.ChangeKind) {
	s.Helper()
	if s.alert.Time.IsZero() {
		s.alert.Time = s.now
	}
	s.alert.Time = s.alert.Time.Add(time.Second)
	var kind ledger.ChangeKind
	s.must(func(tx ledger.Tx) (err error) {
		var e *ledger.Episode
		kind, e, err = ledger.Record(tx, &s.alert)
		if e != nil {
			s.id = e.ID
		}
		return err
	})
	require.Equal(s, want, kind)
	if kind == ledger.Unchanged {
		s.Observe(map[string]ledger.Observation{s.id: {
			Value: s.alert.Value, FiringLevel: s.alert.FiringLevel, ObservedAt: s.alert.ObservedAt, JudgedAt: s.alert.Time, SeenAt: s.now,
		}})
	}
}

// join puts the episode into a group that owes nothing.
func (s *story) join(change func(*ledger.Group)) {
	s.must(func(tx ledger.Tx) error {
		e, err := tx.Episode(s.id)
		if err != nil {
			return err
		}
		e.GroupID = "group"
		g := &ledger.Group{ID: "group", Key: "k", Tier: e.Severity, OpenedAt: s.now, NextStep: "page somebody", DueAt: s.now.Add(time.Hour)}
		if change != nil {
			change(g)
		}
		if err := tx.PutGroup(g); err != nil {
			return err
		}
		return tx.PutEpisode(e)
	})
}

func (s *story) episode() (e *ledger.Episode) {
	s.view(func(tx ledger.Tx) (err error) {
		e, err = tx.Episode(s.id)
		return err
	})
	return e
}

func (s *story) group() (g *ledger.Group) {
	s.view(func(tx ledger.Tx) (err error) {
		g, err = tx.Group("group")
		return err
	})
	return g
}

// events are the last n of the episode.
func (s *story) events(n int) (events []ledger.Event) {
	s.view(func(tx ledger.Tx) error {
		all, err := tx.EpisodeEvents(s.id)
		require.GreaterOrEqual(s, len(all), n)
		for _, e := range all[len(all)-n:] {
			events = append(events, *e)
		}
		return err
	})
	return events
}

func (s *story) count(metric, value string) (n int64) {
	s.view(func(tx ledger.Tx) error {
		counters, err := tx.Counters()
		for _, c := range counters {
			if c.Metric == metric && c.Value == value {
				n += c.N
			}
		}
		return err
	})
	return n
}

// measured is the sum of a histogram, and how often it was measured.
func (s *story) measured(metric string) (sum time.Duration, times uint64) {
	s.view(func(tx ledger.Tx) error {
		histograms, err := tx.Histograms()
		for _, h := range histograms {
			if h.Metric == metric {
				sum += time.Duration(h.Sum * float64(time.Second))
				times += h.Count
			}
		}
		return err
	})
	return sum, times
}

func (s *story) view(fn func(ledger.Tx) error) {
	s.Helper()
	require.NoError(s, s.View(context.Background(), s.now, fn))
}

func TestRecordOpens(t *testing.T) {
	s := newStory(t)
	s.alert.Annotations = map[string]string{"summary": "full"}
	s.alert.Response = "Drain"
	s.alert.Actions = []alert.Action{alert.ActionRollback}
	s.alert.ObservedAt = s.now.Add(-time.Second)
	s.alert.FiringLevel = ptr(0.96)
	s.record(ledger.Opened)
	e := s.episode()
	assert.Regexp(t, `^[0-9a-z]{26}$`, e.ID)
	assert.Equal(t, &ledger.Episode{
		ID: e.ID, AlertID: "a", RuleGroup: "g", Rule: "KVCacheNearlyFull", Owner: "o", Severity: alert.High, Highest: alert.High,
		Labels: s.alert.Labels, Annotations: s.alert.Annotations, Response: "Drain", SourceMetric: "m", SourceUnit: "1",
		Reason: alert.ReasonThreshold, Value: ptr(0.97), Peak: ptr(0.97), Threshold: ptr(0.9), FiringLevel: ptr(0.96),
		Actions: s.alert.Actions, StartsAt: s.alert.Start, StartedAt: s.alert.Start, ObservedAt: s.alert.ObservedAt,
		JudgedAt: s.alert.Time, SeenAt: s.now, OpenedAt: s.now, RaisedAt: s.now,
	}, e)
	assert.Equal(t, []ledger.Event{{
		Seq: 1, At: s.now, Name: alert.EventFired, EpisodeID: e.ID, Severity: alert.High, Owner: "o", Rule: "KVCacheNearlyFull",
		Reason: "threshold",
	}}, s.events(1))
}

func TestRecordWithoutStart(t *testing.T) {
	s := newStory(t)
	s.alert.Start = s.now.Add(time.Hour)
	s.record(ledger.Opened)
	assert.Equal(t, s.now, s.episode().StartsAt, "a breach does not begin after it was reported")
	s.alert.ID, s.alert.Start = "b", time.Time{}
	s.record(ledger.Opened)
	assert.Equal(t, s.now, s.episode().StartsAt)
}

func TestRecordNothing(t *testing.T) {
	s := newStory(t)
	changed := s.Changed()
	for _, state := range []alert.State{alert.Pending, alert.Inactive} {
		s.alert.State = state
		s.record(ledger.Dropped)
	}
	select {
	case <-changed:
		t.Error("written")
	default:
	}
}

func TestRecordRepetition(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	changed := s.Changed()
	s.wait(time.Minute)
	s.alert.Value = ptr(0.99)
	s.record(ledger.Unchanged)
	s.alert.State, s.alert.Severity, s.alert.Owner = alert.Pending, alert.Low, "p"
	s.record(ledger.Unchanged)
	select {
	case <-changed:
		t.Error("a repetition was written")
	default:
	}
	assert.Equal(t, s.now, s.episode().SeenAt)
	assert.Equal(t, 0.99, *s.episode().Peak)

	s.alert.Time = s.alert.Time.Add(-time.Second) // the next judgement repeats the last one's time
	s.alert.State = alert.Inactive
	s.record(ledger.Dropped)
	assert.True(t, s.episode().Open())
}

func TestRecordSeverity(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	opened := s.now
	s.must(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, ledger.TruePositive, "anna", "") })
	s.must(func(tx ledger.Tx) error { return ledger.Snooze(tx, s.id, s.now.Add(time.Hour), "anna", "") })

	s.wait(time.Minute)
	s.alert.Severity, s.alert.Threshold, s.alert.Value = alert.Medium, ptr(0.8), ptr(0.85)
	s.record(ledger.Lowered)
	e := s.episode()
	assert.Equal(t, alert.Medium, e.Severity)
	assert.Equal(t, alert.High, e.Highest)
	assert.Equal(t, opened, e.RaisedAt, "a fall is no rise")
	assert.False(t, e.SnoozedUntil.IsZero(), "a snooze outlives a fall")
	assert.Equal(t, 0.97, *e.Peak)
	assert.Equal(t, 0.8, *e.Threshold)

	s.must(func(tx ledger.Tx) error {
		g, err := tx.Group("group")
		g.DueAt, g.Dirty = s.now.Add(time.Hour), false
		if err != nil {
			return err
		}
		return tx.PutGroup(g)
	})
	s.wait(time.Minute)
	s.alert.Severity, s.alert.Threshold, s.alert.Value = alert.Critical, ptr(0.98), ptr(0.99)
	s.record(ledger.Raised)
	e = s.episode()
	assert.Equal(t, alert.Critical, e.Highest)
	assert.Equal(t, s.now, e.RaisedAt)
	assert.Zero(t, e.SnoozedUntil, "a rise ends a snooze")
	assert.Equal(t, 0.99, *e.Peak)
	assert.True(t, s.group().Dirty, "an update is owed")
	assert.Equal(t, s.now, s.group().DueAt)
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventSeverity, alert.Critical, "medium"}, []any{event.Name, event.Severity, event.From})

	// The verdict is counted under the tier that the episode will be counted under at its end.
	s.view(func(tx ledger.Tx) error {
		counters, err := tx.Counters()
		for _, c := range counters {
			assert.Equal(t, c.Severity == alert.Critical, c.N == 1, "%+v", c)
		}
		assert.Len(t, counters, 2)
		return err
	})
}

func TestRecordOwner(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, ledger.Expected, "anna", "") })
	s.alert.Owner = "p"
	s.record(ledger.OwnerChanged)
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventOwner, "p", "o"}, []any{event.Name, event.Owner, event.From})
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, string(ledger.Expected)))

	s.alert.Owner, s.alert.Severity = "q", alert.Critical
	s.record(ledger.Raised)
	events := s.events(2)
	assert.Equal(t, alert.EventOwner, events[0].Name)
	assert.Equal(t, alert.EventSeverity, events[1].Name)
}

func TestNoData(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.alert.Reason, s.alert.Value = alert.ReasonNoData, nil
	s.record(ledger.DataLost)
	e := s.episode()
	assert.Equal(t, alert.ReasonNoData, e.Reason)
	assert.Equal(t, 0.97, *e.Value, "the last value that was observed")
	assert.Zero(t, e.LostAt, "the evaluator is heard of")
	s.record(ledger.Unchanged)
	s.alert.Reason, s.alert.Value = alert.ReasonThreshold, ptr(0.98)
	s.record(ledger.DataBack)
	assert.Equal(t, alert.ReasonThreshold, s.episode().Reason)
}

func TestLose(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.wait(time.Hour)
	lost := s.now
	for range 2 {
		s.must(func(tx ledger.Tx) error { return ledger.Lose(tx, s.id) })
		s.wait(time.Minute)
	}
	e := s.episode()
	assert.Equal(t, lost, e.LostAt)
	assert.Equal(t, alert.ReasonNoData, e.Reason)
	assert.Equal(t, alert.High, e.Severity)
	events := s.events(2)
	assert.Equal(t, alert.EventFired, events[0].Name, "losing twice is losing once")
	assert.Equal(t, alert.EventNoData, events[1].Name)

	s.alert.State = alert.Pending // the evaluator came back without its state
	s.record(ledger.DataBack)
	e = s.episode()
	assert.Zero(t, e.LostAt)
	assert.Equal(t, alert.ReasonThreshold, e.Reason)
}

func TestEndOfTheUnseen(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error { return ledger.End(tx, s.id, alert.ReasonSeriesGone) })
	_, measured := s.measured(alert.MetricTimeToResolve)
	assert.Zero(t, measured, "what nobody can see was not resolved")
	assert.Equal(t, int64(1), s.count(alert.MetricEpisodes, string(ledger.OutcomeSelfResolved)))

	s.wait(time.Minute)
	s.record(ledger.Opened) // the same breach is seen again
	s.must(func(tx ledger.Tx) error { return ledger.End(tx, s.id, alert.ReasonRuleRemoved) })
	s.must(func(tx ledger.Tx) error { return ledger.End(tx, s.id, alert.ReasonSeriesGone) })
	assert.Equal(t, alert.ReasonRuleRemoved, s.episode().Reason, "an end is final")
	_, measured = s.measured(alert.MetricTimeToResolve)
	assert.Equal(t, uint64(1), measured)
}

func TestResolve(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	s.wait(10 * time.Minute)
	for _, by := range []string{"anna", "bob"} {
		s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, by, "rebooted") })
	}
	e := s.episode()
	assert.Equal(t, []any{ledger.EndedByPerson, "anna", ledger.ReasonPerson, s.now}, []any{e.EndedBy, e.Ender, e.Reason, e.EndedAt})
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventResolved, "anna", "rebooted", "person", "threshold"}, []any{event.Name, event.By, event.Note, event.Reason, event.From})
	sum, n := s.measured(alert.MetricTimeToResolve)
	assert.Equal(t, 10*time.Minute, sum)
	assert.Equal(t, uint64(1), n)
	assert.True(t, s.group().Dirty)
	assert.Equal(t, s.now, s.group().DueAt)

	s.record(ledger.Dropped) // the evaluator goes on repeating what was resolved
	s.alert.Start = s.alert.Start.Add(time.Second)
	s.record(ledger.Opened) // a later breach is another episode
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "anna", "") })
	s.alert.Start = time.Time{}
	s.record(ledger.Opened) // who does not say when it began cannot be told from a new breach
}

func TestResolveOfAClampedStart(t *testing.T) {
	s := newStory(t)
	s.alert.Start = s.now.Add(time.Hour) // the evaluator's clock is ahead
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "anna", "") })
	s.record(ledger.Dropped)
}

func TestAcknowledge(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	s.wait(time.Minute)
	s.must(func(tx ledger.Tx) error { return ledger.Notify(tx, s.id, "oncall", ledger.DeliverPage, 1) })
	s.wait(2 * time.Minute)
	first := s.now
	acknowledge := func(by string) {
		s.must(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, s.id, by, "on it") })
	}
	acknowledge("anna")
	g := s.group()
	assert.Equal(t, []any{s.now, "anna", s.now, ""}, []any{g.AcknowledgedAt, g.AcknowledgedBy, g.DueAt, g.NextStep})

	s.wait(time.Minute)
	acknowledge("anna")
	assert.Equal(t, s.now, s.group().AcknowledgedAt, "it lasts from the last time on")
	assert.Equal(t, alert.EventPaged, s.events(2)[0].Name, "but it is one event")
	acknowledge("bob")
	assert.Equal(t, "bob", s.group().AcknowledgedBy)
	e := s.episode()
	assert.Equal(t, []any{first, "anna"}, []any{e.AcknowledgedAt, e.AcknowledgedBy}, "the episode keeps the first")
	assert.Equal(t, "bob", s.events(1)[0].By)

	// After it has expired, the same person's is news again.
	s.must(func(tx ledger.Tx) error {
		g := s.group()
		g.AcknowledgedAt, g.AcknowledgedBy = time.Time{}, ""
		return tx.PutGroup(g)
	})
	acknowledge("bob")
	assert.Equal(t, []string{"bob", "bob"}, []string{s.events(2)[0].By, s.events(1)[0].By})

	sum, n := s.measured(alert.MetricTimeToAcknowledge)
	assert.Equal(t, 2*time.Minute, sum, "from the page on")
	assert.Equal(t, uint64(1), n)

	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "bob", "") })
	assert.ErrorIs(t, s.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, s.id, "bob", "") }), ledger.ErrEnded)
	assert.ErrorIs(t, s.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, "nobody", "bob", "") }), ledger.ErrNotFound)
}

func TestAcknowledgeUnpaged(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.wait(3 * time.Minute)
	for range 2 {
		s.must(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, s.id, "anna", "") })
	}
	sum, n := s.measured(alert.MetricTimeToAcknowledge)
	assert.Equal(t, 3*time.Minute, sum, "from the opening on")
	assert.Equal(t, uint64(1), n)
	assert.Equal(t, alert.EventFired, s.events(2)[0].Name)
}

func TestSnooze(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(func(g *ledger.Group) { g.DueAt = time.Time{} }) // not to be looked at before something changes
	snooze := func(until time.Time) error {
		return s.do(func(tx ledger.Tx) error { return ledger.Snooze(tx, s.id, until, "anna", "later") })
	}
	assert.ErrorIs(t, snooze(s.now), ledger.ErrPast)
	until := s.now.Add(time.Hour)
	require.NoError(t, snooze(until.In(time.FixedZone("", 3600))))
	require.NoError(t, snooze(until))
	e := s.episode()
	assert.Equal(t, []any{until, "anna"}, []any{e.SnoozedUntil, e.SnoozedBy})
	events := s.events(2)
	assert.Equal(t, alert.EventFired, events[0].Name, "snoozing twice is snoozing once")
	assert.Equal(t, "2026-01-02T04:04:05Z", events[1].Reason)
	assert.Equal(t, s.now, s.group().DueAt)
	require.NoError(t, snooze(until.Add(time.Hour)))
	assert.Equal(t, "2026-01-02T04:04:05Z", s.events(1)[0].From)
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "bob", "") })
	assert.ErrorIs(t, snooze(until), ledger.ErrEnded)
}

func TestJudge(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	judge := func(v ledger.Verdict, by string) error {
		return s.do(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, v, by, "because") })
	}
	assert.ErrorIs(t, judge("", "anna"), ledger.ErrVerdict)
	assert.ErrorIs(t, judge("wrong", "anna"), ledger.ErrVerdict)
	for range 2 {
		require.NoError(t, judge(ledger.FalsePositive, "anna"))
	}
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, "false_positive"))
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "bob", "") })
	s.wait(time.Hour)
	require.NoError(t, judge(ledger.TruePositive, "bob"))
	assert.Equal(t, int64(0), s.count(alert.MetricVerdicts, "false_positive"))
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, "true_positive"))
	e := s.episode()
	assert.Equal(t, []any{ledger.TruePositive, "bob", s.now, "because"}, []any{e.Verdict, e.VerdictBy, e.VerdictAt, e.Note})
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventVerdict, "true_positive", "false_positive", "bob"}, []any{event.Name, event.Reason, event.From, event.By})
	require.NoError(t, judge(ledger.TruePositive, "carl"))
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, "true_positive"), "one episode has one verdict")
}

func TestNotify(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	notify := func(kind ledger.DeliveryKind) {
		s.must(func(tx ledger.Tx) error { return ledger.Notify(tx, s.id, "oncall", kind, 2) })
	}
	s.wait(time.Minute)
	notify(ledger.DeliverDigest)
	assert.Zero(t, s.episode().NotifiedAt, "a digest is no page")
	s.wait(time.Minute)
	notify(ledger.DeliverUpdate)
	first := s.now
	s.wait(time.Minute)
	notify(ledger.DeliverRepeat)
	assert.Equal(t, first, s.episode().NotifiedAt)
	sum, n := s.measured(alert.MetricTimeToNotify)
	assert.Equal(t, 2*time.Minute, sum)
	assert.Equal(t, uint64(1), n)
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventPaged, "oncall", "repeat", 2}, []any{event.Name, event.Receiver, event.Reason, event.Step})
}

func TestNotifyTooLate(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "anna", "") })
	s.must(func(tx ledger.Tx) error { return ledger.Notify(tx, s.id, "oncall", ledger.DeliverPage, 1) })
	e := s.episode()
	assert.Zero(t, e.NotifiedAt)
	assert.Equal(t, ledger.OutcomeSelfResolved, e.Outcome, "an outcome is final")
	assert.Equal(t, alert.EventPaged, s.events(1)[0].Name)
}

func TestStep(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.must(func(tx ledger.Tx) error {
		return ledger.Step(tx, s.id, 2, []string{"lead", "head"}, "nobody acknowledged")
	})
	event := s.events(1)[0]
	assert.Equal(t, []any{alert.EventEscalated, 2, "lead, head", "nobody acknowledged"}, []any{event.Name, event.Step, event.Receiver, event.Reason})
	assert.Equal(t, int64(1), s.count(alert.MetricEscalations, ""))
}

// Ten thousand episodes of one group make it due once.
func TestGroupIsWrittenOnce(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	s.join(nil)
	var puts int
	s.must(func(tx ledger.Tx) error {
		counting := &countingTx{Tx: tx, groups: &puts}
		for _, severity := range []alert.Severity{alert.Critical, alert.Low, alert.High} {
			s.alert.Severity, s.alert.Time = severity, s.alert.Time.Add(time.Second)
			if _, _, err := ledger.Record(counting, &s.alert); err != nil {
				return err
			}
		}
		return nil
	})
	assert.Equal(t, 1, puts)
}

type countingTx struct {
	ledger.Tx
	groups *int
}

func (tx *countingTx) PutGroup(g *ledger.Group) error {
	*tx.groups++
	return tx.Tx.PutGroup(g)
}

func TestOutcomeOf(t *testing.T) {
	open, joined := ledgertest.Epoch, ledgertest.Epoch.Add(time.Hour)
	for name, test := range map[string]struct {
		episode    func(*ledger.Episode)
		group      *ledger.Group
		want       ledger.Outcome
		suppressed string
	}{
		"no group":                 {want: ledger.OutcomeSelfResolved},
		"within the window":        {group: &ledger.Group{}, want: ledger.OutcomeSelfResolved},
		"joined after the page":    {group: &ledger.Group{PagedAt: open, UpdatedAt: open}, want: ledger.OutcomeSelfResolved},
		"told of by an update":     {group: &ledger.Group{PagedAt: open, UpdatedAt: joined}, want: ledger.OutcomeUndeliverable},
		"accepted":                 {episode: func(e *ledger.Episode) { e.NotifiedAt = joined }, want: ledger.OutcomeNotified},
		"low":                      {episode: func(e *ledger.Episode) { e.Highest = alert.Low }, want: ledger.OutcomeBatched},
		"low now, paged as high":   {episode: func(e *ledger.Episode) { e.Severity = alert.Low }, want: ledger.OutcomeSelfResolved},
		"acknowledged before":      {group: &ledger.Group{AcknowledgedAt: open}, want: ledger.OutcomeSuppressed, suppressed: "acknowledged"},
		"joined when acknowledged": {group: &ledger.Group{PagedAt: open, UpdatedAt: open, AcknowledgedAt: open}, want: ledger.OutcomeSuppressed, suppressed: "acknowledged"},
		"acknowledged, undelivered": {
			group: &ledger.Group{PagedAt: joined, UpdatedAt: joined, AcknowledgedAt: joined}, want: ledger.OutcomeUndeliverable,
		},
		"snoozed": {
			episode: func(e *ledger.Episode) { e.SnoozedUntil = joined.Add(2 * time.Hour) },
			group:   &ledger.Group{PagedAt: joined, UpdatedAt: joined}, want: ledger.OutcomeSuppressed, suppressed: "snoozed",
		},
		"snoozed until before its end": {
			episode: func(e *ledger.Episode) { e.SnoozedUntil = joined.Add(time.Minute) }, want: ledger.OutcomeSelfResolved,
		},
		"held back for another reason": {
			episode: func(e *ledger.Episode) { e.Suppressed = "muted" }, want: ledger.OutcomeSuppressed, suppressed: "muted",
		},
		"held back, then paged": {
			episode: func(e *ledger.Episode) { e.Suppressed, e.NotifiedAt = "muted", joined }, want: ledger.OutcomeNotified,
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := &ledger.Episode{Severity: alert.High, Highest: alert.High, OpenedAt: joined, EndedAt: joined.Add(time.Hour)}
			if test.episode != nil {
				test.episode(e)
			}
			outcome, suppressed := ledger.OutcomeOf(e, test.group)
			assert.Equal(t, test.want, outcome)
			assert.Equal(t, test.suppressed, suppressed)
		})
	}
}

func TestPeak(t *testing.T) {
	for name, test := range map[string]struct {
		threshold *float64
		values    []float64
		want      float64
	}{
		"above":                        {ptr(0.9), []float64{0.95, 0.99, 0.97}, 0.99},
		"above, within the clear band": {ptr(0.9), []float64{0.95, 0.85}, 0.95},
		"below":                        {ptr(10.0), []float64{5, 3, 4}, 3},
		"below, within the clear band": {ptr(10.0), []float64{5, 12}, 5},
		"at least, on the threshold":   {ptr(1.0), []float64{1, 2}, 2},
		"a threshold of zero":          {ptr(0.0), []float64{-1, -2}, -2},
		"no threshold":                 {nil, []float64{1, 3, 2}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStory(t)
			s.alert.Threshold, s.alert.Value = test.threshold, &test.values[0]
			s.record(ledger.Opened)
			for _, v := range test.values[1:] {
				s.alert.Value = &v
				s.record(ledger.Unchanged)
			}
			assert.Equal(t, test.want, *s.episode().Peak, "observed")
			s.alert.Reason = alert.ReasonNoData
			s.record(ledger.DataLost)
			assert.Equal(t, test.want, *s.episode().Peak, "written")
			s.alert.State, s.alert.Value = alert.Inactive, ptr(1e6)
			s.record(ledger.Ended)
			assert.Equal(t, test.want, *s.episode().Peak, "a value that ends an alert is no peak")
			assert.Equal(t, 1e6, *s.episode().Value)
		})
	}
}

func TestClockSetBack(t *testing.T) {
	s := newStory(t)
	s.record(ledger.Opened)
	opened := s.now
	s.wait(-time.Hour)
	s.must(func(tx ledger.Tx) error { return ledger.Notify(tx, s.id, "oncall", ledger.DeliverPage, 1) })
	s.must(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, s.id, "anna", "") })
	s.must(func(tx ledger.Tx) error { return ledger.Resolve(tx, s.id, "anna", "") })
	e := s.episode()
	assert.Equal(t, []time.Time{opened, opened, opened}, []time.Time{e.NotifiedAt, e.AcknowledgedAt, e.EndedAt})
	for _, metric := range []string{alert.MetricTimeToNotify, alert.MetricTimeToAcknowledge, alert.MetricTimeToResolve} {
		sum, n := s.measured(metric)
		assert.Zero(t, sum)
		assert.Equal(t, uint64(1), n)
	}
	s.alert.Start = opened // by the evaluator's clock, which was not set back
	s.record(ledger.Opened)
	assert.Equal(t, s.now, s.episode().OpenedAt, "the next episode opens although the last one ended later")
}
