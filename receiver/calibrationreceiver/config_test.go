package calibrationreceiver

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/confmap"
)

// load reads a configuration as the Collector does.
func load(t testing.TB, yaml string) (*Config, error) {
	t.Helper()
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(yaml))
	require.NoError(t, err)
	conf, err := retrieved.AsConf()
	require.NoError(t, err)
	cfg := NewFactory().CreateDefaultConfig().(*Config)
	if err := conf.Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestDefaults(t *testing.T) {
	cfg, err := load(t, "{}")
	require.NoError(t, err)
	assert.Equal(t, component.MustNewID("alert_ledger"), cfg.Ledger)
	assert.Equal(t, "localhost:9195", cfg.HTTP.NetAddr.Endpoint)
	assert.Equal(t, confignet.TransportTypeTCP, cfg.HTTP.NetAddr.Transport)
	assert.Equal(t, int64(256<<10), cfg.HTTP.MaxRequestBodySize)
	assert.Equal(t, 5*time.Second, cfg.HTTP.ReadHeaderTimeout)
	assert.Equal(t, 15*time.Second, cfg.HTTP.ReadTimeout)
	assert.Equal(t, 30*time.Second, cfg.HTTP.WriteTimeout)
	assert.Equal(t, time.Minute, cfg.CollectionInterval)
	assert.Equal(t, model.Duration(30*24*time.Hour), cfg.Window)
	assert.Equal(t, 2000, cfg.Limits.Series)
}

func TestAccepted(t *testing.T) {
	for name, yaml := range map[string]string{
		"another ledger":         `ledger: alert_ledger/page`,
		"loopback by number":     `http: {endpoint: "127.0.0.1:9195"}`,
		"loopback, IPv6":         `http: {endpoint: "[::1]:9195"}`,
		"a loopback of its own":  `http: {endpoint: "127.8.9.10:9195"}`,
		"a socket":               `http: {transport: unix, endpoint: /run/alerts.sock}`,
		"anywhere, with auth":    `http: {endpoint: "0.0.0.0:9195", auth: {authenticator: basicauth}}`,
		"by name, with auth":     `http: {endpoint: "alerts.example.com:9195", auth: {authenticator: oidc}}`,
		"other times":            `{collection_interval: 10s, window: 2w}`,
		"smaller bodies":         `http: {max_request_body_size: 1000}`,
		"keep-alives":            `http: {keepalive: {idle_timeout: 10s}}`,
		"an unused empty header": `trusted_user_header: ""`,
		"a proxy on loopback":    `trusted_user_header: X-Forwarded-User`,
		"a proxy by its name":    `{trusted_user_header: remote-user, trusted_hosts: [alerts.example.com, 10.1.2.3]}`,
		"a proxy on a socket":    `{trusted_user_header: X-User, http: {transport: unix, endpoint: /run/alerts.sock}}`,
		"a proxy over mTLS":      `{trusted_user_header: X-User, http: {endpoint: "0.0.0.0:9195", tls: {cert_file: a, key_file: b, client_ca_file: c}}}`,
		"a proxy with a token":   `{trusted_user_header: X-User, http: {auth: {authenticator: bearertokenauth}}}`,
	} {
		_, err := load(t, yaml)
		assert.NoError(t, err, name)
	}
}

