package calibrationreceiver

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/webhook"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadatatest"
)

const allWebhooks = `
webhooks:
  http: {endpoint: "localhost:0"}
  pagerduty: {signing_secrets: [s3cret-a, s3cret-b]}
  slack: {signing_secret: s3cret-c}
  standard: {signing_secrets: [czNjcmV0]}
  alertmanager: {token: s3cret-d}
  gates: {token: s3cret-e}
`

func TestSecretsOfWebhooksStayHidden(t *testing.T) {
	conf, err := confmap.NewRetrievedFromYAML([]byte(allWebhooks))
	require.NoError(t, err)
	parsed, err := conf.AsConf()
	require.NoError(t, err)
	config := createDefaultConfig().(*Config)
	require.NoError(t, parsed.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	shown := confmap.New()
	require.NoError(t, shown.Marshal(config))
	for _, text := range []string{
		fmt.Sprintf("%v", config.Webhooks.Get()), fmt.Sprintf("%+v", *config.Webhooks.Get()), fmt.Sprintf("%#v", *config.Webhooks.Get()),
		fmt.Sprint(config), fmt.Sprintf("%+v", config), fmt.Sprint(shown.ToStringMap()),
	} {
		require.NotContains(t, text, "s3cret")
		require.NotContains(t, text, "czNjcmV0")
	}
}

// hookURL is an address of the webhooks' server.
func (r *rig) hookURL(path string) string { return "http://" + r.hooks.Addr().String() + path }

// The webhooks' server bounds what comes as the page's does, says what is wrong in JSON, and changes nothing.
func TestWebhooksServer(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), allWebhooks)
	body := `{"version": "4", "alerts": [{"status": "firing", "labels": {"episode_id": "` + id + `"}}]}`
	path, token := r.hookURL("/api/v1/webhooks/alertmanager"), []string{"Authorization", "Bearer s3cret-d"}
	before := events(t, l)
	refused := func(code int, what, method, path, body string, headers ...string) {
		t.Helper()
		resp, text := ask(t, method, path, body, headers...)
		assert.Equal(t, code, resp.StatusCode, what)
		if code != 431 { // which net/http answers
			assert.Equal(t, "application/json", resp.Header.Get("Content-Type"), what)
			assert.Regexp(t, `^\{"error":".+"\}\n$`, text, what)
		}
		assert.Equal(t, before, events(t, l), what)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, err := z.Write([]byte(body))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	refused(400, "compressed", "POST", path, zipped.String(), append(token, "Content-Encoding", "gzip")...)
	refused(413, "too large", "POST", path, body+strings.Repeat(" ", webhook.MaxBody), token...)
	refused(431, "a header too large", "POST", path, body, append(token, "X-Large", strings.Repeat("x", 2*maxHeader))...)
	refused(404, "the page", "GET", r.hookURL("/"), "", token...)
	refused(404, "the API", "POST", r.hookURL("/api/v1/alerts/"+id+"/acknowledge"), "{}", append(token, asJSON...)...)
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE", "OPTIONS"} {
		refused(405, method, method, path, body, token...)
	}
	resp, _ := ask(t, "HEAD", path, "", token...)
	assert.Equal(t, 405, resp.StatusCode)
	resp, text := ask(t, "POST", path, body, token...)
	assert.Equal(t, 200, resp.StatusCode, text)
	assert.Greater(t, events(t, l), before)

	page, _ := ask(t, "POST", r.url("/api/v1/webhooks/alertmanager"), body, append(token, asJSON...)...)
	assert.Equal(t, 404, page.StatusCode, "webhooks are not on the page's server")
}

func events(t testing.TB, l ledger.Ledger) (last int64) {
	t.Helper()
	require.NoError(t, l.View(t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
		last, err = tx.LastEvent()
		return err
	}))
	return last
}

// Who does not finish a header, or a body, is cut off here, too.
func TestSlowWebhooks(t *testing.T) {
	r := newRig(t, newLedgerHost(t), strings.Replace(allWebhooks, `"localhost:0"`, `"localhost:0", read_header_timeout: 50ms, read_timeout: 100ms`, 1))
	for name, text := range map[string]string{
		"header": "POST /api/v1/webhooks/slack HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"body":   "POST /api/v1/webhooks/slack HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\np",
	} {
		conn, err := net.Dial("tcp", r.hooks.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, conn) // until the server hangs up
		var timeout net.Error
		assert.False(t, errors.As(err, &timeout) && timeout.Timeout(), "%s: still connected", name)
		require.NoError(t, conn.Close())
	}
}

// An authenticator in front of the webhooks' server is asked first, for every route.
func TestWebhooksBehindAnAuthenticator(t *testing.T) {
	host := newLedgerHost(t)
	host.extensions[component.MustNewID("basicauth")] = authenticator{"Basic x", nil}
	r := newRig(t, host, strings.Replace(allWebhooks, `"localhost:0"`, `"localhost:0", auth: {authenticator: basicauth}`, 1))
	for _, path := range []string{"/api/v1/webhooks/slack", "/api/v1/gates/chat", "/nothing"} {
		resp, body := ask(t, "POST", r.hookURL(path), "")
		assert.Equal(t, 401, resp.StatusCode, path)
		assert.Equal(t, `Basic realm="alerts", charset="UTF-8"`, resp.Header.Get("WWW-Authenticate"))
		assert.JSONEq(t, `{"error":"authenticate first"}`, body)
	}
	resp, body := ask(t, "POST", r.hookURL("/api/v1/webhooks/slack"), "", "Authorization", "Basic x")
	assert.Equal(t, 401, resp.StatusCode)
	assert.Contains(t, body, "signature", "and then for the signature")
}

// What becomes of webhooks is counted by source and outcome.
func TestWebhooksAreCounted(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), allWebhooks)
	path, token := r.hookURL("/api/v1/webhooks/alertmanager"), []string{"Authorization", "Bearer s3cret-d"}
	of := func(labels string) string {
		return `{"version": "4", "alerts": [{"status": "firing", "labels": {` + labels + `}}]}`
	}
	for _, c := range []struct {
		body  string
		right bool
	}{
		{of(`"episode_id": "` + id + `"`), true}, {of(`"episode_id": "` + id + `"`), true}, {of(`"alert_id": "unknown"`), true},
		{of(`"alertname": "another's"`), true}, {`{"version": "3"}`, true}, {of(""), false},
	} {
		headers := token
		if !c.right {
			headers = nil
		}
		ask(t, "POST", path, c.body, headers...)
	}
	ask(t, "POST", r.hookURL("/nothing"), "")
	var want []metricdata.DataPoint[int64]
	for _, how := range []string{"done", "repeated", "unknown", "ignored", "unreadable", "unverified"} {
		want = append(want, metricdata.DataPoint[int64]{Value: 1, Attributes: attribute.NewSet(attribute.String("source", "alertmanager"), attribute.String("outcome", how))})
	}
	metadatatest.AssertEqualReceiverCalibrationWebhooks(t, r.own, want, ignoreTime)
	point := func(n int64, route string, code int) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(attribute.String("route", route), attribute.Int("code", code))}
	}
	const route = "/api/v1/webhooks/alertmanager"
	metadatatest.AssertEqualReceiverCalibrationRequests(t, r.own, []metricdata.DataPoint[int64]{
		point(2, route, 200), point(2, route, 202), point(1, route, 400), point(1, route, 401), point(1, "none", 404),
	}, ignoreTime)
}
