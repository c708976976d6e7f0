package escalationexporter

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

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
