package thresholdprocessor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

func TestDefaults(t *testing.T) {
	assert.Equal(t, &Config{
		TagDataPoints: evaluate.TagGauge, DefaultOwner: "unowned", DefaultSeverity: alert.Medium,
		EvaluationInterval: time.Minute, Lookback: 5 * time.Minute, ResendInterval: time.Minute,
		HoldFor: time.Hour, NeverMatched: time.Hour,
		Limits: Limits{Series: 1_000_000, SeriesPerRule: 10_000},
		MaxAge: time.Hour, MaxFuture: 5 * time.Minute,
		TranslationStrategy: "UnderscoreEscapingWithSuffixes",
	}, NewFactory().CreateDefaultConfig())
	require.NoError(t, kvConfig().Validate())
}

func TestEverythingCanBeSet(t *testing.T) {
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, confmap.NewFromStringMap(map[string]any{
		"rule_files": []any{"a.yaml"}, "groups": kvRule(), "storage": "file_storage/state", "tag_data_points": "all",
		"default_owner": "sre", "default_severity": "high", "severity_labels": map[string]any{"sev0": "critical"},
		"external_labels": map[string]any{"cluster": "eu-1"}, "evaluation_interval": "30s", "lookback": "10m",
		"resend_interval": "2m", "hold_for": "2h", "never_matched": "3h", "emit_recorded": true,
		"limits":  map[string]any{"series": 10, "series_per_rule": 5},
		"max_age": "4h", "max_future": "1m", "translation_strategy": "NoTranslation",
		"promote_resource_attributes": []any{"k8s.cluster.name"},
	}).Unmarshal(cfg))
	storage := cfg.Storage
	require.NotNil(t, storage)
	assert.Equal(t, "file_storage/state", storage.String())
	cfg.Storage = nil
	assert.Equal(t, &Config{
		RuleFiles: []string{"a.yaml"}, Groups: kvRule(), TagDataPoints: evaluate.TagAll,
		DefaultOwner: "sre", DefaultSeverity: alert.High, SeverityLabels: map[string]alert.Severity{"sev0": alert.Critical},
		ExternalLabels: map[string]string{"cluster": "eu-1"}, EvaluationInterval: 30 * time.Second, Lookback: 10 * time.Minute,
		ResendInterval: 2 * time.Minute, HoldFor: 2 * time.Hour, NeverMatched: 3 * time.Hour, EmitRecorded: true,
		Limits: Limits{Series: 10, SeriesPerRule: 5},
		MaxAge: 4 * time.Hour, MaxFuture: time.Minute, TranslationStrategy: "NoTranslation",
		PromoteResourceAttributes: []string{"k8s.cluster.name"},
	}, cfg)
}

func TestUnknownKeysAreRefused(t *testing.T) {
	err := confmap.NewFromStringMap(map[string]any{"rule_file": []any{"a.yaml"}}).Unmarshal(createDefaultConfig())
	require.ErrorContains(t, err, "rule_file")
}

