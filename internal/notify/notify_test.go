package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/config"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/envprovider"
	"go.opentelemetry.io/collector/confmap/provider/yamlprovider"
	"go.yaml.in/yaml/v3"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func build(t testing.TB, document string) *Receivers {
	t.Helper()
	d, err := ParseDocument([]byte(document))
	require.NoError(t, err)
	r, err := Build(d, Options{ExternalURL: "https://alerts.example.com"})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	return r
}

func message() Message {
	return Message{
		Key: "group-1", GroupLabels: map[string]string{"alertname": "Full", "owner": "platform"}, Now: now,
		Alerts: []Alert{
			{
				Labels:      map[string]string{"alertname": "Full", "severity": "critical", "owner": "platform", "model_name": "{{ .CommonLabels }}"},
				Annotations: map[string]string{"summary": "KV cache <full>", "response": "Drain it."},
				StartsAt:    now.Add(-time.Minute), GeneratorURL: "https://alerts.example.com/alerts/e1",
			},
			{
				Labels:   map[string]string{"alertname": "Full", "severity": "critical", "owner": "platform", "model_name": "b"},
				StartsAt: now.Add(-time.Hour), EndsAt: now.Add(-time.Second),
			},
		},
	}
}

// server answers with what answer does, and remembers the requests.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	bodies []string
}

func serve(t testing.TB, answer http.HandlerFunc) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.bodies = append(s.bodies, string(body))
		s.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func TestWebhook(t *testing.T) {
	s := serve(t, nil)
	r := build(t, "receivers: [{name: oncall, webhook_configs: [{url: '"+s.URL+"/hook'}]}]")
	to, ok := r.Destinations("oncall")
	require.True(t, ok)
	require.Equal(t, []Destination{{Name: "oncall/webhook[0]", Receiver: "oncall", SendResolved: true}}, to)
	require.NoError(t, r.Send(t.Context(), to[0].Name, message()))
	var got struct {
		Version, GroupKey, Status, Receiver, ExternalURL string
		GroupLabels, CommonLabels                        map[string]string
		Alerts                                           []struct {
			Status              string
			Labels, Annotations map[string]string
			StartsAt, EndsAt    time.Time
			GeneratorURL        string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(s.bodies[0]), &got))
	assert.Equal(t, "4", got.Version)
	assert.Equal(t, "group-1", got.GroupKey)
	assert.Equal(t, "firing", got.Status)
	assert.Equal(t, "oncall", got.Receiver)
	assert.Equal(t, "https://alerts.example.com", got.ExternalURL)
	assert.Equal(t, map[string]string{"alertname": "Full", "owner": "platform"}, got.GroupLabels)
	require.Len(t, got.Alerts, 2)
	assert.Equal(t, "firing", got.Alerts[0].Status)
	assert.Equal(t, "{{ .CommonLabels }}", got.Alerts[0].Labels["model_name"], "a value is never a template")
	assert.Equal(t, "Drain it.", got.Alerts[0].Annotations["response"])
	assert.Equal(t, "resolved", got.Alerts[1].Status)

	m := message()
	m.Alerts = m.Alerts[1:]
	silent := build(t, "receivers: [{name: oncall, webhook_configs: [{url: '"+s.URL+"', send_resolved: false}]}]")
	require.NoError(t, silent.Send(t.Context(), "oncall/webhook[0]", m))
	assert.Len(t, s.bodies, 1, "an end that nobody wants is not sent")
}

func TestSlackAndPagerDuty(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/pd") {
			w.WriteHeader(http.StatusAccepted)
		}
		_, _ = io.WriteString(w, "ok")
	})
	r := build(t, `
receivers:
  - name: oncall
    slack_configs: [{api_url: '`+s.URL+`/slack', channel: '#alerts', send_resolved: true}]
    pagerduty_configs: [{routing_key: secret-key, url: '`+s.URL+`/pd'}]`)
	require.NoError(t, r.Send(t.Context(), "oncall/slack[0]", message()))
	assert.Contains(t, s.bodies[0], `https://alerts.example.com`)
	assert.NotContains(t, s.bodies[0], "Alertmanager")
	require.NoError(t, r.Send(t.Context(), "oncall/pagerduty[0]", message()))
	require.NoError(t, r.Send(t.Context(), "oncall/pagerduty[0]", message()))
	var one, two map[string]any
	require.NoError(t, json.Unmarshal([]byte(s.bodies[1]), &one))
	require.NoError(t, json.Unmarshal([]byte(s.bodies[2]), &two))
	assert.Equal(t, "trigger", one["event_action"])
	assert.Equal(t, "secret-key", one["routing_key"])
	assert.NotEmpty(t, one["dedup_key"])
	assert.Equal(t, one["dedup_key"], two["dedup_key"])
}

