package calibrationreceiver

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadatatest"
)

// ask sends a request and reads the answer whole.
func ask(t testing.TB, method, url, body string, headers ...string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(content)
}

var asJSON = []string{"Content-Type", "application/json"}

// One alert's way through the receiver: shown, acknowledged, judged, measured and told of.
func TestFeedbackLoop(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), "collection_interval: 1s")
	_, page := ask(t, "GET", r.url("/"), "")
	assert.Contains(t, page, "KVCacheNearlyFull")

	resp, _ := ask(t, "POST", r.url("/api/v1/alerts/"+id+"/acknowledge"), `{"by":"anna"}`, asJSON...)
	assert.Equal(t, 200, resp.StatusCode)
	resp, _ = ask(t, "POST", r.url("/api/v1/alerts/"+id+"/verdict"), `{"by":"anna","verdict":"false_positive"}`, asJSON...)
	assert.Equal(t, 200, resp.StatusCode)
	resp, _ = ask(t, "POST", r.url("/api/v1/alerts/"+id+"/verdict"), `{"verdict":"no"}`, asJSON...)
	assert.Equal(t, 422, resp.StatusCode)
	_, body := ask(t, "GET", r.url("/api/v1/alerts/"+id), "")
	var a web.Alert
	require.NoError(t, json.Unmarshal([]byte(body), &a))
	assert.Equal(t, "anna", a.AcknowledgedBy)
	assert.Equal(t, ledger.FalsePositive, a.Verdict)

	require.Eventually(t, func() bool { return r.logs.LogRecordCount() == 3 }, 10*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool {
		all := r.metrics.AllMetrics()
		return len(all) > 0 && named(all[len(all)-1], alert.MetricFalsePositiveRatio)["KVCacheNearlyFull"] == 1
	}, 10*time.Second, 5*time.Millisecond)

	point := func(n int64, route string, code int) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(attribute.String("route", route), attribute.Int("code", code))}
	}
	kind := func(k string) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: 1, Attributes: attribute.NewSet(attribute.String("kind", k))}
	}
	metadatatest.AssertEqualReceiverCalibrationRequests(t, r.own, []metricdata.DataPoint[int64]{
		point(1, "/", 200), point(1, "/api/v1/alerts/{id}", 200), point(1, "/api/v1/alerts/{id}/acknowledge", 200),
		point(1, "/api/v1/alerts/{id}/verdict", 200), point(1, "/api/v1/alerts/{id}/verdict", 422),
	}, ignoreTime)
	metadatatest.AssertEqualReceiverCalibrationFeedback(t, r.own, []metricdata.DataPoint[int64]{kind("acknowledge"), kind("verdict")}, ignoreTime)
}

// A receiver in one pipeline works as in two.
func TestOnePipeline(t *testing.T) {
	ctx := context.Background()
	for _, metrics := range []bool{true, false} {
		l := ledgertest.New(t)
		fire(t, l, time.Now(), alert.Alert{ID: "a"})
		cfg, err := load(t, `{http: {endpoint: "127.0.0.1:0"}}`)
		require.NoError(t, err)
		own := componenttest.NewTelemetry()
		m, logs := new(consumertest.MetricsSink), new(consumertest.LogsSink)
		var r component.Component
		if metrics {
			r, err = NewFactory().CreateMetrics(ctx, settings(own), cfg, m)
		} else {
			r, err = NewFactory().CreateLogs(ctx, settings(own), cfg, logs)
		}
		require.NoError(t, err)
		require.NoError(t, r.Start(ctx, newHost(l)))
		require.Eventually(t, func() bool { return m.DataPointCount() > 0 == metrics && logs.LogRecordCount() > 0 == !metrics }, 10*time.Second, 5*time.Millisecond)
		resp, _ := ask(t, "GET", "http://"+r.(*instance).listener.Addr().String()+"/", "")
		assert.Equal(t, 200, resp.StatusCode)
		require.NoError(t, r.Shutdown(ctx))
		require.NoError(t, own.Shutdown(ctx))
	}
}

