package thresholdprocessor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/otlptranslator"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Config is the processor's configuration.
type Config struct {
	// RuleFiles are globs of rule files; re-read within 5 s of a change.
	RuleFiles []string `mapstructure:"rule_files"`
	// Groups are rules in the configuration itself, in the schema of a rule file.
	Groups []any `mapstructure:"groups"`
	// Storage keeps what fires over a restart.
	Storage *component.ID `mapstructure:"storage"`
	// TagDataPoints says which breaching points get attributes: none, gauge or all.
	TagDataPoints evaluate.Tagging `mapstructure:"tag_data_points"`

	DefaultOwner    string                    `mapstructure:"default_owner"`
	DefaultSeverity alert.Severity            `mapstructure:"default_severity"`
	SeverityLabels  map[string]alert.Severity `mapstructure:"severity_labels"`
	ExternalLabels  map[string]string         `mapstructure:"external_labels"`

	// EvaluationInterval and Lookback are for rules in PromQL.
	EvaluationInterval time.Duration `mapstructure:"evaluation_interval"`
	Lookback           time.Duration `mapstructure:"lookback"`
	// ResendInterval is the longest time after which an active alert's state is repeated.
	ResendInterval time.Duration `mapstructure:"resend_interval"`
	// HoldFor is how long a firing alert outlives its data, where its rule does not say.
	HoldFor time.Duration `mapstructure:"hold_for"`
	// NeverMatched is how long a rule may select nothing before it is a problem.
	NeverMatched time.Duration `mapstructure:"never_matched"`
	EmitRecorded bool          `mapstructure:"emit_recorded"`
	Limits       Limits        `mapstructure:"limits"`
	// MaxAge and MaxFuture bound the event times that are judged, before and after the clock.
	MaxAge    time.Duration `mapstructure:"max_age"`
	MaxFuture time.Duration `mapstructure:"max_future"`
	// TranslationStrategy is Prometheus' `otlp.translation_strategy`.
	TranslationStrategy       string   `mapstructure:"translation_strategy"`
	PromoteResourceAttributes []string `mapstructure:"promote_resource_attributes"`

	_ struct{}
}

// Limits bound the series whose state is kept.
type Limits struct {
	Series        int `mapstructure:"series"`
	SeriesPerRule int `mapstructure:"series_per_rule"`

	_ struct{}
}

func createDefaultConfig() component.Config {
	return &Config{
		TagDataPoints:       evaluate.TagGauge,
		DefaultOwner:        "unowned",
		DefaultSeverity:     alert.Medium,
		EvaluationInterval:  time.Minute,
		Lookback:            5 * time.Minute,
		ResendInterval:      time.Minute,
		HoldFor:             time.Hour,
		NeverMatched:        time.Hour,
		Limits:              Limits{Series: 1_000_000, SeriesPerRule: 10_000},
		MaxAge:              time.Hour,
		MaxFuture:           5 * time.Minute,
		TranslationStrategy: string(otlptranslator.UnderscoreEscapingWithSuffixes),
	}
}

var strategies = []string{
	string(otlptranslator.UnderscoreEscapingWithSuffixes), string(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	string(otlptranslator.NoUTF8EscapingWithSuffixes), string(otlptranslator.NoTranslation),
}

// Validate builds the rules with the very functions that the processor uses, so that what is wrong is found at start-up.
func (c *Config) Validate() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, d := range []struct {
		key string
		v   time.Duration
	}{
		{"evaluation_interval", c.EvaluationInterval}, {"lookback", c.Lookback}, {"resend_interval", c.ResendInterval},
		{"hold_for", c.HoldFor}, {"never_matched", c.NeverMatched}, {"max_age", c.MaxAge},
	} {
		if d.v <= 0 {
			add("%s: must be positive (got %s)", d.key, d.v)
		}
	}
	if c.MaxFuture < 0 {
		add("max_future: must not be negative (got %s)", c.MaxFuture)
	}
	if c.Limits.Series <= 0 {
		add("limits.series: must be positive (got %d)", c.Limits.Series)
	}
	if c.Limits.SeriesPerRule <= 0 {
		add("limits.series_per_rule: must be positive (got %d)", c.Limits.SeriesPerRule)
	}
	if tags := []evaluate.Tagging{evaluate.TagNone, evaluate.TagGauge, evaluate.TagAll}; !slices.Contains(tags, c.TagDataPoints) {
		add("tag_data_points: must be none, gauge or all (got %q)", c.TagDataPoints)
	}
	if !slices.Contains(strategies, c.TranslationStrategy) {
		add("translation_strategy: must be one of %v (got %q)", strategies, c.TranslationStrategy)
	}
	if c.DefaultOwner == "" {
		add("default_owner: must not be empty: an alert without owner pages nobody")
	}
	if c.DefaultSeverity == alert.NoSeverity {
		add("default_severity: must be critical, high, medium or low (got nothing)")
	}
	for _, label := range slices.Sorted(maps.Keys(c.SeverityLabels)) {
		if c.SeverityLabels[label] == alert.NoSeverity {
			add("severity_labels.%s: must be critical, high, medium or low (got nothing)", label)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.ExternalLabels)) {
		if !model.UTF8Validation.IsValidLabelName(name) || taken(name) {
			add("external_labels: must have names that a label can have, and that are not set for every alert (got %q)", name)
		}
	}
	promoted := map[string]bool{}
	for i, name := range c.PromoteResourceAttributes {
		if name == "" {
			add("promote_resource_attributes[%d]: must name a resource attribute (got nothing)", i)
		} else if promoted[name] {
			add("promote_resource_attributes[%d]: must be named once (got %q again)", i, name)
		}
		promoted[name] = true
	}
	if len(c.RuleFiles) == 0 && len(c.Groups) == 0 {
		add("rule_files: at least one rule file, or groups in the configuration, must be given")
	} else if set, err := rule.Load(c.RuleFiles, c.inline(), c.defaults()); err != nil {
		errs = append(errs, err)
	} else if len(set.Rules()) == 0 {
		add("rule_files: there is no rule in %v", c.RuleFiles)
	}
	return errors.Join(errs...)
}

// taken reports whether a label is set for every alert.
func taken(name string) bool {
	switch name {
	case model.MetricNameLabel, alert.LabelName, alert.LabelAlertID, alert.LabelEpisodeID:
		return true
	}
	return strings.HasPrefix(name, "alert.")
}

// inline is the configuration's own groups in the form that the rule package takes: nil where there are none.
func (c *Config) inline() any {
	if len(c.Groups) == 0 {
		return nil
	}
	return c.Groups
}

func (c *Config) defaults() rule.Defaults {
	return rule.Defaults{
		DefaultOwner: c.DefaultOwner, DefaultSeverity: c.DefaultSeverity, SeverityLabels: c.SeverityLabels,
		HoldFor: c.HoldFor, EvaluationInterval: c.EvaluationInterval, Lookback: c.Lookback,
	}
}

func (c *Config) options() evaluate.Options {
	return evaluate.Options{
		Tagging: c.TagDataPoints, ExternalLabels: c.ExternalLabels,
		ResendInterval: c.ResendInterval, HoldFor: c.HoldFor, NeverMatched: c.NeverMatched,
		MaxAge: c.MaxAge, MaxFuture: c.MaxFuture,
		SeriesPerRule: c.Limits.SeriesPerRule, Series: c.Limits.Series,
		TranslationStrategy: c.TranslationStrategy, PromoteResourceAttributes: c.PromoteResourceAttributes,
		Lookback: c.Lookback, EvaluationInterval: c.EvaluationInterval, EmitRecorded: c.EmitRecorded,
	}
}