func TestFailuresSayWhetherToTryAgain(t *testing.T) {
	for status, permanent := range map[int]bool{500: false, 503: false, 400: true, 401: true} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		r := build(t, "receivers: [{name: a, webhook_configs: [{url: '"+s.URL+"/token-in-path'}]}]")
		err := r.Send(t.Context(), "a/webhook[0]", message())
		var failed *SendError
		require.ErrorAs(t, err, &failed)
		assert.Equal(t, permanent, failed.Permanent, status)
		assert.NotContains(t, err.Error(), "token-in-path")
	}
	for kind, config := range map[string]string{"webhook": "url: '%s'", "slack": "channel: c, api_url: '%s'", "pagerduty": "routing_key: k, url: '%s'", "opsgenie": "api_key: k, api_url: '%s/'"} {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) })
		r := build(t, "receivers: [{name: a, "+kind+"_configs: [{"+fmt.Sprintf(config, s.URL)+"}]}]")
		err := r.Send(t.Context(), "a/"+kind+"[0]", message())
		var failed *SendError
		require.ErrorAs(t, err, &failed, kind)
		assert.False(t, failed.Permanent, kind)
		assert.Equal(t, tooManyWait, failed.RetryAfter, "%s: %v", kind, err)
	}
	r := build(t, "receivers: [{name: a, webhook_configs: [{url: 'http://127.0.0.1:1/token-in-path'}]}]")
	err := r.Send(t.Context(), "a/webhook[0]", message())
	var failed *SendError
	require.ErrorAs(t, err, &failed)
	assert.False(t, failed.Permanent)
	assert.NotContains(t, err.Error(), "token-in-path")
	require.ErrorAs(t, r.Send(t.Context(), "nobody", message()), &failed)
	assert.True(t, failed.Permanent)
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	target := serve(t, nil)
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, target.URL, http.StatusTemporaryRedirect)
	})
	for _, global := range []string{"", "global: {http_config: {follow_redirects: true}}\n"} {
		for _, own := range []string{"", ", http_config: {follow_redirects: true}"} {
			r := build(t, global+"receivers: [{name: a, webhook_configs: [{url: '"+s.URL+"'"+own+"}]}]")
			assert.Error(t, r.Send(t.Context(), "a/webhook[0]", message()))
		}
	}
	assert.Empty(t, target.bodies)
	assert.Len(t, s.bodies, 4)
}

func TestAddressesThatAreRefused(t *testing.T) {
	for _, address := range []string{"169.254.169.254", "[fe80::1]", "0.0.0.0", "[::]", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "224.0.0.1"} {
		r := build(t, "receivers: [{name: a, webhook_configs: [{url: 'http://"+address+":80/'}]}]")
		assert.ErrorContains(t, r.Send(t.Context(), "a/webhook[0]", message()), "refused", address)
	}
}

func TestPrivateAddressesAreRefusedByASwitch(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.0.1", "[::1]", "[fd12::1]", "[::ffff:10.1.2.3]"} {
		d, err := ParseDocument([]byte("receivers: [{name: a, webhook_configs: [{url: 'http://" + address + ":9/'}]}]"))
		require.NoError(t, err)
		r, err := Build(d, Options{Guard: Guard{Private: true}})
		require.NoError(t, err)
		assert.ErrorContains(t, r.Send(t.Context(), "a/webhook[0]", message()), "refused: it is private", address)
		r.Close()
	}
}