// Two pipelines share one server; two configurations do not; after its end a receiver can be made anew.
func TestSharing(t *testing.T) {
	ctx := context.Background()
	factory := NewFactory()
	cfg, err := load(t, `{http: {endpoint: "127.0.0.1:0"}}`)
	require.NoError(t, err)
	other, err := load(t, `{http: {endpoint: "127.0.0.1:0"}}`)
	require.NoError(t, err)
	own := componenttest.NewTelemetry()
	m, err := factory.CreateMetrics(ctx, settings(own), cfg, consumertest.NewNop())
	require.NoError(t, err)
	l, err := factory.CreateLogs(ctx, settings(own), cfg, consumertest.NewNop())
	require.NoError(t, err)
	assert.Same(t, m, l)
	o, err := factory.CreateLogs(ctx, settings(own), other, consumertest.NewNop())
	require.NoError(t, err)
	assert.NotSame(t, m, o)
	f, err := NewFactory().CreateLogs(ctx, settings(own), cfg, consumertest.NewNop())
	require.NoError(t, err)
	assert.NotSame(t, m, f, "of another factory")

	host, second := newLedgerHost(t), newLedgerHost(t)
	require.NoError(t, m.Start(ctx, host))
	address := m.(*instance).listener.Addr()
	require.NoError(t, l.Start(ctx, second))
	assert.Equal(t, address, m.(*instance).listener.Addr())
	m.(*instance).hosts.report(componentstatus.NewEvent(componentstatus.StatusOK))
	assert.Equal(t, componentstatus.StatusOK, (<-host.statuses).Status())
	assert.Equal(t, componentstatus.StatusOK, (<-second.statuses).Status(), "each pipeline's receiver has the status")

	require.NoError(t, l.Shutdown(ctx))
	require.NoError(t, m.Shutdown(ctx))
	_, err = net.Dial("tcp", address.String())
	require.Error(t, err, "the server is gone")
	again, err := factory.CreateMetrics(ctx, settings(own), cfg, consumertest.NewNop())
	require.NoError(t, err)
	assert.NotSame(t, m, again)
	for _, r := range []component.Component{o, f, again} {
		require.NoError(t, r.Shutdown(ctx), "without a start")
	}
	require.NoError(t, own.Shutdown(ctx))
}

// What cannot work is said at the start, by both pipelines' receivers.
func TestStartRefused(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = taken.Close() })
	for name, c := range map[string]struct {
		yaml   string
		change func(*Config, *ledgerHost)
		want   string
	}{
		"no ledger":     {`ledger: alert_ledger/2`, nil, `ledger: there is no extension "alert_ledger/2": configure it, and list it under service.extensions`},
		"no alert one":  {`{}`, func(_ *Config, h *ledgerHost) { h.extensions[component.MustNewID("alert_ledger")] = authenticator{} }, `ledger: extension "alert_ledger" is no alert ledger: name one of type alert_ledger`},
		"not started":   {`{}`, func(_ *Config, h *ledgerHost) { h.extensions[component.MustNewID("alert_ledger")] = &provider{} }, `ledger: extension "alert_ledger" has not started`},
		"port taken":    {`{http: {endpoint: "` + taken.Addr().String() + `"}}`, nil, `http.endpoint: `},
		"no such auth":  {`{http: {endpoint: "127.0.0.1:0", auth: {authenticator: basicauth}}}`, nil, `http: failed to resolve authenticator "basicauth"`},
		"not this host": {`{http: {endpoint: "localhost:0"}}`, func(c *Config, _ *ledgerHost) { c.HTTP.NetAddr.Endpoint = "0.0.0.0:0" }, `http.endpoint: "0.0.0.0:0" is not the loopback interface here`},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			cfg, err := load(t, c.yaml)
			require.NoError(t, err)
			host := newLedgerHost(t)
			if c.change != nil {
				c.change(cfg, host)
			}
			own := componenttest.NewTelemetry()
			factory := NewFactory()
			m, err := factory.CreateMetrics(ctx, settings(own), cfg, consumertest.NewNop())
			require.NoError(t, err)
			l, err := factory.CreateLogs(ctx, settings(own), cfg, consumertest.NewNop())
			require.NoError(t, err)
			for _, r := range []component.Component{m, l} {
				err := r.Start(ctx, host)
				if assert.Error(t, err) {
					assert.Contains(t, err.Error(), c.want)
				}
			}
			require.NoError(t, m.Shutdown(ctx))
			require.NoError(t, own.Shutdown(ctx))
		})
	}
}

