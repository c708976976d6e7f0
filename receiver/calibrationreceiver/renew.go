package calibrationreceiver

import (
	"context"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const (
	// renewInterval is how often rules are looked at in which something has happened.
	renewInterval = 30 * time.Second
	// renewTimeout bounds how long that takes. What was concluded until then is kept, and the next time goes on.
	renewTimeout = 5 * time.Minute
)

// keepRenewing draws conclusions about large rules beside the requests that ask for them: reading 100,000 episodes takes longer
// than a person waits.
func keepRenewing(ctx context.Context, assessor *quality.Assessor, l ledger.Ledger, h *health) {
	ticker := time.NewTicker(renewInterval)
	defer ticker.Stop()
	for {
		renewal, cancel := context.WithTimeout(ctx, renewTimeout)
		err := assessor.Renew(renewal, l, time.Now())
		cancel()
		if ctx.Err() != nil {
			return
		}
		h.set("Concluding about rules", err)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}
