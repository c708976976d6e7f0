package alertledgerextension

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// Config says which database holds the ledger, and for how long it remembers.
type Config struct {
	// Driver is the kind of database: sqlite or postgres.
	Driver string `mapstructure:"driver"`
	// DataSource is the database's file, whose directory must exist, or a connection string.
	DataSource DataSource `mapstructure:"datasource"`
	// Retention is how long an episode is kept after its end, in Prometheus' notation (90d, 12w, 1y); 0s keeps all.
	Retention model.Duration `mapstructure:"retention"`

	_ struct{}
}

var (
	_ component.Config  = (*Config)(nil)
	_ confmap.Validator = (*Config)(nil)
)

// shortestRetention leaves people time to judge what has ended.
const shortestRetention = time.Hour

func createDefaultConfig() component.Config {
	return &Config{
		Driver:     string(sqlstore.SQLite),
		DataSource: "./alerts.db",
		Retention:  model.Duration(90 * 24 * time.Hour),
	}
}

// Validate checks the configuration without touching the disk.
func (c *Config) Validate() error {
	var errs []error
	if d := sqlstore.Driver(c.Driver); d != sqlstore.SQLite && d != sqlstore.Postgres {
		errs = append(errs, fmt.Errorf("driver: must be %s or %s (got %q)", sqlstore.SQLite, sqlstore.Postgres, c.Driver))
	} else if err := c.options().Validate(); err != nil {
		errs = append(errs, fmt.Errorf("datasource: %w", err))
	}
	if r := time.Duration(c.Retention); r < 0 || 0 < r && r < shortestRetention {
		errs = append(errs, fmt.Errorf("retention: must be at least %s, or 0s to keep all; a number needs a unit, as in 90d (got %s)",
			model.Duration(shortestRetention), c.Retention))
	}
	return errors.Join(errs...)
}

func (c *Config) options() sqlstore.Options {
	// Several Collectors may use a server, whose clocks differ.
	return sqlstore.Options{Driver: sqlstore.Driver(c.Driver), DataSource: string(c.DataSource), ServerClock: true}
}

// DataSource is a path or a connection string. A connection string may hold a password, and is never shown.
type DataSource string

const hidden = "[REDACTED]"

// String hides a connection string.
func (d DataSource) String() string {
	if strings.Contains(string(d), "://") || strings.Contains(string(d), "=") {
		return hidden
	}
	return string(d)
}

// GoString is what %#v prints.
func (d DataSource) GoString() string { return strconv.Quote(d.String()) }

// MarshalText is what is shown of the configuration.
func (d DataSource) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