// authenticator lets in who sends the header that it knows; it stands for the extensions, with their AuthData.
type authenticator struct {
	header string
	auth   client.AuthData
}

func (authenticator) Start(context.Context, component.Host) error { return nil }
func (authenticator) Shutdown(context.Context) error              { return nil }

func (a authenticator) Authenticate(ctx context.Context, headers map[string][]string) (context.Context, error) {
	if got := headers["Authorization"]; len(got) != 1 || got[0] != a.header {
		return ctx, errors.New("the password of anna is another")
	}
	info := client.FromContext(ctx)
	info.Auth = a.auth
	return client.NewContext(ctx, info), nil
}

type subject map[string]any

func (s subject) GetAttribute(name string) any { return s[name] }
func (s subject) GetAttributeNames() []string  { return nil }

func TestAuthentication(t *testing.T) {
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("anna:secret"))
	for _, c := range []struct {
		id, header string
		auth       client.AuthData
		challenge  string
		person     string
	}{
		{"basicauth", basic, subject{"username": "anna"}, `Basic realm="alerts", charset="UTF-8"`, "anna"},
		{"basicauth/page", basic, subject{"username": "anna"}, `Basic realm="alerts", charset="UTF-8"`, "anna"},
		{"oidc", "Bearer x", subject{"subject": "u1"}, `Bearer realm="alerts"`, "u1"},
		{"bearertokenauth/page", "Bearer x", nil, `Bearer realm="alerts"`, "bearertokenauth/page"},
	} {
		t.Run(c.id, func(t *testing.T) {
			l := ledgertest.New(t)
			id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
			host := newHost(l)
			var name component.ID
			require.NoError(t, name.UnmarshalText([]byte(c.id)))
			host.extensions[name] = authenticator{c.header, c.auth}
			r := newRig(t, host, `{http: {endpoint: "127.0.0.1:0", auth: {authenticator: `+c.id+`}}}`)
			for _, path := range []string{"/", "/alerts/" + id, "/api/v1/alerts", "/style.css", "/nothing"} {
				resp, body := ask(t, "GET", r.url(path), "")
				assert.Equal(t, 401, resp.StatusCode, path)
				assert.Equal(t, c.challenge, resp.Header.Get("WWW-Authenticate"), path)
				assert.JSONEq(t, `{"error":"authenticate first"}`, body, path)
				resp, _ = ask(t, "GET", r.url(path), "", "Authorization", "Basic wrong")
				assert.Equal(t, 401, resp.StatusCode, path)
			}
			path := r.url("/api/v1/alerts/" + id + "/verdict")
			resp, _ := ask(t, "POST", path, `{"verdict":"expected","by":"bob"}`, asJSON...)
			assert.Equal(t, 401, resp.StatusCode)
			resp, body := ask(t, "POST", path, `{"verdict":"expected","by":"bob"}`, append(asJSON, "Authorization", c.header)...)
			assert.Equal(t, 200, resp.StatusCode, body)
			_, body = ask(t, "GET", r.url("/api/v1/alerts/"+id), "", "Authorization", c.header)
			assert.Contains(t, body, `"verdict_by":"`+c.person+`"`)
			assert.NotContains(t, body, "bob")
			// With authentication the page has whatever name it is reached by.
			request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url("/"), http.NoBody)
			require.NoError(t, err)
			request.Host = "alerts.example.com"
			request.Header.Set("Authorization", c.header)
			answer, err := http.DefaultTransport.RoundTrip(request)
			require.NoError(t, err)
			page, err := io.ReadAll(answer.Body)
			require.NoError(t, err)
			require.NoError(t, answer.Body.Close())
			assert.Equal(t, 200, answer.StatusCode)
			assert.Contains(t, string(page), c.person)
			assert.NotContains(t, string(page), "secret")
		})
	}
}

