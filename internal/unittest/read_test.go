package unittest

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

func TestReadSaysWhatIsWrong(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"unknown key", "test: []\n", "t.yaml:1:1: test: unknown key: did you mean tests?"},
		{"a rule file", "groups: []\n", "t.yaml:1:1: groups: unknown key: must be one of rule_files, evaluation_interval, group_eval_order, tests, fuzzy_compare"},
		{"deep unknown key", "tests:\n  - alert_rule_test:\n      - exp_alerts:\n          - exp_label: {a: b}\n",
			"t.yaml:4:13: tests[0].alert_rule_test[0].exp_alerts[0].exp_label: unknown key: did you mean exp_labels?"},
		{"tier", "tests:\n  - alert_rule_test:\n      - exp_alerts:\n          - {exp_tier: page}\n",
			`t.yaml:4:24: tests[0].alert_rule_test[0].exp_alerts[0].exp_tier: must be one of critical, high, medium, low (got "page")`},
		{"state", "tests: [{alert_rule_test: [{exp_alerts: [{exp_state: inactive}]}]}]",
			`t.yaml:1:54: tests[0].alert_rule_test[0].exp_alerts[0].exp_state: must be pending or firing; an alert that is neither is left out (got "inactive")`},
		{"action", "tests: [{alert_rule_test: [{exp_alerts: [{exp_action: [reboot]}]}]}]",
			`t.yaml:1:56: tests[0].alert_rule_test[0].exp_alerts[0].exp_action[0]: must be rollback or manual_intervention (got "reboot")`},
		{"action is a list", "tests: [{alert_rule_test: [{exp_alerts: [{exp_action: rollback}]}]}]",
			`t.yaml:1:55: tests[0].alert_rule_test[0].exp_alerts[0].exp_action: must be a list (got "rollback")`},
		{"interval", "evaluation_interval: 1 minute\n", `t.yaml:1:22: evaluation_interval: must be a duration such as 30s, 5m or 1h30m (got "1 minute")`},
		{"value", "tests: [{promql_expr_test: [{exp_samples: [{value: many}]}]}]", `t.yaml:1:52: tests[0].promql_expr_test[0].exp_samples[0].value: must be a number (got "many")`},
		{"fuzzy", "fuzzy_compare: 1\n", "t.yaml:1:16: fuzzy_compare: must be true or false (got 1)"},
		{"order", "group_eval_order: [a, b, a]\n", `t.yaml:1:26: group_eval_order[2]: stands twice: name each group once (got "a")`},
		{"start", "tests: [{start_timestamp: yesterday}]", `t.yaml:1:27: tests[0].start_timestamp: must be seconds since 1970, or a time such as 2024-01-31T12:00:00Z (got "yesterday")`},
		{"start too early", "tests: [{start_timestamp: -1}]", `t.yaml:1:27: tests[0].start_timestamp: must lie between 1970 and 2262 (got -1)`},
		{"start is no number", "tests: [{start_timestamp: NaN}]", `t.yaml:1:27: tests[0].start_timestamp: must lie between 1970 and 2262 (got "NaN")`},
		{"end too late", "tests:\n  - start_timestamp: 2200-01-01T00:00:00Z\n    promql_expr_test: [{eval_time: 100y}]\n",
			"t.yaml:2:5: tests[0]: start_timestamp and the last eval_time together must lie before 2262 (got 2200-01-01T00:00:00Z and 876000h0m0s)"},
		{"twice", "tests: []\ntests: []\n", "t.yaml:2:1: tests: stands twice: write it once (first in line 1)"},
		{"two documents", "tests: []\n---\ntests: []\n", "t.yaml:3:1: must hold one YAML document: put each into a file of its own (found a second one)"},
		{"no YAML", "tests: [", "t.yaml:2:1: cannot be read as YAML: did not find expected node content"},
		{"all of it", "fuzzy_compare: 1\ntests: {}\n", "t.yaml:1:16: fuzzy_compare: must be true or false (got 1)\nt.yaml:2:8: tests: must be a list (got a mapping)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Read("t.yaml", []byte(tt.file))
			require.Error(t, err)
			assert.Equal(t, tt.want, err.Error())
		})
	}
}

func TestReadDefaults(t *testing.T) {
	f, err := Read("t.yaml", []byte("evaluation_interval: 30s\ntests: [null, {interval: 0s, start_timestamp: '1.5'}, {name: n, interval: 5s, alert_rule_test: [{exp_alerts: [{}]}]}]"))
	require.NoError(t, err)
	require.Len(t, f.Tests, 3)
	assert.Equal(t, "unnamed#0", f.Tests[0].Title)
	assert.Equal(t, time.Unix(0, 0).UTC(), f.Tests[0].Start)
	assert.Equal(t, 30*time.Second, f.Tests[1].Interval)
	assert.Equal(t, time.UnixMilli(1500).UTC(), f.Tests[1].Start)
	assert.Equal(t, "n", f.Tests[2].Title)
	assert.Equal(t, 5*time.Second, f.Tests[2].Interval)
	assert.Equal(t, alert.Firing, f.Tests[2].Alerts[0].Expected[0].State)

	f, err = Read("t.yaml", nil)
	require.NoError(t, err)
	assert.Equal(t, time.Minute, f.EvaluationInterval)
}