func TestAHugeAnswerIsNotRead(t *testing.T) {
	var written atomic.Int64
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		for range 160 {
			n, err := w.Write(bytes.Repeat([]byte("x"), 64<<10))
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	r := build(t, "receivers: [{name: a, webhook_configs: [{url: '"+s.URL+"'}]}]")
	err := r.Send(t.Context(), "a/webhook[0]", message())
	require.Error(t, err)
	assert.Less(t, len(err.Error()), 1<<10)
	r.Close()
	s.CloseClientConnections()
	assert.Less(t, written.Load(), int64(10<<20))
}

func TestASlowServerIsCutOff(t *testing.T) {
	release := make(chan struct{})
	s := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	r := build(t, "receivers: [{name: a, webhook_configs: [{url: '"+s.URL+"'}]}]")
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var failed *SendError
	require.ErrorAs(t, r.Send(ctx, "a/webhook[0]", message()), &failed)
	assert.False(t, failed.Permanent)
	close(release)
}

func TestWrongDocuments(t *testing.T) {
	for document, want := range map[string]string{
		"receivers: []":         "receivers: at least one must be given",
		"global: {}":            "receivers: at least one must be given",
		"receivers: [a]":        "receivers[0]: must be a mapping with name",
		"receivers: [{url: x}]": "receivers[0].name: must not be empty",
		"receivers: [{name: a, webhook_configs: [{url: 'http://x'}]}, {name: a}]": "receivers[1].name: receivers[0] has this name already",
		"receivers: [{name: a}]": "receivers[0] (a): must have at least one configuration",
		"receivers: [{name: a, webhook_configs: [{url: 'http://x'}]}, {name: b, webhook_configs: [{uri: x}]}]": "receivers[1] (b): ",
		"receivers: [{name: a, webhook_configs: [{url: 'http://x'}]}]\nglobal: {nonsense: 1}":                  "global: ",
		"receivers: [{name: a, slack_configs: [{channel: x}]}]":                                                "receivers[0] (a): ",
		"receivers: [{name: a/b, webhook_configs: [{url: 'http://x'}]}]":                                       "must not contain a slash",
	} {
		d, err := ParseDocument([]byte(document))
		require.NoError(t, err, document)
		_, err = Build(d, Options{})
		assert.ErrorContains(t, err, want, document)
	}
}

// Alertmanager's document has a list per product; each must build here, and a new one must be noticed.
func TestEveryIntegrationBuilds(t *testing.T) {
	minimal := map[string]string{
		"discord_configs":    "{webhook_url: 'http://127.0.0.1/x'}",
		"email_configs":      "{to: a@example.com, from: b@example.com, smarthost: '127.0.0.1:25'}",
		"incidentio_configs": "{url: 'http://127.0.0.1/x', alert_source_token: secret}",
		"pagerduty_configs":  "{routing_key: secret}",
		"slack_configs":      "{api_url: 'http://127.0.0.1/x', channel: '#a'}",
		"webhook_configs":    "{url: 'http://127.0.0.1/x'}",
		"opsgenie_configs":   "{api_key: secret}",
		"wechat_configs":     "{api_secret: secret, corp_id: x}",
		"pushover_configs":   "{user_key: secret, token: secret}",
		"victorops_configs":  "{api_key: secret, routing_key: x}",
		"sns_configs":        "{topic_arn: 'arn:aws:sns:us-east-2:698519295917:x', sigv4: {region: us-east-2, access_key: a, secret_key: secret}}",
		"telegram_configs":   "{bot_token: secret, chat_id: 1}",
		"webex_configs":      "{room_id: x, http_config: {authorization: {credentials: secret}}}",
		"msteams_configs":    "{webhook_url: 'http://127.0.0.1/x'}",
		"msteamsv2_configs":  "{webhook_url: 'http://127.0.0.1/x'}",
		"jira_configs":       "{api_url: 'http://127.0.0.1/x', project: A, issue_type: Bug, http_config: {authorization: {credentials: secret}}}",
		"rocketchat_configs": "{token_id: x, token: secret}",
		"mattermost_configs": "{webhook_url: 'http://127.0.0.1/x'}",
	}
	receiverType := reflect.TypeFor[config.Receiver]()
	for i := range receiverType.NumField() {
		key, _, _ := strings.Cut(receiverType.Field(i).Tag.Get("yaml"), ",")
		if !strings.HasSuffix(key, "_configs") {
			continue
		}
		one, ok := minimal[key]
		if !assert.True(t, ok, "no minimal configuration for %s", key) {
			continue
		}
		d, err := ParseDocument([]byte("receivers: [{name: a, " + key + ": [" + one + "]}]"))
		require.NoError(t, err)
		r, err := Build(d, Options{})
		if assert.NoError(t, err, key) {
			assert.Len(t, r.All(), 1)
			r.Close()
		}
	}
}

func resolve(t *testing.T, content string) *confmap.Conf {
	t.Helper()
	resolver, err := confmap.NewResolver(confmap.ResolverSettings{
		URIs:              []string{"yaml:" + content},
		ProviderFactories: []confmap.ProviderFactory{yamlprovider.NewFactory(), envprovider.NewFactory()},
		DefaultScheme:     "env",
	})
	require.NoError(t, err)
	conf, err := resolver.Resolve(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = resolver.Shutdown(context.WithoutCancel(t.Context())) })
	return conf
}