func TestRefused(t *testing.T) {
	const loopback = "must be a loopback address such as localhost:9195 as long as http.auth is not set, since whoever reaches it can answer alerts"
	for yaml, want := range map[string]string{
		`http: {endpoint: "0.0.0.0:9195"}`:                                                  `http.endpoint: ` + loopback + ` (got "0.0.0.0:9195")`,
		`http: {endpoint: ":9195"}`:                                                         `http.endpoint: ` + loopback + ` (got ":9195")`,
		`http: {endpoint: "[::]:9195"}`:                                                     `http.endpoint: ` + loopback,
		`http: {endpoint: "192.168.1.2:9195"}`:                                              `http.endpoint: ` + loopback,
		`http: {endpoint: "localhost.example.com:9195"}`:                                    `http.endpoint: ` + loopback,
		`http: {endpoint: "127.0.0.1.nip.io:9195"}`:                                         `http.endpoint: ` + loopback,
		`http: {endpoint: "localhost"}`:                                                     `http.endpoint: must be host:port, such as localhost:9195 (got "localhost")`,
		`http: {transport: udp}`:                                                            `http.transport: must be tcp, tcp4, tcp6 or unix (got "udp")`,
		`http: {cors: {allowed_origins: ["*"]}}`:                                            `http.cors: not supported`,
		`http: {max_request_body_size: 1000000}`:                                            `http.max_request_body_size: must be from 1 to 262144 (got 1000000)`,
		`http: {max_request_body_size: 0}`:                                                  `http.max_request_body_size: must be from 1 to 262144 (got 0)`,
		`http: {read_timeout: 0s}`:                                                          `http.read_timeout: must be positive, so that slow clients are cut off (got 0s)`,
		`http: {read_header_timeout: -1s}`:                                                  `http.read_header_timeout: must be positive`,
		`http: {write_timeout: 0s}`:                                                         `http.write_timeout: must be positive`,
		`collection_interval: 10ms`:                                                         `collection_interval: must be at least 1s (got 10ms)`,
		`window: 0s`:                                                                        `window: must be positive, such as 30d (got 0s)`,
		`webhooks: {}`:                                                                      `webhooks: must have at least one of pagerduty, slack, standard, alertmanager, gates`,
		`webhooks: {slack: {}}`:                                                             `webhooks.slack.signing_secret: must not be empty`,
		`webhooks: {pagerduty: {signing_secrets: [x, ""]}}`:                                 `webhooks.pagerduty.signing_secrets[1]: must not be empty`,
		`webhooks: {pagerduty: {}}`:                                                         `webhooks.pagerduty.signing_secrets: must not be empty`,
		`webhooks: {standard: {signing_secrets: ["?"]}}`:                                    `webhooks.standard.signing_secrets[0]: must be base64, such as "whsec_"`,
		`webhooks: {alertmanager: {}}`:                                                      `webhooks.alertmanager.token: must not be empty`,
		`webhooks: {gates: {}}`:                                                             `webhooks.gates.token: must not be empty`,
		`webhooks: {gates: {token: x}, http: {endpoint: x}}`:                                `webhooks.http.endpoint: must be host:port, such as localhost:9196 (got "x")`,
		`webhooks: {gates: {token: x}, http: {read_timeout: 0s}}`:                           `webhooks.http.read_timeout: must be positive`,
		`webhooks: {gates: {token: x}, http: {cors: {allowed_origins: ["*"]}}}`:             `webhooks.http.cors: not supported`,
		`webhooks: {gates: {token: x}, http: {compression_algorithms: [gzip]}}`:             `webhooks.http.compression_algorithms: not supported: bodies are taken as they are (got ["gzip"])`,
		`webhooks: {gates: {token: x}, http: {max_request_body_size: 1000000}}`:             `webhooks.http.max_request_body_size: must be from 1 to 262144 (got 1000000)`,
		`webhooks: {gates: {token: x}, http: {read_header_timeout: 0s, write_timeout: 0s}}`: `webhooks.http.write_timeout: must be positive`,
		`webhooks: {gates: {token: x}, http: {transport: udp}}`:                             `webhooks.http.transport: must be tcp, tcp4, tcp6 or unix (got "udp")`,
		`webhooks: {gates: {token: x}, http: {auth: {}}}`:                                   `webhooks.http.auth.authenticator: must name an extension`,
		`webhooks: {gates: {token: x}, http: {endpoints: x}}`:                               `has invalid keys: endpoints`,
		`http: {compression_algorithms: ["", gzip]}`:                                        `http.compression_algorithms: not supported: bodies are taken as they are (got ["" "gzip"])`,
		`limits: {series: 0}`:                                                               `limits.series: must be from 1 to 100000 (got 0)`,
		`limits: {series: 1000000}`:                                                         `limits.series: must be from 1 to 100000 (got 1000000)`,
		`suggestions: {min_people: 0}`:                                                      `suggestions.min_people: must be at least 1 (got 0)`,
		`suggestions: {max_step: "0.2"}`:                                                    `suggestions.max_step: must be a positive percentage, such as 20% (got "0.2")`,
		`suggestions: {min_episodes: 0, min_age: 1h}`:                                       `suggestions.min_episodes: must be at least 1 (got 0)`,
		`http: {endpoints: x}`:                                                              `has invalid keys: endpoints`,
		`collection_intervall: 1m`:                                                          `has invalid keys: collection_intervall`,
		`{window: 0s, collection_interval: 0s}`:                                             "collection_interval: must be at least 1s (got 0s)\nwindow: must be positive",
		`http: {auth: {}, endpoint: "0.0.0.0:9195"}`:                                        `http.auth.authenticator: must name an extension that authenticates, such as basicauth`,
		`http: {auth: {authenticator: ""}, endpoint: ":"}`:                                  `id must not be empty`,
	} {
		_, err := load(t, yaml)
		if assert.Error(t, err, yaml) {
			assert.Contains(t, err.Error(), want, yaml)
		}
	}
}