func TestSeriesThatCannotBeRead(t *testing.T) {
	tests := []struct{ series, want string }{
		{`{series: 'up{', values: 1}`, "the series cannot be read: 1:5: parse error: unexpected character inside braces: '1'"},
		{`{series: up, values: 1x5000001}`, "the series cannot be read: must not stand for more than 5000000 values (got x5000001)"},
		{`{series: up, values: "1+1x99999999999999999999999"}`, "the series cannot be read: must not stand for more than 5000000 values (got x99999999999999999999999)"},
		{`{series: up, values: "1\n2"}`, "the series cannot be read: name and values must stand on one line each; in YAML, > joins lines and | keeps them apart"},
		{`{values: 1}`, `the series cannot be read: it has no name: write series: name{label="value"}`},
	}
	for _, tt := range tests {
		f, err := Read("t.yaml", []byte("tests: [{input_series: ["+tt.series+"]}]"))
		require.NoError(t, err)
		failures, _ := f.run(context.Background(), f.Tests[0], nil, Options{}, &Result{})
		require.Len(t, failures, 1)
		assert.Equal(t, "t.yaml:1:25: tests[0].input_series[0]: "+tt.want, failures[0].Error())
	}
}

func TestRunSelects(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte("tests: [{name: one}, {name: two, input_series: [{series: '}', values: 1}]}, {}]"), 0o600))
	r := Run(context.Background(), file, Options{Run: regexp.MustCompile("on")})
	assert.False(t, r.Failed(), "the broken test was not asked for")
	assert.Len(t, r.Tests, 1)
	assert.Equal(t, 2, r.Skipped)
	assert.True(t, Run(context.Background(), file, Options{}).Failed())

	r = Run(context.Background(), file+".none", Options{})
	assert.True(t, r.Failed())
	assert.ErrorContains(t, r.Err, "t.yaml.none: no such file")
}

func TestUnknownKeysOfRuleFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "t.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte("groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1}}, runbook: x}]}]"), 0o600))
	require.NoError(t, os.WriteFile(file, []byte("rule_files: [r.yaml]\ntests: [{}, {}]"), 0o600))
	r := Run(context.Background(), file, Options{})
	require.Len(t, r.Tests, 2)
	assert.Contains(t, r.Tests[0].Failures[0].Error(), "r.yaml:1:77: groups[0].rules[0].runbook: unknown key")
	assert.Contains(t, r.Tests[1].Failures[0].Error(), "t.yaml:2:13: tests[1]: its rule files cannot be read: see the test before")
	assert.False(t, Run(context.Background(), file, Options{IgnoreUnknownKeys: true}).Failed())
}

func TestStops(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte("evaluation_interval: 1ms\ntests: [{promql_expr_test: [{expr: '1', eval_time: 100y}]}, {}]"), 0o600))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	r := Run(ctx, file, Options{})
	require.Len(t, r.Tests, 1)
	assert.Contains(t, r.Tests[0].Failures[0].Msg, "context deadline exceeded")
}

func TestDump(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t.yaml")
	require.NoError(t, os.WriteFile(file, []byte("tests: [{input_series: [{series: 'm{a=\"1\"}', values: 1 2 3}], promql_expr_test: [{expr: m, eval_time: 1m, exp_samples: [{labels: 'm{a=\"1\"}', value: 2}]}]}]"), 0o600))
	r := Run(context.Background(), file, Options{Dump: true})
	assert.False(t, r.Failed())
	assert.Equal(t, "m{a=\"1\"} =>\n1 @[0]\n2 @[60000]", strings.ReplaceAll(r.Tests[0].Dump, "{__name__=\"m\", ", "m{"))
}

func FuzzRead(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(f, err)
	for _, seed := range seeds {
		content, err := os.ReadFile(seed)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte("tests: [{input_series: [{series: 'm', values: '{{schema:1 buckets:[1 2]}}x3'}], start_timestamp: 1e9}]"))
	f.Fuzz(func(t *testing.T, content []byte) {
		file, err := Read("t.yaml", content)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				assert.True(t, strings.HasPrefix(line, "t.yaml:"), "an error without its place: %s", line)
				break // messages may go over several lines
			}
			return
		}
		again, err := Read("t.yaml", content)
		require.NoError(t, err)
		assert.Equal(t, len(file.Tests), len(again.Tests))
		for _, test := range file.Tests {
			assert.NotEmpty(t, test.Title)
			assert.Positive(t, test.Interval)
			assert.False(t, test.Start.Add(test.last()).After(latest))
			assert.Positive(t, test.Position.Line)
		}
	})
}
