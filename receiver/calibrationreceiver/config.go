package calibrationreceiver

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// Config says where the ledger is, where people reach the page, and what is emitted how often.
type Config struct {
	// Ledger is the alert_ledger extension that holds the episodes.
	Ledger component.ID `mapstructure:"ledger"`
	// HTTP is where the page and the API are served.
	HTTP confighttp.ServerConfig `mapstructure:"http"`
	// TrustedUserHeader is the header in which an authenticating proxy names the person, over mTLS or loopback only; "" for none.
	TrustedUserHeader string `mapstructure:"trusted_user_header"`
	// TrustedHosts are the names that the proxy passes on in Host, beside those of the loopback interface.
	TrustedHosts []string `mapstructure:"trusted_hosts"`
	// CollectionInterval is how often the metrics are emitted.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`
	// Window is the time over which ratios are taken, up to now, in Prometheus' notation (30d).
	Window model.Duration `mapstructure:"window"`

	// Webhooks is the server on which pagers answer; without it there is none.
	Webhooks configoptional.Optional[WebhooksConfig] `mapstructure:"webhooks"`

	// Suggestions say when a suggested threshold stands.
	Suggestions SuggestionsConfig `mapstructure:"suggestions"`

	// Limits bound what is emitted.
	Limits LimitsConfig `mapstructure:"limits"`

	_ struct{}
}

// LimitsConfig bounds what is emitted.
type LimitsConfig struct {
	// Series is how many sets of rule, tier, owner and source metric the metrics tell apart; the rest is told together.
	Series int `mapstructure:"series"`

	_ struct{}
}

// SuggestionsConfig are the limits of suggestions.
type SuggestionsConfig struct {
	// MinEpisodes is how many episodes must be judged to be real or false.
	MinEpisodes int `mapstructure:"min_episodes"`
	// MinAge is how long a time these must span.
	MinAge model.Duration `mapstructure:"min_age"`
	// MaxStep is how far a suggestion may move a threshold, in percent of it or of its band's width (20%).
	MaxStep string `mapstructure:"max_step"`
	// MinPeople is how many people must have judged.
	MinPeople int `mapstructure:"min_people"`

	_ struct{}
}

// limits reads them.
func (c *SuggestionsConfig) limits() (calibrate.Limits, error) {
	var errs []error
	if c.MinEpisodes < 1 {
		errs = append(errs, fmt.Errorf("suggestions.min_episodes: must be at least 1 (got %d)", c.MinEpisodes))
	}
	if c.MinAge < 0 {
		errs = append(errs, fmt.Errorf("suggestions.min_age: must not be negative (got %s)", c.MinAge))
	}
	if c.MinPeople < 1 {
		errs = append(errs, fmt.Errorf("suggestions.min_people: must be at least 1 (got %d)", c.MinPeople))
	}
	percent, isPercent := strings.CutSuffix(c.MaxStep, "%")
	step, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if err != nil || !isPercent || step <= 0 || step > 1000 {
		errs = append(errs, fmt.Errorf("suggestions.max_step: must be a positive percentage, such as 20%% (got %q)", c.MaxStep))
	}
	return calibrate.Limits{MinEpisodes: c.MinEpisodes, MinAge: time.Duration(c.MinAge), MinPeople: c.MinPeople, MaxStep: step / 100}, errors.Join(errs...)
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
)

const (
	shortestCollectionInterval = time.Second
	// mostSeries are some megabytes for each collection.
	mostSeries = 100_000
)

func createDefaultConfig() component.Config {
	http := confighttp.NewDefaultServerConfig()
	http.NetAddr.Endpoint = "localhost:9195"
	http.MaxRequestBodySize = web.MaxBody
	http.CompressionAlgorithms = noCompression
	http.ReadHeaderTimeout = 5 * time.Second
	http.ReadTimeout = 15 * time.Second
	http.WriteTimeout = 30 * time.Second
	return &Config{
		Ledger:             component.MustNewID("alert_ledger"),
		HTTP:               http,
		CollectionInterval: time.Minute,
		Window:             model.Duration(30 * 24 * time.Hour),
		Webhooks:           configoptional.Default(defaultWebhooks()),
		Suggestions:        SuggestionsConfig{MinEpisodes: 20, MinAge: model.Duration(7 * 24 * time.Hour), MaxStep: "20%", MinPeople: 1},
		Limits:             LimitsConfig{Series: 2000}, // as OpenTelemetry's SDKs
	}
}

// Unmarshal reads the configuration. confighttp passes over keys under `http` that it does not know; a misspelt `auth`
// must not.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	if err := conf.Unmarshal(c); err != nil {
		return err
	}
	for _, path := range []string{"http", "webhooks::http"} {
		section, err := conf.Sub(path)
		if err != nil {
			return err
		}
		type strict confighttp.ServerConfig // the same keys, without confighttp's own Unmarshal
		if err := section.Unmarshal(new(strict)); err != nil {
			return fmt.Errorf("%s: %w", strings.ReplaceAll(path, "::", "."), err)
		}
	}
	return nil
}

// Validate checks the configuration. Whether the ledger exists shows at the start.
func (c *Config) Validate() error {
	errs := []error{c.validateHTTP(), c.validateProxy()}
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.CollectionInterval < shortestCollectionInterval {
		refuse("collection_interval: must be at least %s (got %s)", shortestCollectionInterval, c.CollectionInterval)
	}
	if c.Window <= 0 {
		refuse("window: must be positive, such as 30d (got %s)", c.Window)
	}
	if c.Limits.Series < 1 || c.Limits.Series > mostSeries {
		refuse("limits.series: must be from 1 to %d (got %d)", mostSeries, c.Limits.Series)
	}
	if c.Webhooks.HasValue() {
		errs = append(errs, c.Webhooks.Get().validate())
	}
	_, err := c.Suggestions.limits()
	errs = append(errs, err)
	return errors.Join(errs...)
}

// validateHTTP is stricter than confighttp: who reaches this server can silence alerts.
func (c *Config) validateHTTP() error {
	errs := validateServer("http", &c.HTTP, "localhost:9195", web.MaxBody)
	host, _, err := net.SplitHostPort(c.HTTP.NetAddr.Endpoint)
	unix := c.HTTP.NetAddr.Transport == confignet.TransportTypeUnix
	if err == nil && !unix && !c.HTTP.Auth.HasValue() && c.TrustedUserHeader == "" && !isLoopback(host) {
		errs = append(errs, fmt.Errorf("http.endpoint: must be a loopback address such as localhost:9195 as long as http.auth is not set, "+
			"since whoever reaches it can answer alerts (got %q)", c.HTTP.NetAddr.Endpoint))
	}
	return errors.Join(errs...)
}

// isLoopback reports whether an endpoint's host is the loopback interface. Any name but localhost may resolve to
// anything.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// authenticator names what authenticates callers; "" without authentication.
func (c *Config) authenticator() string {
	if !c.HTTP.Auth.HasValue() {
		return ""
	}
	return c.HTTP.Auth.Get().Config.AuthenticatorID.String()
}
