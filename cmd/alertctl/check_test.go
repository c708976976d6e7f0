package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	goodRules = `groups:
  - name: vllm
    rules:
      - alert: KVCacheNearlyFull
        metric: vllm:kv_cache_usage_perc
        tiers: {high: {above: 0.9, for: 5m}}
        owner: inference-platform
`
	wornRules = `groups:
  - name: queue
    rules:
      - alert: QueueGrows
        metric: vllm:num_requests_waiting
        tiers: {high: {above: 50, for: 5m}}
`
	badRules = `groups:
  - name: bad
    rules:
      - alert: Typo
        metric: m
        tiers: {high: {above: 0.9, for: -5s}}
        onwer: somebody
`
)

// in writes files into a directory of its own and makes it the working directory.
func in(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(content), 0o600))
	}
}

func alertctl(stdin string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(args, strings.NewReader(stdin), &out, &errs)
	return code, out.String(), errs.String()
}

func TestCheck(t *testing.T) {
	files := map[string]string{
		"good.yaml": goodRules, "worn.yaml": wornRules, "bad.yaml": badRules,
		"copy/good.yaml": goodRules, "empty/notes.txt": "",
	}
	const (
		badErrors = "bad.yaml:6:41: groups[0].rules[0].tiers.high.for: must not be negative (got -5s)\n" +
			"bad.yaml:7:9: groups[0].rules[0].onwer: unknown key: did you mean owner?\n"
		wornWarning = `worn.yaml:4:9: groups[0].rules[0]: warning: nobody owns this rule: its alerts go to "unowned"; add owner` + "\n"
	)
	tests := []struct {
		name           string
		stdin          string
		args           []string
		code           int
		stdout, stderr string
	}{
		{name: "good", args: []string{"good.yaml"}, stdout: "1 file, 1 rule: 0 errors, 0 warnings\n"},
		{name: "good and strict", args: []string{"--strict", "good.yaml"}, stdout: "1 file, 1 rule: 0 errors, 0 warnings\n"},
		{name: "warning", args: []string{"worn.yaml"}, stdout: "1 file, 1 rule: 0 errors, 1 warning\n", stderr: wornWarning},
		{name: "warning and strict", args: []string{"worn.yaml", "--strict"}, code: 3, stdout: "1 file, 1 rule: 0 errors, 1 warning\n", stderr: wornWarning},
		{name: "owner given", args: []string{"worn.yaml", "--default-owner", "everyone"}, stdout: "1 file, 1 rule: 0 errors, 1 warning\n", stderr: strings.Replace(wornWarning, "unowned", "everyone", 1)},
		{name: "bad", args: []string{"bad.yaml"}, code: 1, stdout: "1 file, 0 rules: 2 errors, 0 warnings\n", stderr: badErrors},
		{name: "bad among others", args: []string{"*.yaml", "--strict"}, code: 1, stdout: "3 files, 2 rules: 2 errors, 1 warning\n", stderr: badErrors + wornWarning},
		{name: "the same twice", args: []string{"good.yaml", "g*.yaml"}, stdout: "1 file, 1 rule: 0 errors, 0 warnings\n"},
		{
			name: "a copy", args: []string{"good.yaml", "copy/*.yaml"}, code: 1, stdout: "2 files, 2 rules: 1 error, 0 warnings\n",
			stderr: `copy/good.yaml:4:9: groups[0].rules[0].alert: its group, name and labels are those of the rule at good.yaml:4:9, so that their alerts could not be told apart: give one of them another name or a label (got "KVCacheNearlyFull" in group "vllm")` + "\n",
		},
		{name: "missing", args: []string{"none.yaml"}, code: 1, stdout: "0 files, 0 rules: 1 error, 0 warnings\n", stderr: "no file matches \"none.yaml\": correct the pattern or create the file\n"},
		{name: "a directory", args: []string{"empty"}, code: 1, stdout: "0 files, 0 rules: 1 error, 0 warnings\n", stderr: "no file matches \"empty\": correct the pattern or create the file\n"},
		{name: "standard input", stdin: goodRules, args: []string{"-"}, stdout: "1 file, 1 rule: 0 errors, 0 warnings\n"},
		{name: "standard input twice", stdin: goodRules, args: []string{"-", "-"}, stdout: "1 file, 1 rule: 0 errors, 0 warnings\n"},
		{name: "bad standard input", stdin: badRules, args: []string{"-"}, code: 1, stdout: "1 file, 0 rules: 2 errors, 0 warnings\n", stderr: strings.ReplaceAll(badErrors, "bad.yaml", "<stdin>")},
		{name: "no file", code: 2, stderr: "alertctl: requires at least 1 arg(s), only received 0\nSee 'alertctl --help'.\n"},
		{name: "unknown flag", args: []string{"--fix", "good.yaml"}, code: 2, stderr: "alertctl: unknown flag: --fix\nSee 'alertctl --help'.\n"},
		{name: "unknown output", args: []string{"--output", "xml", "bad.yaml"}, code: 2, stderr: "alertctl: --output must be text or json (got \"xml\")\nSee 'alertctl --help'.\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in(t, files)
			code, stdout, stderr := alertctl(tt.stdin, append([]string{"check"}, tt.args...)...)
			assert.Equal(t, tt.stdout, stdout)
			assert.Equal(t, tt.stderr, stderr)
			assert.Equal(t, tt.code, code)
		})
	}
}

