package webhook

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Standard reads Standard Webhooks: {"type": "alert.acknowledge", "timestamp": …, "data": {"episode_id" or "alert_id" or
// "key", "by", "note", "verdict", "for"}}; the type is alert. and a Kind. Verdicts of all its senders count as one person's: who holds the
// secret could call himself anything.
type Standard struct{ verifiers []*standardwebhooks.Webhook }

// standardPerson is whom their verdicts count for.
const standardPerson = "webhook/standard"

// NewStandard takes secrets in base64, with or without "whsec_" before them.
func NewStandard(secrets []string) (Standard, error) {
	var s Standard
	for i, secret := range secrets {
		v, err := standardwebhooks.NewWebhook(secret)
		if err != nil || secret == "" {
			return s, fmt.Errorf(`signing_secrets[%d]: must be base64, such as "whsec_" and what head -c 32 /dev/urandom | base64 prints`, i)
		}
		s.verifiers = append(s.verifiers, v)
	}
	return s, nil
}

// Read implements Source.
func (s Standard) Read(header http.Header, body []byte, now time.Time) (Delivery, error) {
	if !s.verified(header, body, now) {
		return Delivery{}, ErrUnverified
	}
	var b struct {
		Type string `json:"type"`
		Data struct {
			EpisodeID string `json:"episode_id"`
			AlertID   string `json:"alert_id"`
			Key       string `json:"key"`
			By        string `json:"by"`
			Note      string `json:"note"`
			Verdict   string `json:"verdict"`
			For       string `json:"for"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return Delivery{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	d := Delivery{EventID: bounded(header.Get(standardwebhooks.HeaderWebhookID), longestName)}
	f := Feedback{
		EpisodeID: b.Data.EpisodeID, AlertID: b.Data.AlertID, Key: b.Data.Key, Person: standardPerson,
		By: nameOf(b.Data.By, "webhook"), Note: bounded(b.Data.Note, longestNote),
	}
	unreadable := func(format string, args ...any) (Delivery, error) {
		return Delivery{}, fmt.Errorf("%w: %s", ErrUnreadable, fmt.Sprintf(format, args...))
	}
	switch b.Type {
	case "alert.acknowledge", "alert.unacknowledge", "alert.resolve", "alert.snooze", "alert.verdict":
		f.Kind = Kind(b.Type[len("alert."):])
	default:
		return d, nil
	}
	switch f.Kind {
	case Snooze:
		length, err := model.ParseDuration(b.Data.For)
		if err != nil || length <= 0 {
			return unreadable("data.for must be a duration such as 1h (got %q)", b.Data.For)
		}
		f.For = time.Duration(length)
	case Verdict:
		if f.Verdict = verdict(b.Data.Verdict); f.Verdict == "" {
			return unreadable("data.verdict must be one of %v (got %q)", ledger.Verdicts, b.Data.Verdict)
		}
	}
	if f.EpisodeID == "" && f.AlertID == "" && f.Key == "" {
		return unreadable("data must have one of episode_id, alert_id and key")
	}
	d.Feedback = []Feedback{f}
	return d, nil
}

func (s Standard) verified(header http.Header, body []byte, now time.Time) bool {
	seconds, err := strconv.ParseInt(header.Get(standardwebhooks.HeaderWebhookTimestamp), 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	return slices.ContainsFunc(s.verifiers, func(v *standardwebhooks.Webhook) bool { return v.VerifyIgnoringTimestamp(body, header) == nil })
}

func verdict(text string) ledger.Verdict {
	if v := ledger.Verdict(text); slices.Contains(ledger.Verdicts[:], v) {
		return v
	}
	return ""
}