// A proxy's word for who asks is taken only where nobody else can give it.
func TestProxyRefused(t *testing.T) {
	const anyName = `trusted_user_header: whoever reaches http.endpoint could claim any name: listen on a loopback address such as localhost:9195 or on a unix socket, ` +
		`or set http.tls with a client_ca_file that has signed the proxy's certificate alone (got "X-User" on "0.0.0.0:9195")`
	for yaml, want := range map[string]string{
		`http: {endpoint: "0.0.0.0:9195"}`:                                                                                 anyName,
		`http: {endpoint: "0.0.0.0:9195", auth: {authenticator: basicauth}}`:                                               anyName,
		`http: {endpoint: "0.0.0.0:9195", tls: {cert_file: a, key_file: b}}`:                                               anyName,
		`http: {endpoint: "0.0.0.0:9195", tls: {cert_file: a, key_file: b, ca_file: c}}`:                                   anyName,
		`trusted_hosts: ["alerts.example.com:443"]`:                                                                        `trusted_hosts[0]: must be a host name without port, such as alerts.example.com (got "alerts.example.com:443")`,
		`trusted_hosts: [a.example, "https://b.example"]`:                                                                  `trusted_hosts[1]: must be a host name without port`,
		`trusted_hosts: ["*"]`:                                                                                             `trusted_hosts[0]: must be a host name without port`,
		`trusted_hosts: [""]`:                                                                                              `trusted_hosts[0]: must be a host name without port`,
		`{trusted_hosts: [a.example], http: {auth: {authenticator: basicauth}}}`:                                           `trusted_hosts: must be left out`,
		`{trusted_hosts: [a.example], http: {transport: unix, endpoint: /s}}`:                                              `trusted_hosts: must be left out`,
		`{trusted_hosts: [a.example], http: {endpoint: "0.0.0.0:1", tls: {cert_file: a, key_file: b, client_ca_file: c}}}`: `trusted_hosts: must be left out`,
	} {
		if !strings.HasPrefix(yaml, "{") {
			yaml = "{" + yaml + "}"
		}
		yaml = strings.Replace(yaml, "{", "{trusted_user_header: X-User, ", 1)
		_, err := load(t, yaml)
		if assert.Error(t, err, yaml) {
			assert.Contains(t, err.Error(), want, yaml)
			assert.NotContains(t, err.Error(), "http.endpoint: must be", "one error, not two: %s", yaml)
		}
	}
	_, err := load(t, `trusted_hosts: [alerts.example.com]`)
	assert.ErrorContains(t, err, `trusted_hosts: must be left out: names are checked only where trusted_user_header comes over the loopback interface without http.auth`)
}

// Headers that a client may send through a proxy, or have dropped on the way, name nobody.
func TestUserHeaders(t *testing.T) {
	for _, name := range []string{"X-User", "X-Forwarded-User", "Remote-User", "x-auth-request-email", "Cf-Access-Authenticated-User-Email", "Tailscale-User-Login", "X-User2"} {
		assert.Empty(t, oddHeader(name), name)
	}
	for name, why := range map[string]string{
		"X_User": "underscore", "X_Forwarded-User": "underscore", "REMOTE_USER": "underscore",
		"": "must be the name of a header", "X User": "must be the name of a header", "X-User:": "must be the name of a header", "X-": "must be the name of a header",
		"-X": "must be the name of a header", "X--User": "must be the name of a header", "X-Üser": "must be the name of a header", "X-User\r\nY": "must be the name of a header",
		"X.User":     "must be the name of a header",
		"Connection": "clients send", "keep-alive": "clients send", "TE": "clients send", "Proxy-Authorization": "clients send", "transfer-encoding": "clients send",
		"Authorization": "clients send", "cookie": "clients send", "Host": "clients send", "Origin": "clients send", "Referer": "clients send", "User-Agent": "clients send",
		"X-Forwarded-For": "clients send", "x-real-ip": "clients send", "Accept": "clients send", "accept-language": "clients send", "Content-Type": "clients send",
		"Content-Language": "clients send", "Range": "clients send", "Sec-Fetch-User": "clients send", "Save-Data": "clients send", "If-Match": "clients send",
		"Access-Control-Request-Headers": "clients send", "X-Requested-With": "clients send", "traceparent": "clients send",
	} {
		assert.Contains(t, oddHeader(name), why, name)
	}
	_, err := load(t, `trusted_user_header: X_User`)
	assert.ErrorContains(t, err, `trusted_user_header: must not contain an underscore, which some servers take for a hyphen and others drop, so that a proxy may pass on what `+
		`a client sends: name one that only the proxy sets, such as X-Forwarded-User (got "X_User")`)
}
