package calibrationreceiver

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"
)

// Config is the receiver's configuration.
type Config struct {
	// Ledger is the id of the alert_ledger extension.
	Ledger component.ID `mapstructure:"ledger"`
	// HTTP serves the page and the API. Without `auth` it refuses any address but loopback.
	HTTP confighttp.ServerConfig `mapstructure:"http"`
	// CollectionInterval is how often the metrics are emitted.
	CollectionInterval time.Duration `mapstructure:"collection_interval"`
	// Window is the time over which ratios are taken, in Prometheus' notation (30d).
	Window model.Duration `mapstructure:"window"`

	// Keys that are known and not built yet: set, they are refused.
	TrustedUserHeader string `mapstructure:"trusted_user_header"`
	Webhooks          any    `mapstructure:"webhooks"`
	Suggestions       any    `mapstructure:"suggestions"`

	_ struct{}
}

// defaultEndpoint is where the page is served.
const defaultEndpoint = "localhost:9195"

func createDefaultConfig() component.Config {
	server := confighttp.NewDefaultServerConfig()
	server.NetAddr = confignet.NewDefaultAddrConfig()
	server.NetAddr.Transport = confignet.TransportTypeTCP
	server.NetAddr.Endpoint = defaultEndpoint
	server.ReadTimeout = 10 * time.Second
	server.ReadHeaderTimeout = 5 * time.Second
	server.WriteTimeout = 30 * time.Second
	return &Config{
		Ledger:             component.MustNewID("alert_ledger"),
		HTTP:               server,
		CollectionInterval: time.Minute,
		Window:             model.Duration(30 * 24 * time.Hour),
	}
}

// Validate finds what is wrong without looking at the network.
func (c *Config) Validate() error {
	var errs []error
	if c.CollectionInterval <= 0 {
		errs = append(errs, fmt.Errorf("collection_interval: must be positive (got %s)", c.CollectionInterval))
	}
	if c.Window <= 0 {
		errs = append(errs, fmt.Errorf("window: must be positive, such as 30d (got %s)", c.Window))
	}
	switch loopback, err := isLoopback(c.HTTP.NetAddr.Endpoint); {
	case err != nil:
		errs = append(errs, fmt.Errorf("http.endpoint: %w", err))
	case !loopback && !c.HTTP.Auth.HasValue():
		errs = append(errs, fmt.Errorf("http.endpoint: without http.auth it must be on loopback, such as %s: whoever reaches it can resolve alerts (got %q)",
			defaultEndpoint, c.HTTP.NetAddr.Endpoint))
	}
	for key, set := range map[string]bool{
		"trusted_user_header": c.TrustedUserHeader != "", "webhooks": c.Webhooks != nil, "suggestions": c.Suggestions != nil,
	} {
		if set {
			errs = append(errs, fmt.Errorf("%s: not supported yet by this version: remove it", key))
		}
	}
	return errors.Join(errs...)
}

// isLoopback reports whether an endpoint is on the loopback interface, whatever the system's resolver says.
func isLoopback(endpoint string) (bool, error) {
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return false, fmt.Errorf("must be host:port (got %q)", endpoint)
	}
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback(), nil
}
