package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

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
