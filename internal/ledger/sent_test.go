package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

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
