package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// Secrets of these tests. None of them may be seen anywhere.
const (
	pagerDutyOld, pagerDutyNew = "PDOLD-0123456789abcdef", "PDNEW-0123456789abcdef"
	slackSecret                = "SLACK-0123456789abcdef"
	standardSecret             = "whsec_U1RBTkRBUkQtMDEyMzQ1Njc4OWFiY2RlZg=="
	alertmanagerToken          = "AMTOKEN-0123456789abcdef"
	gatesToken                 = "GATES-0123456789abcdef"
)

// webhooks is the receiver's configuration of a webhooks' server that takes everything.
func webhooks(address string) string {
	return fmt.Sprintf("webhooks: {http: {endpoint: %q}, pagerduty: {signing_secrets: [%s, %s]}, slack: {signing_secret: %s}, standard: {signing_secrets: [%q]}, "+
		"alertmanager: {token: %s}, gates: {token: %s}}", address, pagerDutyOld, pagerDutyNew, slackSecret, standardSecret, alertmanagerToken, gatesToken)
}

// delivery is a webhook as its product sends it.
type delivery struct {
	source, body string
	header       http.Header
}

func hmacOf(secret string, parts ...string) string {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// pagerDutyEvent is what PagerDuty tells of an incident, by a person or by the integration.
func pagerDutyEvent(id, kind, agent, key string, at time.Time) delivery {
	body := fmt.Sprintf(`{"event": {"id": %q, "event_type": %q, "resource_type": "incident", "occurred_at": %q, "agent": {"id": "P1", "type": %q, "summary": "Ada Lovelace"}, `+
		`"client": null, "data": {"id": "Q1", "type": "incident", "status": "acknowledged", "incident_key": %q}}}`, id, kind, at.UTC().Format(time.RFC3339Nano), agent, key)
	return delivery{"pagerduty", body, http.Header{"X-Pagerduty-Signature": {"v1=" + hmacOf("another", body) + ",v1=" + hmacOf(pagerDutyNew, body)}}}
}

// slackClick is a button of an attachment that a person has pressed, as Slack sends it.
func slackClick(name, value, trigger string, at time.Time) delivery {
	payload, _ := json.Marshal(map[string]any{
		"type": "interactive_message", "callback_id": "alerts", "trigger_id": trigger, "action_ts": "1." + trigger, "message_ts": "1.2", "attachment_id": "1",
		"user": map[string]string{"id": "U1", "name": "ada"}, "team": map[string]string{"id": "T1"}, "response_url": "https://hooks.slack.com/actions/1/2/3",
		"actions": []map[string]string{{"name": name, "type": "button", "value": value}},
	})
	body, stamp := url.Values{"payload": {string(payload)}}.Encode(), strconv.FormatInt(at.Unix(), 10)
	return delivery{"slack", body, http.Header{
		"Content-Type": {"application/x-www-form-urlencoded"}, "X-Slack-Request-Timestamp": {stamp}, "X-Slack-Signature": {"v0=" + hmacOf(slackSecret, "v0:", stamp, ":", body)},
	}}
}

// standardEvent is a Standard Webhook.
func standardEvent(t testing.TB, id, kind, data string, at time.Time) delivery {
	t.Helper()
	body := fmt.Sprintf(`{"type": %q, "timestamp": %q, "data": %s}`, kind, at.UTC().Format(time.RFC3339), data)
	v, err := standardwebhooks.NewWebhook(standardSecret)
	require.NoError(t, err)
	signature, err := v.Sign(id, at, []byte(body))
	require.NoError(t, err)
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("webhook-signature", signature)
	return delivery{"standard", body, h}
}

// hook sends a delivery to a webhooks' server and returns the answer.
func hook(t testing.TB, address string, d delivery) (code int, answer string, header http.Header) {
	t.Helper()
	code, answer, header, err := tryHook(t, address, d)
	require.NoError(t, err)
	return code, answer, header
}

func tryHook(t testing.TB, address string, d delivery) (code int, answer string, header http.Header, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+"/api/v1/webhooks/"+d.source, strings.NewReader(d.body))
	require.NoError(t, err)
	r.Header = d.header.Clone()
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), resp.Header, err
}

// product poses as one that pages are sent to: it keeps the bodies, and answers as it is told.
type product struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func newProduct(t testing.TB, code int, kind, answer string) *product {
	p := &product{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		p.bodies = append(p.bodies, string(body))
		p.mu.Unlock()
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(code)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(p.Close)
	return p
}

// last reads the newest body.
func (p *product) last(t testing.TB, into any) (n int) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if n = len(p.bodies); n > 0 {
		require.NoError(t, json.Unmarshal([]byte(p.bodies[n-1]), into), p.bodies[n-1])
	}
	return n
}
