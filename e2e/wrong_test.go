package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func replace(text, old, new string) string {
	if !strings.Contains(text, old) {
		panic("nothing to replace: " + old)
	}
	return strings.ReplaceAll(text, old, new)
}

// What is wrong is found at start-up, with its place.
func TestWrongConfigurationsAreRefused(t *testing.T) {
	bin := binary(t)
	whole := func(s *settings) string {
		s.sink, s.pager = "http://127.0.0.1:9", "http://127.0.0.1:9"
		return s.whole()
	}
	for name, c := range map[string]struct {
		rules string
		spoil func(config string) string
		want  []string
		// startOnly marks what a configuration by itself does not tell.
		startOnly bool
	}{
		"clear on the wrong side": {
			rules: "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1, clear: 2}}}]}]",
			want:  []string{"rules.yaml:1:", "groups[0].rules[0].tiers.high.clear", "got 2"},
		},
		"unknown key in a rule": {
			rules: "groups: [{name: g, rules: [{alert: A, metrics: m, tiers: {high: {above: 1}}}]}]",
			want:  []string{"rules.yaml:1:", "metrics"},
		},
		"impossible for": {
			rules: "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1, for: -5s}}}]}]",
			want:  []string{"rules.yaml:1:", "groups[0].rules[0].tiers.high.for"},
		},
		"duplicate rule": {
			rules: "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1}}}, {alert: A, metric: m, tiers: {high: {above: 2}}}]}]",
			want:  []string{"rules.yaml:1:", "groups[0].rules[1]"},
		},
		"PromQL that does not parse": {
			rules: "groups: [{name: g, rules: [{alert: A, expr: up ==}]}]",
			want:  []string{"rules.yaml:1:", "groups[0].rules[0].expr", "cannot be read as PromQL"},
		},
		"not YAML": {rules: "groups: [", want: []string{"rules.yaml"}},
		"no such rule file": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "rules.yaml", "no-such.yaml") }, want: []string{"no file matches"},
		},
		"unknown receiver": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "receivers: [lead]", "receivers: [nobody]") },
			want: []string{"owners", "steps[1]", "nobody"},
		},
		"no unowned": {
			rules: kvRule, spoil: func(c string) string { return replace(c, ", unowned: {steps: [{receivers: [oncall]}]}", "") },
			want: []string{"unowned"},
		},
		"a window for a tier that there is not": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "critical: {window: 0s}", "urgent: {window: 0s}") },
			want: []string{"urgent"},
		},
		"negative window": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "medium: {window: 1h}", "medium: {window: -1h}") },
			want: []string{"tiers", "medium", "window"},
		},
		"wrong receiver": {
			rules: kvRule, spoil: func(c string) string {
				return replace(c, "name: lead\n        webhook_configs: [{url:", "name: lead\n        webhook_configs: [{address:")
			},
			want: []string{"receivers[1]", "lead"},
		},
		"a key of the exporter that there is not": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "group_interval: 1s", "group_intervall: 1s") },
			want: []string{"escalation", "group_intervall"},
		},
		"a ledger that there is not": {
			rules: kvRule, spoil: func(c string) string {
				return replace(c, "extensions: [health_check, file_storage, alert_ledger]", "extensions: [health_check, file_storage]")
			},
			want: []string{"alert_ledger"}, startOnly: true,
		},
		"a file for PostgreSQL": {
			rules: kvRule, spoil: func(c string) string { return replace(c, "alert_ledger: {", "alert_ledger: {driver: postgres, ") },
			want: []string{"alert_ledger", "datasource", "must be a connection string"},
		},
		"page open to the world without authentication": {
			rules: kvRule, spoil: func(c string) string {
				return replace(c, "\n    http: {endpoint: 127.0.0.1", "\n    http: {endpoint: 0.0.0.0")
			},
			want: []string{"auth"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSettings(t)
			s.rules = s.write(t, "rules.yaml", c.rules)
			config := whole(s)
			if c.spoil != nil {
				config = c.spoil(config)
			}
			file := filepath.Join(s.dir, "config.yaml")
			require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
			for _, args := range [][]string{{"validate", "--config", file}, {"--config", file}} {
				if c.startOnly && args[0] == "validate" {
					continue
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience) // it runs for ever where nothing is found
				out, err := exec.CommandContext(ctx, bin, args...).CombinedOutput()
				require.NoError(t, ctx.Err(), "the collector started")
				cancel()
				require.Error(t, err, args)
				for _, want := range c.want {
					assert.Contains(t, string(out), want)
				}
			}
		})
	}
}

// A rule file that turns bad later is refused whole, and the rules before it go on.
func TestARuleFileThatTurnsBad(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	c := launch(t, s.dir, s.health, s.whole())
	s.write(t, "rules.yaml", replace(kvRule, "clear: 0.95", "clear: 0.99"))
	eventually(t, "the file is refused", func() bool { return strings.Contains(c.log.String(), "A rule file is refused") })
	assert.Contains(t, c.log.String(), "rules.yaml:7")
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "the old rule fires", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	s.write(t, "rules.yaml", replace(kvRule, "above: 0.98", "above: 0.97"))
	eventually(t, "the mended file is taken", func() bool { return strings.Contains(c.log.String(), "has changed and is in force") })
	assert.Equal(t, 1, strings.Count(c.log.String(), "A rule file is refused"), "said once")
	assert.InDelta(t, 1, s.own(t, "otelcol_processor_threshold_reloads", `result="refused"`), 0, "and counted")
	assert.InDelta(t, 1, s.own(t, "otelcol_processor_threshold_reloads", `result="accepted"`), 0)
}
