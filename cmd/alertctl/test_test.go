package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	rulesTest = `rule_files: [good.yaml]
tests:
  - name: full
    input_series:
      - {series: 'vllm:kv_cache_usage_perc{instance="gpu-1"}', values: 0.95x10}
    alert_rule_test:
      - eval_time: 6m
        alertname: KVCacheNearlyFull
        exp_alerts: [{exp_labels: {instance: gpu-1}, exp_tier: high, exp_owner: inference-platform}]
  - name: not so full
    input_series:
      - {series: 'vllm:kv_cache_usage_perc{instance="gpu-1"}', values: 0.85x10}
    alert_rule_test:
      - {eval_time: 6m, alertname: KVCacheNearlyFull, exp_alerts: []}
`
	failingTest = `rule_files: [good.yaml, none*.yaml]
tests:
  - name: too early
    input_series:
      - {series: 'vllm:kv_cache_usage_perc{instance="gpu-1"}', values: 0.95x10}
    alert_rule_test:
      - eval_time: 4m
        alertname: KVCacheNearlyFull
        exp_alerts: [{exp_labels: {instance: gpu-1}}]
`
	brokenTest = "rule_file: [good.yaml]\n"
)

func TestTest(t *testing.T) {
	files := map[string]string{
		"good.yaml": goodRules, "tests/empty.yaml": "", "full.test.yaml": rulesTest, "early.test.yaml": failingTest, "broken.test.yaml": brokenTest,
		"annotated.yaml":      "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1}}, runbook: x}]}]",
		"annotated.test.yaml": "rule_files: [annotated.yaml]\ntests: [{name: a}]\n",
	}
	const (
		fullOut  = "full.test.yaml\n  ok    full\n  ok    not so full\n"
		earlyOut = "early.test.yaml\n  FAIL  too early\n" +
			"        early.test.yaml:7:9: tests[0].alert_rule_test[0]: KVCacheNearlyFull at 4m: expected 1 alert, got no alert (1 more pending)\n" +
			"        - missing:    {alertname=\"KVCacheNearlyFull\", instance=\"gpu-1\"}\n"
		earlyErr  = "early.test.yaml:1:25: rule_files[1]: warning: no file matches, so there are no rules from here (got \"none*.yaml\")\n"
		brokenErr = "broken.test.yaml:1:1: rule_file: unknown key: did you mean rule_files?\n"
	)
	tests := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string
	}{
		{name: "good", args: []string{"full.test.yaml"}, stdout: fullOut + "1 file, 2 tests: 0 failed\n"},
		{name: "one of them", args: []string{"--run", "^full", "full.test.yaml"}, stdout: "full.test.yaml\n  ok    full\n1 file, 1 test: 0 failed, 1 not selected\n"},
		{name: "several of them", args: []string{"--run", "^full", "--run", "not", "full.test.yaml"}, stdout: fullOut + "1 file, 2 tests: 0 failed\n"},
		{name: "failing", args: []string{"early.test.yaml"}, code: 1, stdout: earlyOut + "1 file, 1 test: 1 failed\n", stderr: earlyErr},
		{name: "failing, not selected", args: []string{"--run", "late", "early.test.yaml"}, stdout: "early.test.yaml\n1 file, 0 tests: 0 failed, 1 not selected\n", stderr: earlyErr},
		{name: "broken", args: []string{"broken.test.yaml"}, code: 1, stdout: "1 file, 0 tests: 0 failed, 1 file cannot be read\n", stderr: brokenErr},
		{name: "all", args: []string{"[bef]*.test.yaml"}, code: 1, stdout: earlyOut + fullOut + "3 files, 3 tests: 1 failed, 1 file cannot be read\n", stderr: brokenErr + earlyErr},
		{name: "empty", args: []string{"tests/empty.yaml"}, stdout: "tests/empty.yaml\n1 file, 0 tests: 0 failed\n"},
		{name: "missing", args: []string{"none.yaml", "full.test.yaml"}, code: 1, stdout: fullOut + "1 file, 2 tests: 0 failed\n", stderr: "no file matches \"none.yaml\": correct the pattern or create the file\n"},
		{
			name: "unknown key", args: []string{"annotated.test.yaml"}, code: 1,
			stdout: "annotated.test.yaml\n  FAIL  a\n        annotated.yaml:1:77: groups[0].rules[0].runbook: unknown key: must be one of record, alert, metric, where, expr, tiers, for, keep_firing_for, no_data, warm_up, owner, response, labels, annotations, rollback, manual_intervention, explore\n1 file, 1 test: 1 failed\n",
		},
		{name: "unknown key ignored", args: []string{"--ignore-unknown-fields", "annotated.test.yaml"}, stdout: "annotated.test.yaml\n  ok    a\n1 file, 1 test: 0 failed\n"},
		{name: "no file", code: 2, stderr: "alertctl: requires at least 1 arg(s), only received 0\nSee 'alertctl --help'.\n"},
		{name: "bad expression", args: []string{"--run", "(", "full.test.yaml"}, code: 2, stderr: "alertctl: --run must be a regular expression: error parsing regexp: missing closing ): `(`\nSee 'alertctl --help'.\n"},
		{name: "junit nowhere", args: []string{"--junit", "no/where.xml", "full.test.yaml"}, code: 1, stdout: fullOut + "1 file, 2 tests: 0 failed\n", stderr: "the results cannot be written: open no/where.xml: no such file or directory\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in(t, files)
			code, stdout, stderr := alertctl("", append([]string{"test"}, tt.args...)...)
			assert.Equal(t, tt.stdout, stdout)
			assert.Equal(t, tt.stderr, stderr)
			assert.Equal(t, tt.code, code)
		})
	}
}

