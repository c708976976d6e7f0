package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// pagerDutyPatience is how old an event may be: PagerDuty tries again for two days. Its signature covers no time but the
// event's.
const pagerDutyPatience = 48 * time.Hour

// PagerDuty reads v3 webhooks. Several secrets are taken while one is being replaced by another.
type PagerDuty struct{ Secrets []string }

type pagerDutyBody struct {
	Event struct {
		ID         string    `json:"id"`
		Type       string    `json:"event_type"`
		OccurredAt time.Time `json:"occurred_at"`
		Agent      *struct {
			Summary string `json:"summary"`
			Type    string `json:"type"`
		} `json:"agent"`
		Data struct {
			IncidentKey string `json:"incident_key"`
		} `json:"data"`
	} `json:"event"`
}

// Read implements Source.
func (p PagerDuty) Read(header http.Header, body []byte, now time.Time) (Delivery, error) {
	if !p.verified(header.Get("X-PagerDuty-Signature"), body) {
		return Delivery{}, ErrUnverified
	}
	var b pagerDutyBody
	if err := json.Unmarshal(body, &b); err != nil {
		return Delivery{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	e := b.Event
	if e.ID == "" || e.Type == "" {
		return Delivery{}, fmt.Errorf("%w: event.id and event.event_type must be there: is it a webhook of version 3?", ErrUnreadable)
	}
	if age := now.Sub(e.OccurredAt); age > pagerDutyPatience || age < -tolerance {
		return Delivery{}, ErrUnverified
	}
	d := Delivery{EventID: bounded(e.ID, longestName)}
	f := Feedback{Key: e.Data.IncidentKey, By: "PagerDuty"}
	person := e.Agent != nil && strings.HasPrefix(e.Agent.Type, "user")
	if person {
		f.By = nameOf(e.Agent.Summary, f.By)
	}
	switch e.Type {
	case "incident.acknowledged":
		f.Kind = Acknowledge
	case "incident.unacknowledged", "incident.reopened":
		f.Kind = Unacknowledge
	case "incident.resolved":
		if !person {
			return d, nil // the echo of the end that was sent there
		}
		f.Kind = Resolve
	default:
		return d, nil
	}
	if f.Key != "" {
		d.Feedback = []Feedback{f}
	}
	return d, nil
}

func (p PagerDuty) verified(signatures string, body []byte) bool {
	ok := false
	for _, secret := range p.Secrets {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write(body)
		want := []byte("v1=" + hex.EncodeToString(h.Sum(nil)))
		for i, given := range strings.Split(signatures, ",") {
			if i == 10 {
				break
			}
			ok = hmac.Equal(want, []byte(strings.TrimSpace(given))) || ok
		}
	}
	return ok
}
