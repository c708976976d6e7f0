package escalationexporter

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// trialName is the alert of a test page.
const trialName = "TestPage"

// trialExpires is how old a request for a test page may be: nobody waits for the answer any more.
const trialExpires = time.Minute

// underway are the test pages that are being sent.
type underway struct {
	mu  sync.Mutex
	ids map[string]bool
}

func (u *underway) begin(id string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids[id] {
		return false
	}
	if u.ids == nil {
		u.ids = map[string]bool{}
	}
	u.ids[id] = true
	return true
}

func (u *underway) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, id)
}

// try sends the test pages that have been asked for, each once: whether it arrives is what the person wants to know.
func (x *escalation) try(ctx context.Context, asked []*ledger.Trial, now time.Time) {
	for _, t := range asked {
		if !x.trials.begin(t.ID) {
			continue
		}
		x.work.Go(func() {
			defer x.trials.end(t.ID)
			if now.Sub(t.RequestedAt) > trialExpires {
				t.Error = "it was asked for while no exporter was running"
			} else {
				t.Error = x.sendTrial(ctx, t, now)
			}
			x.persist(ctx, func(tx ledger.Tx) error {
				t.DoneAt = tx.Now()
				return tx.PutTrial(t)
			})
		})
	}
}

// sendTrial returns what the destinations have against it; "" where all accepted it.
func (x *escalation) sendTrial(ctx context.Context, t *ledger.Trial, now time.Time) string {
	destinations, ok := x.sender.Destinations(t.Receiver)
	if !ok {
		return fmt.Sprintf("there is no receiver %q", t.Receiver)
	}
	m := notify.Message{
		Key: "test:" + t.ID, GroupLabels: map[string]string{alert.LabelName: trialName}, Now: now,
		Alerts: []notify.Alert{{
			Labels:      map[string]string{alert.LabelName: trialName, alert.LabelSeverity: alert.Low.String(), "test": t.ID},
			Annotations: map[string]string{"summary": "This is a test, asked for by " + t.RequestedBy + ". Nothing is wrong."},
			StartsAt:    now,
		}},
	}
	var failed []string
	for _, to := range destinations {
		began := time.Now()
		sending, cancel := context.WithTimeout(ctx, sendTimeout)
		err := x.sender.Send(sending, to.Name, m)
		cancel()
		outcome := outcomeAccepted
		if err != nil {
			outcome = outcomeFailed
			failed = append(failed, err.Error())
		} else if to.SendResolved { // no incident stays open for a test
			end := m
			end.Alerts = []notify.Alert{m.Alerts[0]}
			end.Alerts[0].EndsAt = now
			sending, cancel := context.WithTimeout(ctx, sendTimeout)
			if err := x.sender.Send(sending, to.Name, end); err != nil {
				failed = append(failed, "its end: "+err.Error())
			}
			cancel()
		}
		x.obs.delivered(to.Name, outcome, time.Since(began))
	}
	return strings.Join(failed, "; ")
}