func TestTestDebug(t *testing.T) {
	in(t, map[string]string{"good.yaml": goodRules, "full.test.yaml": rulesTest})
	code, _, stderr := alertctl("", "test", "--debug", "--run", "^full", "full.test.yaml")
	assert.Equal(t, 0, code)
	assert.Equal(t, `full.test.yaml: every sample of "full":
  {__name__="vllm:kv_cache_usage_perc", instance="gpu-1"} =>
  0.95 @[0]
  0.95 @[60000]
  0.95 @[120000]
  0.95 @[180000]
  0.95 @[240000]
  0.95 @[300000]
  0.95 @[360000]
`, stderr)
}

// TestTheExampleInTheTestHelp runs the test that the help of `test` shows on the rule that the help of the command shows.
func TestTheExampleInTheTestHelp(t *testing.T) {
	_, help, _ := alertctl("", "--help")
	rules := between(t, help, "\n  groups:\n", "\n\nUsage:")
	_, help, _ = alertctl("", "test", "--help")
	tests := between(t, help, "\n  rule_files: [rules.yaml]", "\n\nA series whose")
	in(t, map[string]string{"rules.yaml": "  groups:\n" + rules, "test.yaml": "  rule_files: [rules.yaml]" + tests})
	code, stdout, stderr := alertctl("", "test", "test.yaml")
	assert.Equal(t, 0, code)
	assert.Equal(t, "test.yaml\n  ok    the KV cache fills up\n1 file, 1 test: 0 failed\n", stdout)
	assert.Empty(t, stderr)
}

// TestTheExamplesInTheDocumentation runs what docs/testing-rules.md shows.
func TestTheExamplesInTheDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/testing-rules.md")
	require.NoError(t, err)
	files := map[string]string{}
	for _, block := range strings.Split(string(text), "```yaml\n# ")[1:] {
		name, rest, _ := strings.Cut(block, "\n")
		files[name], _, _ = strings.Cut(rest, "```")
	}
	require.Contains(t, files, "vllm.test.yaml")
	in(t, files)
	code, stdout, stderr := alertctl("", "test", "*.test.yaml")
	assert.Equal(t, 0, code, stdout)
	assert.Contains(t, stdout, "0 failed")
	assert.Empty(t, stderr)
	code, stdout, stderr = alertctl("", "check", "vllm.yaml")
	assert.Equal(t, 0, code, stdout+stderr)

	wrong := strings.Replace(files["vllm.test.yaml"], "exp_tier: critical", "exp_tier: high", 1)
	require.NotEqual(t, files["vllm.test.yaml"], wrong)
	require.NoError(t, os.WriteFile("vllm.test.yaml", []byte(wrong), 0o600))
	code, stdout, _ = alertctl("", "test", "vllm.test.yaml")
	assert.Equal(t, 1, code)
	shown := between(t, string(text), "```console\n$ alertctl test vllm.test.yaml\n", "```")
	assert.Equal(t, shown, stdout)
}

func TestTestCompletion(t *testing.T) {
	_, stdout, _ := alertctl("", "__complete", "test", "")
	assert.Contains(t, stdout, "yaml\nyml\n")
	_, stdout, _ = alertctl("", "__complete", "test", "--junit", "")
	assert.Contains(t, stdout, "xml\n")
	_, stdout, _ = alertctl("", "__complete", "te")
	assert.Contains(t, stdout, "test\t")
}

func between(t *testing.T, text, from, to string) string {
	t.Helper()
	_, text, found := strings.Cut(text, from)
	require.True(t, found, from)
	text, _, found = strings.Cut(text, to)
	require.True(t, found, to)
	return text
}