func TestCheckJSON(t *testing.T) {
	in(t, map[string]string{"a.yaml": badRules, "b.yaml": wornRules})
	code, stdout, stderr := alertctl("", "check", "-o", "json", "*.yaml", "none.yaml")
	assert.Equal(t, 1, code)
	assert.Empty(t, stderr)
	assert.JSONEq(t, `{
		"files": ["a.yaml", "b.yaml"],
		"rules": 1,
		"errors": [
			{"message": "no file matches \"none.yaml\": correct the pattern or create the file", "severity": "error"},
			{"file": "a.yaml", "line": 6, "column": 41, "path": "groups[0].rules[0].tiers.high.for", "message": "must not be negative (got -5s)", "severity": "error"},
			{"file": "a.yaml", "line": 7, "column": 9, "path": "groups[0].rules[0].onwer", "message": "unknown key: did you mean owner?", "severity": "error"}
		],
		"warnings": [
			{"file": "b.yaml", "line": 4, "column": 9, "path": "groups[0].rules[0]", "message": "nobody owns this rule: its alerts go to \"unowned\"; add owner", "severity": "warning"}
		]
	}`, stdout)

	in(t, map[string]string{"a.yaml": goodRules})
	code, stdout, _ = alertctl("", "check", "--output=json", "a.yaml")
	assert.Equal(t, 0, code)
	assert.JSONEq(t, `{"files": ["a.yaml"], "rules": 1, "errors": [], "warnings": []}`, stdout, "lists are never null")
}

// TestTheExampleInTheHelp takes the rule file out of the help and checks it: what teaches must be right.
func TestTheExampleInTheHelp(t *testing.T) {
	code, help, _ := alertctl("", "--help")
	require.Equal(t, 0, code)
	_, example, found := strings.Cut(help, "\n  groups:\n")
	require.True(t, found, help)
	example, _, found = strings.Cut(example, "\n\nUsage:")
	require.True(t, found, help)
	code, stdout, stderr := alertctl("  groups:\n"+example+"\n", "check", "--strict", "-")
	assert.Equal(t, 0, code)
	assert.Equal(t, "1 file, 1 rule: 0 errors, 0 warnings\n", stdout)
	assert.Empty(t, stderr)
}

func TestUsage(t *testing.T) {
	code, stdout, stderr := alertctl("")
	assert.Equal(t, 0, code)
	assert.Contains(t, stdout, "alertctl check rules.yaml")
	assert.Empty(t, stderr)

	code, _, stderr = alertctl("", "chek")
	assert.Equal(t, 2, code)
	assert.Contains(t, stderr, `unknown command "chek" for "alertctl"`)

	code, stdout, _ = alertctl("", "check", "--help")
	assert.Equal(t, 0, code)
	for _, said := range []string{"Exit codes: 0", "--strict", "--output", "Examples:", "jq"} {
		assert.Contains(t, stdout, said)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, stdout, _ := alertctl("", "completion", shell)
		assert.Equal(t, 0, code, shell)
		assert.Contains(t, stdout, "alertctl", shell)
	}
	_, stdout, _ := alertctl("", "__complete", "check", "--output", "")
	assert.Contains(t, stdout, "text\njson\n")
	_, stdout, _ = alertctl("", "__complete", "check", "")
	assert.Contains(t, stdout, "yaml\nyml\n")
}

// TestTheExampleInTheReadme runs what the README shows.
func TestTheExampleInTheReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(readme), "    $ alertctl check '*.yaml'\n")
	require.True(t, found)
	example, _, _ = strings.Cut(example, "\n\n")
	in(t, map[string]string{"good.yaml": goodRules, "worn.yaml": wornRules, "bad.yaml": badRules})
	_, stdout, stderr := alertctl("", "check", "*.yaml")
	assert.Equal(t, strings.TrimSpace(strings.ReplaceAll(example, "    ", "")), strings.TrimSpace(stderr+stdout))
}

// TestReportGoesAway is a reader that closes its end, as `head` does.
func TestReportGoesAway(t *testing.T) {
	in(t, map[string]string{"a.yaml": goodRules})
	for _, output := range outputs {
		assert.Equal(t, exitErrors, run([]string{"check", "-o", output, "a.yaml"}, strings.NewReader(""), closed{}, &bytes.Buffer{}), output)
	}
	var decoded report
	_, stdout, _ := alertctl("", "check", "-o", "json", "a.yaml")
	require.NoError(t, json.Unmarshal([]byte(stdout), &decoded))
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, os.ErrClosed }
