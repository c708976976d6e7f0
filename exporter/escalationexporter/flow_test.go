package escalationexporter

import (
	"testing"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

func TestCriticalGoesUpTheChain(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.expect("0s oncall/webhook[0] a critical firing")
		r.after(15 * time.Minute)
	})
}
