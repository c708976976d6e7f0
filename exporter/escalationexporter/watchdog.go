package escalationexporter

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// watchdogName is the alert that fires while all is well.
const watchdogName = "Watchdog"

// watch sends the watchdog's page at every interval at which all is well, at once the first time.
func (x *escalation) watch(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(x.config.Watchdog.Interval)
		if !x.ledger.Standing().Leads || !x.well(ctx, time.Now()) {
			continue
		}
		x.bark(ctx, since, time.Now())
	}
}

// well reports whether alerts that come in now would be paged: the ledger takes them, none waits in the journal, and the
// reconciler looks.
func (x *escalation) well(ctx context.Context, now time.Time) bool {
	ctx, cancel := context.WithTimeout(ctx, persistTimeout)
	defer cancel()
	late := now.Sub(time.Unix(0, x.passed.Load())) > longestWait+persistTimeout
	return !late && !x.ledgerDown() && x.journal.size() == 0 && x.ledger.Healthy(ctx) == nil
}

func (x *escalation) bark(ctx context.Context, since, now time.Time) {
	m := notify.Message{
		Key: "watchdog:" + x.id.String(), GroupLabels: map[string]string{alert.LabelName: watchdogName}, Now: now,
		Alerts: []notify.Alert{{
			Labels: map[string]string{alert.LabelName: watchdogName, alert.LabelSeverity: "none", "exporter": x.id.String()},
			Annotations: map[string]string{
				"summary": "Alerts are taken and paged. When this page stops, they are not.",
			},
			StartsAt: since,
		}},
	}
	destinations, _ := x.sender.Destinations(x.config.Watchdog.Receiver)
	for _, to := range destinations {
		began := time.Now()
		sending, cancel := context.WithTimeout(ctx, min(sendTimeout, x.config.Watchdog.Interval))
		err := x.sender.Send(sending, to.Name, m)
		cancel()
		outcome := outcomeAccepted
		if err != nil {
			outcome = outcomeFailed
			x.logger.Warn("The watchdog's page was not accepted.", zap.String("destination", to.Name), zap.Error(err))
		}
		x.obs.delivered(to.Name, outcome, time.Since(began))
	}
}