func TestValidate(t *testing.T) {
	const strategies = "[UnderscoreEscapingWithSuffixes UnderscoreEscapingWithoutSuffixes NoUTF8EscapingWithSuffixes NoTranslation]"
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"evaluation_interval": {func(c *Config) { c.EvaluationInterval = 0 }, "evaluation_interval: must be positive (got 0s)"},
		"lookback":            {func(c *Config) { c.Lookback = -time.Second }, "lookback: must be positive (got -1s)"},
		"resend_interval":     {func(c *Config) { c.ResendInterval = 0 }, "resend_interval: must be positive (got 0s)"},
		"hold_for":            {func(c *Config) { c.HoldFor = 0 }, "hold_for: must be positive (got 0s)"},
		"never_matched":       {func(c *Config) { c.NeverMatched = 0 }, "never_matched: must be positive (got 0s)"},
		"max_age":             {func(c *Config) { c.MaxAge = 0 }, "max_age: must be positive (got 0s)"},
		"max_future":          {func(c *Config) { c.MaxFuture = -time.Minute }, "max_future: must not be negative (got -1m0s)"},
		"limits.series":       {func(c *Config) { c.Limits.Series = 0 }, "limits.series: must be positive (got 0)"},
		"limits.series_per_rule": {func(c *Config) { c.Limits.SeriesPerRule = -1 },
			"limits.series_per_rule: must be positive (got -1)"},
		"tag_data_points": {func(c *Config) { c.TagDataPoints = "sum" },
			`tag_data_points: must be none, gauge or all (got "sum")`},
		"translation_strategy": {func(c *Config) { c.TranslationStrategy = "None" },
			"translation_strategy: must be one of " + strategies + ` (got "None")`},
		"default_owner": {func(c *Config) { c.DefaultOwner = "" },
			"default_owner: must not be empty: an alert without owner pages nobody"},
		"default_severity": {func(c *Config) { c.DefaultSeverity = alert.NoSeverity },
			"default_severity: must be critical, high, medium or low (got nothing)"},
		"severity_labels": {func(c *Config) { c.SeverityLabels = map[string]alert.Severity{"sev0": alert.NoSeverity} },
			"severity_labels.sev0: must be critical, high, medium or low (got nothing)"},
		"external_labels, no name": {func(c *Config) { c.ExternalLabels = map[string]string{"": "x"} },
			`external_labels: must have names that a label can have, and that are not set for every alert (got "")`},
		"external_labels, taken name": {func(c *Config) { c.ExternalLabels = map[string]string{"alertname": "x"} },
			`external_labels: must have names that a label can have, and that are not set for every alert (got "alertname")`},
		"promote_resource_attributes, no name": {func(c *Config) { c.PromoteResourceAttributes = []string{"a", ""} },
			"promote_resource_attributes[1]: must name a resource attribute (got nothing)"},
		"promote_resource_attributes, twice": {func(c *Config) { c.PromoteResourceAttributes = []string{"a", "a"} },
			`promote_resource_attributes[1]: must be named once (got "a" again)`},
		"no rules": {func(c *Config) { c.Groups = nil },
			"rule_files: at least one rule file, or groups in the configuration, must be given"},
		"no file": {func(c *Config) { c.RuleFiles = []string{"testdata/none/*.yaml"} },
			`no file matches "testdata/none/*.yaml": correct the pattern or create the file`},
		"a file without rules": {func(c *Config) { c.Groups, c.RuleFiles = nil, []string{"testdata/empty_rules.yaml"} },
			"rule_files: there is no rule in [testdata/empty_rules.yaml]"},
		"an inline rule": {func(c *Config) {
			c.Groups[0].(map[string]any)["rules"].([]any)[0].(map[string]any)["tiers"] = map[string]any{"page": map[string]any{"above": 1}}
		}, `groups[0].rules[0].tiers.page: unknown tier: must be one of critical, high, medium, low (got "page"); did you mean critical?`},
		"two at once": {func(c *Config) { c.HoldFor, c.MaxAge = -1, 0 },
			"hold_for: must be positive (got -1ns)\nmax_age: must be positive (got 0s)"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := kvConfig()
			c.change(cfg)
			assert.EqualError(t, cfg.Validate(), c.want)
		})
	}
}

func TestErrorsOfRuleFilesSayWhere(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", "groups:\n  - name: g\n    rules:\n      - alert: A\n        metric: kv\n        tiers: {high: {above: 0.9, for: -5s}}\n")
	write(t, dir, "b.yaml", "groups:\n  - name: h\n    rules:\n      - alert: B\n        metrics: kv\n")
	cfg := createDefaultConfig().(*Config)
	cfg.RuleFiles = []string{filepath.Join(dir, "*.yaml")}
	err := cfg.Validate()
	require.Error(t, err)
	lines := strings.Split(err.Error(), "\n")
	require.GreaterOrEqual(t, len(lines), 2)
	assert.Equal(t, filepath.Join(dir, "a.yaml")+":6:41: groups[0].rules[0].tiers.high.for: must not be negative (got -5s)", lines[0])
	assert.Contains(t, err.Error(), filepath.Join(dir, "b.yaml")+":5:9: groups[0].rules[0].metrics: ")
}

// write puts a file into dir and returns its path.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
