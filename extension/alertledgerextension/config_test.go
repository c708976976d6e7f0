package alertledgerextension

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"
)

func load(settings map[string]any) (*Config, error) {
	cfg := createDefaultConfig().(*Config)
	if err := confmap.NewFromStringMap(settings).Unmarshal(cfg); err != nil {
		return nil, err
	}
	return cfg, confmap.Validate(cfg)
}

func TestConfig(t *testing.T) {
	day := 24 * time.Hour
	for name, test := range map[string]struct {
		settings map[string]any
		want     Config
	}{
		"defaults":   {nil, Config{Driver: "sqlite", DataSource: "./alerts.db", Retention: model.Duration(90 * day)}},
		"everything": {map[string]any{"driver": "sqlite", "datasource": "/var/lib/a.db", "retention": "1y"}, Config{Driver: "sqlite", DataSource: "/var/lib/a.db", Retention: model.Duration(365 * day)}},
		"combined":   {map[string]any{"retention": "1d12h"}, Config{Driver: "sqlite", DataSource: "./alerts.db", Retention: model.Duration(36 * time.Hour)}},
		"for ever":   {map[string]any{"retention": "0s"}, Config{Driver: "sqlite", DataSource: "./alerts.db"}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, err := load(test.settings)
			require.NoError(t, err)
			assert.Equal(t, &test.want, cfg)

			shown := confmap.New()
			require.NoError(t, shown.Marshal(cfg))
			back, err := load(shown.ToStringMap())
			require.NoError(t, err)
			assert.Equal(t, cfg, back, "what is shown can be read")
		})
	}
}

func TestAConnectionStringIsNeverShown(t *testing.T) {
	for _, source := range []string{"postgres://ledger:secret@db.example.com:5432/alerts?sslmode=verify-full", "host=db user=ledger password=secret"} {
		cfg, err := load(map[string]any{"driver": "postgres", "datasource": source})
		require.NoError(t, err)
		assert.Equal(t, DataSource(source), cfg.DataSource)
		shown := confmap.New()
		require.NoError(t, shown.Marshal(cfg))
		for _, text := range []string{fmt.Sprint(shown.ToStringMap()), fmt.Sprintf("%v", cfg), fmt.Sprintf("%+v", cfg), fmt.Sprintf("%#v", cfg), fmt.Sprint(cfg.DataSource)} {
			assert.NotContains(t, text, "secret")
			assert.Contains(t, text, "[REDACTED]")
		}
	}
}

func TestConfigRefused(t *testing.T) {
	for name, test := range map[string]struct {
		settings map[string]any
		want     string
	}{
		"postgres, nothing": {map[string]any{"driver": "postgres", "datasource": " "}, "datasource: must be a connection string"},
		"postgres, a file":  {map[string]any{"driver": "postgres"}, "datasource: must be a connection string"},
		"postgres, broken":  {map[string]any{"driver": "postgres", "datasource": "postgres://u:secret@h:port/db"}, "it cannot be read, and is not shown"},
		"another driver":    {map[string]any{"driver": "mysql"}, `driver: must be sqlite or postgres (got "mysql")`},
		"no file":           {map[string]any{"datasource": ""}, "datasource: must be the path of a file (got nothing)"},
		"memory":            {map[string]any{"datasource": ":memory:"}, `datasource: must be the path of a file, with no options (got ":memory:")`},
		"too short":         {map[string]any{"retention": "5m"}, "retention: must be at least 1h, or 0s to keep all; a number needs a unit, as in 90d (got 5m)"},
		"no unit":           {map[string]any{"retention": 90}, "retention: must be at least 1h"},
		"no duration":       {map[string]any{"retention": "soon"}, `not a valid duration string: "soon"`},
		"negative":          {map[string]any{"retention": "-90d"}, "retention"},
		"unknown key":       {map[string]any{"retension": "90d"}, "retension"},
		"two at once":       {map[string]any{"driver": "mysql", "retention": "5m"}, "retention: must be at least 1h"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := load(test.settings)
			require.ErrorContains(t, err, test.want)
			assert.NotContains(t, err.Error(), "secret")
		})
	}
}