// Without authentication, a name that is not this machine's is refused: it may have been made to resolve to it.
func TestRebinding(t *testing.T) {
	r := newRig(t, newLedgerHost(t), "{}")
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url("/"), http.NoBody)
	require.NoError(t, err)
	request.Host = "evil.example"
	resp, err := http.DefaultTransport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, http.StatusMisdirectedRequest, resp.StatusCode)
}

func TestSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	newRig(t, newLedgerHost(t), `{http: {transport: unix, endpoint: "`+path+`"}}`)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://alerts/api/v1/alerts", http.NoBody)
	require.NoError(t, err)
	resp, err := transport.RoundTrip(request)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	assert.Equal(t, 200, resp.StatusCode)
}

// Bodies are bounded, what is compressed is not taken, headers are bounded.
func TestSizes(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), "{}")
	path := r.url("/api/v1/alerts/" + id + "/acknowledge")
	resp, body := ask(t, "POST", path, `{"note":"`+strings.Repeat(" ", web.MaxBody)+`"}`, asJSON...)
	assert.Equal(t, 413, resp.StatusCode)
	assert.JSONEq(t, `{"error":"the body must not be larger than 262144 bytes"}`, body)

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, err := z.Write(bytes.Repeat([]byte(" "), 10<<20))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	resp, body = ask(t, "POST", path, bomb.String(), append(asJSON, "Content-Encoding", "gzip")...)
	assert.Equal(t, 400, resp.StatusCode, body)
	assert.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	resp, _ = ask(t, "GET", r.url("/"), "", "X-Large", strings.Repeat("x", 2*maxHeader))
	assert.Equal(t, 431, resp.StatusCode)
	_, body = ask(t, "GET", r.url("/api/v1/alerts/"+id), "")
	assert.NotContains(t, body, "acknowledged_at")
}

// Who does not finish a header, or a body, is cut off.
func TestSlowClients(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), "{http: {read_header_timeout: 50ms, read_timeout: 100ms}}")
	for name, text := range map[string]string{
		"header": "GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
		"body":   "POST /api/v1/alerts/" + id + "/acknowledge HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{",
	} {
		conn, err := net.Dial("tcp", r.listener.Addr().String())
		require.NoError(t, err)
		require.NoError(t, conn.SetDeadline(time.Now().Add(30*time.Second)))
		_, err = io.WriteString(conn, text)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, bufio.NewReader(conn)) // until the server hangs up
		assert.NotErrorIs(t, err, context.DeadlineExceeded, name)
		var timeout net.Error
		assert.False(t, errors.As(err, &timeout) && timeout.Timeout(), "%s: still connected", name)
		require.NoError(t, conn.Close())
	}
	_, body := ask(t, "GET", r.url("/api/v1/alerts/"+id), "")
	assert.NotContains(t, body, "acknowledged_at")
}

// A ledger that fails costs no start: the page says so until it works.
func TestLedgerFailsAtTheStart(t *testing.T) {
	l := &fragile{Ledger: ledgertest.New(t)}
	l.views.Store(true)
	l.updates.Store(true)
	host := newHost(l)
	r := newRig(t, host, "{}")
	assert.Equal(t, componentstatus.StatusRecoverableError, (<-host.statuses).Status())
	resp, body := ask(t, "GET", r.url("/api/v1/alerts"), "")
	assert.Equal(t, 503, resp.StatusCode)
	assert.NotContains(t, body, errLedger.Error())
}
