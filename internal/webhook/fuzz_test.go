package webhook

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// all are the sources, with the secrets of these tests.
func all(t testing.TB) map[string]Source {
	standard, err := NewStandard([]string{standardSecret})
	require.NoError(t, err)
	return map[string]Source{
		"pagerduty": PagerDuty{Secrets: []string{"old", pagerDutySecret}}, "slack": Slack{Secret: slackSecret},
		"standard": standard, "alertmanager": Alertmanager{Token: amToken},
	}
}

// signed are headers that have every source take a body for its own.
func signed(t testing.TB, body string) http.Header { return signedAt(t, body, "id", ledgertest.Epoch) }

func signedAt(t testing.TB, body, id string, now time.Time) http.Header {
	stamp := strconv.FormatInt(now.Unix(), 10)
	v, err := standardwebhooks.NewWebhook(standardSecret)
	require.NoError(t, err)
	signature, err := v.Sign(id, now, []byte(body))
	require.NoError(t, err)
	h := http.Header{}
	h.Set("X-PagerDuty-Signature", "v1="+sign(pagerDutySecret, body))
	h.Set("X-Slack-Request-Timestamp", stamp)
	h.Set("X-Slack-Signature", "v0="+sign(slackSecret, "v0:", stamp, ":", body))
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", stamp)
	h.Set("webhook-signature", signature)
	h.Set("Authorization", "Bearer "+amToken)
	return h
}

// Whatever comes with a right signature is read or refused, and what is read is bounded and about something.
func FuzzSources(f *testing.F) {
	for _, body := range []string{
		`{"event":{"id":"1","event_type":"incident.acknowledged","occurred_at":"2026-01-02T03:04:05Z","agent":{"summary":"A","type":"user_reference"},"data":{"incident_key":"k"}}}`,
		`{"actions":[{"name":"snooze:1h","value":"{a}:b","action_ts":"1"}],"user":{"id":"U","name":"a"},"trigger_id":"t"}`, `payload=%7B%7D`,
		`{"type":"alert.snooze","data":{"for":"1h","key":"k"}}`, `{"type":"alert.verdict","data":{"verdict":"expected","alert_id":"a","by":"b","note":"n"}}`,
		`{"version":"4","receiver":"r","alerts":[{"status":"firing","labels":{"episode_id":"e"}}]}`, ``, `[]`, `null`, `"x"`,
	} {
		f.Add(body)
	}
	sources, now := all(f), ledgertest.Epoch
	f.Fuzz(func(t *testing.T, body string) {
		for _, content := range []string{body, url.Values{"payload": {body}}.Encode()} {
			h := signed(t, content)
			for name, s := range sources {
				d, err := s.Read(h, []byte(content), now)
				if err != nil {
					if !errors.Is(err, ErrUnreadable) && !(name == "pagerduty" && errors.Is(err, ErrUnverified)) { // whose time is in the body
						t.Fatalf("%s: an error of another kind: %v", name, err)
					}
					continue
				}
				if len([]rune(d.EventID)) > longestName {
					t.Fatalf("%s: an event id of %d characters", name, len(d.EventID))
				}
				for _, one := range d.Feedback {
					if one.Kind == "" || one.By == "" || one.EpisodeID == "" && one.AlertID == "" && one.Key == "" {
						t.Fatalf("%s: a feedback about nothing, or by nobody: %+v", name, one)
					}
					if len([]rune(one.By)) > longestName+20 || len([]rune(one.Note)) > longestNote {
						t.Fatalf("%s: a text without bounds", name)
					}
				}
				if replier, ok := s.(Replier); ok {
					_ = replier.Reply(d, Applied{Done: 1})
				}
			}
		}
	})
}

// No header but the right one lets anything in.
func FuzzSignatures(f *testing.F) {
	const body = `{"event":{"id":"1","event_type":"x","occurred_at":"2026-01-02T03:04:05Z"},"version":"4","type":"x"}`
	right := signed(f, body)
	f.Add("v1="+sign("x", body), "1767323045")
	f.Add("v1,AAAA v1,BBBB", "1767323045")
	f.Add("v0=00", "99999999999999999999")
	f.Add("Bearer x", "-9223372036854775808")
	for name := range right {
		f.Add(right.Get(name)+"0", right.Get("webhook-timestamp"))
	}
	sources := all(f)
	f.Fuzz(func(t *testing.T, signature, stamp string) {
		for name, s := range sources {
			h := http.Header{}
			for _, header := range []string{"X-PagerDuty-Signature", "X-Slack-Signature", "webhook-signature", "Authorization"} {
				if strings.Contains(signature, right.Get(header)) {
					return // the right one is in it
				}
				h.Set(header, signature)
			}
			h.Set("X-Slack-Request-Timestamp", stamp)
			h.Set("webhook-timestamp", stamp)
			h.Set("webhook-id", "id")
			if _, err := s.Read(h, []byte(body), ledgertest.Epoch); !errors.Is(err, ErrUnverified) {
				t.Fatalf("%s took %q at %q: %v", name, signature, stamp, err)
			}
		}
	})
}
