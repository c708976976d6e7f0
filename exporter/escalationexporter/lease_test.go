package escalationexporter

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// sharedLedger is what a database server will be: several exporters may work on it.
type sharedLedger struct{ ledger.Ledger }

func (sharedLedger) Shared() bool { return true }

// Two exporters on one ledger: each page goes out once, and what one leaves behind the other takes over when its lease
// has run out.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := ledgertest.New(t)
		one, two := newRig(t, l), newRig(t, l)
		for _, r := range []*rig{one, two} {
			r.host.provider = provider{sharedLedger{r.ledger}}
			r.begin()
			t.Cleanup(r.finish)
		}
		two.judged = 1000
		both := func() {
			for range 15 {
				one.after(time.Minute)
				one.fires("a", alert.Critical)
				two.fires("a", alert.Critical)
			}
		}
		one.fires("a", alert.Critical)
		two.fires("a", alert.Critical)
		both()
		both()
		sent := append(one.people.take(), two.people.take()...)
		require.Len(t, sent, 3, "two steps and a repeat")

		one.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		one.fires("b", alert.Critical) // the group has been paged: an update, from whoever comes first
		one.consume(one.judge("c", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = "Other" }))
		one.kill()
		two.after(leaseFor - time.Second)
		require.NotContains(t, rules(two.people.take()), "Other", "it may be on its way")
		two.after(2 * time.Second)
		require.Contains(t, rules(two.people.take()), "Other")
	})
}

func rules(sent []message) (names []string) {
	for _, m := range sent {
		names = append(names, m.GroupLabels["alertname"])
	}
	return names
}

// A lease that runs out while its delivery waits in the queue of a slow destination is renewed, and nothing is sent
// twice.
func TestLeaseOutlastsAQueue(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			select {
			case <-time.After(25 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		for i := range 40 {
			r.consume(r.judge(string(rune('a'+i)), alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = a.ID }))
		}
		r.after(10*25*time.Second + time.Second)
		seen := map[string]int{}
		for _, m := range r.people.take() {
			seen[m.Key]++
		}
		require.Len(t, seen, 40)
		for key, n := range seen {
			require.Equal(t, 1, n, key)
		}
	})
}
