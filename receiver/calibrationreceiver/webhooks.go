package calibrationreceiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/webhook"
)

// WebhooksConfig is the server of its own on which pagers send feedback and deployment controllers poll. What is not
// configured is not there; everything that is wants a signature or a token.
type WebhooksConfig struct {
	HTTP         confighttp.ServerConfig                `mapstructure:"http"`
	PagerDuty    configoptional.Optional[SecretsConfig] `mapstructure:"pagerduty"`
	Slack        configoptional.Optional[SecretConfig]  `mapstructure:"slack"`
	Standard     configoptional.Optional[SecretsConfig] `mapstructure:"standard"`
	Alertmanager configoptional.Optional[TokenConfig]   `mapstructure:"alertmanager"`
	Gates        configoptional.Optional[TokenConfig]   `mapstructure:"gates"`
	_            struct{}
}

// SecretsConfig are signing secrets: several while one is being replaced.
type SecretsConfig struct {
	SigningSecrets []configopaque.String `mapstructure:"signing_secrets"`
}

// SecretConfig is a signing secret.
type SecretConfig struct {
	SigningSecret configopaque.String `mapstructure:"signing_secret"`
}

// TokenConfig is a bearer token.
type TokenConfig struct {
	Token configopaque.String `mapstructure:"token"`
}

// Format implements fmt.Formatter: no verb shows the secrets of webhooks, which fmt would find where optional values keep
// them.
func (c Config) Format(s fmt.State, verb rune) { //nolint:revive // Validate and Unmarshal want a pointer
	type plain Config
	shown := plain(c)
	shown.Webhooks = configoptional.None[WebhooksConfig]()
	_, _ = fmt.Fprintf(s, fmt.FormatString(s, verb), shown)
}

// Format implements fmt.Formatter: see Config.Format.
func (c WebhooksConfig) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "{%s [REDACTED]}", c.HTTP.NetAddr.Endpoint)
}

func defaultWebhooks() WebhooksConfig {
	http := confighttp.NewDefaultServerConfig()
	http.NetAddr.Endpoint = "localhost:9196"
	http.MaxRequestBodySize = webhook.MaxBody
	http.CompressionAlgorithms = noCompression
	http.ReadHeaderTimeout = 5 * time.Second
	http.ReadTimeout = 10 * time.Second
	http.WriteTimeout = 10 * time.Second
	return WebhooksConfig{HTTP: http}
}

// sources builds what is configured. errs have their paths below `webhooks`.
func (c *WebhooksConfig) sources() (sources map[string]webhook.Source, errs []error) {
	sources = map[string]webhook.Source{}
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("webhooks."+format, args...)) }
	texts := func(path string, secrets []configopaque.String) (all []string) {
		if len(secrets) == 0 {
			fail("%s.signing_secrets: must not be empty", path)
		}
		for i, s := range secrets {
			if s == "" {
				fail("%s.signing_secrets[%d]: must not be empty", path, i)
			}
			all = append(all, string(s))
		}
		return all
	}
	if c.PagerDuty.HasValue() {
		sources["pagerduty"] = webhook.PagerDuty{Secrets: texts("pagerduty", c.PagerDuty.Get().SigningSecrets)}
	}
	if c.Slack.HasValue() {
		secret := string(c.Slack.Get().SigningSecret)
		if secret == "" {
			fail("slack.signing_secret: must not be empty")
		}
		sources["slack"] = webhook.Slack{Secret: secret}
	}
	if c.Standard.HasValue() {
		s, err := webhook.NewStandard(texts("standard", c.Standard.Get().SigningSecrets))
		if err != nil {
			fail("standard.%w", err)
		}
		sources["standard"] = s
	}
	if c.Alertmanager.HasValue() {
		token := string(c.Alertmanager.Get().Token)
		if token == "" {
			fail("alertmanager.token: must not be empty")
		}
		sources["alertmanager"] = webhook.Alertmanager{Token: token}
	}
	return sources, errs
}

func (c *WebhooksConfig) validate() error {
	sources, errs := c.sources()
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf("webhooks."+format, args...)) }
	if c.Gates.HasValue() && c.Gates.Get().Token == "" {
		fail("gates.token: must not be empty")
	}
	if len(sources) == 0 && !c.Gates.HasValue() {
		errs = append(errs, errors.New("webhooks: must have at least one of pagerduty, slack, standard, alertmanager, gates"))
	}
	errs = append(errs, validateServer("webhooks.http", &c.HTTP, "localhost:9196", webhook.MaxBody)...)
	return errors.Join(errs...)
}

// serveWebhooks opens the webhooks' server; stop ends it.
func (c *calibration) serveWebhooks(ctx context.Context, extensions map[component.ID]component.Component, l ledger.Ledger, fatal func(error)) (stop func(context.Context) error, err error) {
	config := c.config.Webhooks.Get()
	sources, errs := config.sources()
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	gate := ""
	if config.Gates.HasValue() {
		gate = string(config.Gates.Get().Token)
	}
	handler := webhook.New(webhook.Options{
		Ledger: l, Now: time.Now, Sources: sources, GateToken: gate, Answered: c.obs.answered, Applied: c.obs.hooked, Refused: c.obs.unhooked,
		Failed: func(err error) { c.set.Logger.Warn("The alert ledger failed a webhook", zap.Error(err)) },
	})
	server, err := config.HTTP.ToServer(ctx, extensions, c.set.TelemetrySettings, handler, confighttp.WithErrorHandler(c.refuse(&config.HTTP)))
	if err != nil {
		return nil, fmt.Errorf("webhooks.http: %w", err)
	}
	server.MaxHeaderBytes = maxHeader
	listener, err := config.HTTP.ToListener(ctx)
	if err != nil {
		return nil, fmt.Errorf("webhooks.http.endpoint: %w", err)
	}
	if address, tcp := listener.Addr().(*net.TCPAddr); tcp && !address.IP.IsLoopback() && !config.HTTP.TLS.HasValue() {
		c.set.Logger.Warn("Webhooks and their tokens come unencrypted: set webhooks.http.tls, or serve them behind a proxy that does",
			zap.Stringer("address", address))
	}
	c.hooks = listener
	c.work.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			fatal(fmt.Errorf("the webhooks' server stopped: %w", err))
		}
	})
	return func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return errors.Join(err, server.Close())
		}
		return nil
	}, nil
}