func TestScalarsKeepTheirOriginalText(t *testing.T) {
	for _, secret := range []string{"0012345", "1e5", "true", "0x10", "1_000", "12:30:45", "plain", "with: colon", "'quoted'"} {
		t.Setenv("TEST_KEY", secret)
		t.Setenv("TEST_RESOLVED", "false")
		conf := resolve(t, `
receivers:
  - name: oncall
    pagerduty_configs:
      - routing_key: ${env:TEST_KEY}
        send_resolved: ${env:TEST_RESOLVED}
        details: {code: "${env:TEST_KEY}"}
    webhook_configs:
      - url: http://127.0.0.1/${env:TEST_KEY}
        max_alerts: 3
        http_config: {authorization: {credentials: "${env:TEST_KEY}"}}
`)
		d, err := ReadDocument(conf)
		require.NoError(t, err)
		cfg, err := load(d.root)
		if err != nil {
			cfg, err = load(d.textual)
		}
		require.NoError(t, err, secret)
		pd := cfg.Receivers[0].PagerdutyConfigs[0]
		assert.Equal(t, secret, string(pd.RoutingKey))
		assert.False(t, pd.VSendResolved)
		assert.Equal(t, secret, fmt.Sprint(pd.Details["code"]))
		assert.Equal(t, secret, string(cfg.Receivers[0].WebhookConfigs[0].HTTPConfig.Authorization.Credentials))
		assert.EqualValues(t, 3, cfg.Receivers[0].WebhookConfigs[0].MaxAlerts)
	}
}

func TestSecretsAreHidden(t *testing.T) {
	d, err := ParseDocument([]byte("receivers: [{name: a, pagerduty_configs: [{routing_key: very-secret}]}]"))
	require.NoError(t, err)
	holder := struct{ D Document }{d}
	asYAML, err := yaml.Marshal(holder)
	require.NoError(t, err)
	asJSON, err := json.Marshal(holder)
	require.NoError(t, err)
	conf := confmap.New()
	require.NoError(t, conf.Marshal(struct {
		D Document `mapstructure:"d"`
	}{d}))
	var logged bytes.Buffer
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("x", "d", d)
	for _, shown := range []string{
		fmt.Sprint(d), fmt.Sprintf("%v %+v %#v %s %q", d, holder, holder, d, d), string(asYAML), string(asJSON),
		fmt.Sprint(conf.ToStringMap()), logged.String(),
	} {
		assert.NotContains(t, shown, "very-secret")
	}
}

func FuzzBuild(f *testing.F) {
	f.Add("receivers: [{name: a, webhook_configs: [{url: 'http://x'}]}]")
	f.Add("receivers: [{name: a, slack_configs: [{api_url: 'http://x', text: '{{ .Foo'}]}]\nglobal: {resolve_timeout: 1s}")
	f.Fuzz(func(_ *testing.T, document string) {
		d, err := ParseDocument([]byte(document))
		if err != nil || find(d.root, "templates") != nil { // templates are files
			return
		}
		if r, err := Build(d, Options{}); err == nil {
			r.Close()
		}
	})
}

func BenchmarkSend(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer s.Close()
	r := build(b, "receivers: [{name: a, webhook_configs: [{url: '"+s.URL+"'}]}]")
	for b.Loop() {
		if err := r.Send(b.Context(), "a/webhook[0]", message()); err != nil {
			b.Fatal(err)
		}
	}
}
