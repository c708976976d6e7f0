package escalationexporter

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/otel/attribute"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
)

// read reads one of testdata/config.yaml.
func read(t *testing.T, name string) (*Config, error) {
	t.Helper()
	all, err := confmaptest.LoadConf(filepath.Join("testdata", "config.yaml"))
	require.NoError(t, err)
	conf, err := all.Sub(component.NewIDWithName(typ, name).String())
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig().(*Config)
	return config, conf.Unmarshal(config)
}

func TestDefaults(t *testing.T) {
	config, err := read(t, "")
	require.NoError(t, err)
	require.NoError(t, confmap.Validate(config))
	want := escalate.DefaultSpec()
	want.Owners = map[string]escalate.OwnerSpec{"unowned": {Steps: []escalate.StepSpec{{Receivers: []string{"everyone"}}}}}
	require.Equal(t, want, config.Spec)
	require.Equal(t, component.MustNewID("alert_ledger"), config.Ledger)
	require.Equal(t, time.Second, config.LedgerTimeout)
}

func TestFullConfiguration(t *testing.T) {
	config, err := read(t, "full")
	require.NoError(t, err)
	require.NoError(t, confmap.Validate(config))
	require.Equal(t, "alert_ledger/main", config.Ledger.String())
	require.Equal(t, escalate.PagedSpec{Window: 30 * time.Second, RepeatInterval: 15 * time.Minute}, config.Tiers.Critical, "what is not given keeps its default")
	require.Equal(t, []string{"owner", "alertname", "service"}, config.GroupBy, "a list replaces its default")
	require.Len(t, config.Owners["inference-platform"].Steps, 3)
}

func TestWhatIsNotBuiltYetIsRefused(t *testing.T) {
	config, err := read(t, "later")
	require.NoError(t, err)
	err = confmap.Validate(config)
	require.Error(t, err)
	for _, want := range []string{
		"alertmanagers[0].endpoint: must be an absolute http or https address", "alertmanagers[1].endpoint: must be",
		`actions.rollback.mode: must be recommend or automatic (got "always")`,
		"actions.rollback.max_per_day: must be positive: to have none, set mode: recommend (got 0)",
		`actions.rollback.targets[0].name: must be letters, digits, dots, dashes and underscores: it is part of an address (got "a/b")`,
		"actions.rollback.targets[0].rules: must name the rules that may roll it back",
		"actions.rollback.targets[0].webhook.endpoint: must be an absolute http or https address without a user",
		`actions.rollback.targets[1].webhook.signing_secret: must be base64, such as "whsec_"`,
		`actions.rollback.targets[2].argo_rollouts.rollout: must be the name of a Kubernetes object (got "../x")`,
		"actions.rollback.targets[3]: must have webhook or argo_rollouts, not both",
		`actions.rollback.targets[3].name: must not be given twice (got "c")`,
		`undeliverable_to[0]: no receiver has this name (got "nobody")`,
		`watchdog.receiver: no receiver has this name (got "nobody")`, "watchdog.interval: must be at least 1s (got 10ms)",
		"mute_time_intervals: is Alertmanager's old name of time_intervals: rename it",
		`owners.unowned.alert_budget: must be a number of pages and a time, such as "2 per 12h" (got "two")`,
		"ledger_timeout: must be positive (got 0s)",
		`owners.unowned.steps[0].receivers[0]: no receiver has this name (got "nobody")`,
	} {
		require.ErrorContains(t, err, want)
	}
}

func TestUnknownKeysAreRefused(t *testing.T) {
	for name, want := range map[string]string{
		"unknown_tier": "urgent", "low_window": "window", "typo": "ownners",
	} {
		_, err := read(t, name)
		require.ErrorContains(t, err, "invalid keys: "+want)
	}
	_, err := read(t, "numbered_peer")
	require.ErrorContains(t, err, "alertmanagers[0]: must be an address such as http://alertmanager:9093")
	config, err := read(t, "bad_receiver")
	require.NoError(t, err)
	require.ErrorContains(t, confmap.Validate(config), "receivers[0] (everyone)")
	for name, want := range map[string]string{
		"inhibits_everything": "inhibit_rules[0]: must have source_matchers and target_matchers", "bad_interval": "time_intervals: ",
	} {
		config, err := read(t, name)
		require.NoError(t, err)
		require.ErrorContains(t, confmap.Validate(config), want)
	}
}

// The configuration in the README is one that works, and says what the defaults are.
func TestReadmeConfiguration(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	example, _, found := strings.Cut(rest, "```")
	require.True(t, found)
	retrieved, err := confmap.NewRetrievedFromYAML([]byte(example))
	require.NoError(t, err)
	all, err := retrieved.AsConf()
	require.NoError(t, err)
	conf, err := all.Sub("exporters::escalation")
	require.NoError(t, err)
	config := NewFactory().CreateDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	want := escalate.DefaultSpec()
	want.Owners = config.Owners
	require.Equal(t, want, config.Spec)
}

// However the configuration is shown, nothing of Alertmanager's part is.
func TestSecretsStayHidden(t *testing.T) {
	config, err := read(t, "full")
	require.NoError(t, err)
	require.NoError(t, confmap.Validate(config))
	asJSON, err := json.Marshal(config)
	require.NoError(t, err)
	conf := confmap.New()
	require.NoError(t, conf.Marshal(config))
	for name, shown := range map[string]string{
		"%v": fmt.Sprintf("%v", config), "%+v": fmt.Sprintf("%+v", config), "%#v": fmt.Sprintf("%#v", config),
		"%s": fmt.Sprintf("%v", config), "%+v of the value": fmt.Sprintf("%+v", *config), "JSON": string(asJSON),
		"confmap": fmt.Sprint(conf.ToStringMap()),
	} {
		require.False(t, strings.Contains(shown, "s3cret"), "%s shows %s", name, shown)
		require.Contains(t, shown, "inference-platform", "%s shows the rest", name)
	}
	broken, err := read(t, "bad_receiver")
	require.NoError(t, err)
	require.NotContains(t, confmap.Validate(broken).Error(), "s3cret")
}

func set(pairs ...string) attribute.Set {
	var attributes []attribute.KeyValue
	for i := 0; i < len(pairs); i += 2 {
		attributes = append(attributes, attribute.String(pairs[i], pairs[i+1]))
	}
	return attribute.NewSet(attributes...)
}
