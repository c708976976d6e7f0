package escalationexporter

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// A page has arrived, and whoever sent it was killed before it could write that down. The alert recovers before it is
// sent again: the far side, which has it open, is told of the end.
func TestKilledBetweenAcceptanceAndRecordThenRecovered(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(context.Context, notify.Message) error {
			r.ledger.set(errors.New("killed"))
			return nil
		})
		require.NoError(t, r.x.consume(t.Context(), batch(r.judge("a", alert.Firing, alert.Critical))))
		r.settle()
		r.expect("0s oncall/webhook[0] a critical firing")
		r.kill()
		r.people.answers("oncall/webhook[0]", failing(false, 0)) // not sent again before it recovers
		r.begin()
		r.recovers("a")
		r.people.answers("oncall/webhook[0]", nil)
		r.after(time.Minute)
		require.Len(t, r.people.sentTo("oncall/webhook[0]"), 1)
		require.False(t, r.episode("a").Open())
	})
}

// The same where the destination took the page and did not answer in time.
func TestTimedOutThenRecovered(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return &notify.SendError{Destination: "oncall/webhook[0]", Err: ctx.Err()}
		})
		r.fires("a", alert.Critical)
		r.after(sendTimeout)
		r.people.answers("oncall/webhook[0]", nil)
		r.recovers("a")
		r.after(time.Minute)
		sent := r.people.sentTo("oncall/webhook[0]")
		require.Len(t, sent, 1)
		require.Contains(t, sent[0].describe(r.start), "a critical resolved")
	})
}

// What was refused outright never arrived: of its end nobody is told.
func TestRefusedThenRecovered(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		r.fires("a", alert.Critical)
		r.people.answers("oncall/webhook[0]", nil)
		r.recovers("a")
		r.after(time.Minute)
		r.expect()
	})
}

// One of two replicas dies between acceptance and record, and the other one hears of the recovery.
func TestReplicaKilledBetweenAcceptanceAndRecordThenRecovered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, one, two := newCluster(t, 0)
		one.people.answers("oncall/webhook[0]", func(context.Context, notify.Message) error {
			one.ledger.set(errors.New("killed"))
			return nil
		})
		require.NoError(t, one.x.consume(t.Context(), batch(one.judge("a", alert.Firing, alert.Critical))))
		one.settle()
		require.Len(t, one.people.take(), 1)
		one.kill()
		two.fires("a", alert.Critical)
		two.recovers("a")
		c.lead(two)
		sent := two.people.take()
		require.Len(t, sent, 1)
		require.Contains(t, sent[0].describe(two.start), "a critical resolved")
	})
}

// sentTo takes what one destination was sent.
func (p *people) sentTo(destination string) (sent []message) {
	for _, m := range p.take() {
		if m.destination == destination {
			sent = append(sent, m)
		}
	}
	return sent
}

// Killed when the end was ordered and the page's acceptance not yet written down: the end is told.
func TestKilledBeforeTheEndWasSent(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done() // taken, and never acknowledged
			return ctx.Err()
		})
		r.fires("a", alert.Critical)
		r.after(time.Second)
		r.recovers("a")
		r.after(time.Second)
		r.kill()
		r.people.take()
		r.people.answers("oncall/webhook[0]", nil)
		r.begin()
		r.after(time.Minute)
		sent := r.people.sentTo("oncall/webhook[0]")
		require.Len(t, sent, 1)
		require.Contains(t, sent[0].describe(r.start), "a critical resolved")
	})
}
