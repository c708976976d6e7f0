package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

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

// One verdict for all that is alike: what has ended, people were told of and nobody has judged.
func TestJudgeAlike(t *testing.T) {
	s := newStory(t)
	episodes := map[string]string{}
	fire := func(name string, change func(*ledger.Episode)) {
		s.wait(time.Hour)
		s.record(ledger.Opened)
		episodes[s.id] = name
		s.must(func(tx ledger.Tx) error {
			e, err := tx.Episode(s.id)
			if err != nil {
				return err
			}
			e.NotifiedAt = tx.Now()
			change(e)
			return tx.PutEpisode(e)
		})
		if name != "open" {
			s.must(func(tx ledger.Tx) error { return ledger.End(tx, s.id, alert.ReasonRecovered) })
		}
	}
	nothing := func(*ledger.Episode) {}
	fire("too old", nothing)
	s.wait(24 * time.Hour)
	since := s.now
	fire("one", nothing)
	fire("nobody was told of", func(e *ledger.Episode) { e.NotifiedAt = time.Time{} })
	fire("judged", nothing)
	s.must(func(tx ledger.Tx) error { return ledger.Judge(tx, s.id, ledger.TruePositive, "bob", "") })
	fire("this", nothing)
	this := s.id
	fire("another", nothing)
	fire("open", nothing)
	alike := func() (names []string) {
		s.must(func(tx ledger.Tx) error {
			changed, err := ledger.JudgeAlike(tx, this, since, ledger.FalsePositive, "anna", "all the same")
			names = nil
			for _, id := range changed {
				names = append(names, episodes[id])
			}
			return err
		})
		return names
	}
	assert.Equal(t, []string{"another", "this", "one"}, alike())
	assert.Empty(t, alike(), "again")
	assert.Equal(t, int64(3), s.count(alert.MetricVerdicts, "false_positive"))
	assert.Equal(t, int64(1), s.count(alert.MetricVerdicts, "true_positive"))
	assert.ErrorIs(t, s.do(func(tx ledger.Tx) error {
		_, err := ledger.JudgeAlike(tx, "unknown", since, ledger.Expected, "anna", "")
		return err
	}), ledger.ErrNotFound)
	assert.ErrorIs(t, s.do(func(tx ledger.Tx) error {
		_, err := ledger.JudgeAlike(tx, this, since, "wrong", "anna", "")
		return err
	}), ledger.ErrVerdict)
}
