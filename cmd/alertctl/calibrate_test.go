package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tuned = `groups:
  - name: vllm
    rules:
      - alert: Full
        metric: kv   # a fraction
        tiers:
          critical: {above: 0.98, clear: 0.95}
          high: {above: 0.90}
      - alert: Drift
        metric: psi
        tiers: {high: {outside: [0.1, 0.9]}}
`

func TestCalibrate(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.yaml"), filepath.Join(dir, "two.yaml")
	put := func() {
		require.NoError(t, os.WriteFile(one, []byte(tuned), 0o640))
		require.NoError(t, os.WriteFile(two, []byte("groups: [{name: other, rules: [{alert: Slow, expr: ms > 5}]}]\n"), 0o600))
	}
	call := func(answer string, args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = run(append([]string{"calibrate"}, args...), strings.NewReader(answer), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}
	content := func(path string) string {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(b)
	}
	glob := filepath.Join(dir, "*.yaml")
	difference := "--- " + one + "\n+++ " + one + "\n@@ -7 +7 @@\n-          critical: {above: 0.98, clear: 0.95}\n+          critical: {above: 0.97, clear: 0.94}\n"

	put()
	code, out, _ := call("", "--set", "Full/critical=0.97", glob)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, difference+"nothing is written without --write\n", out)
	assert.Equal(t, tuned, content(one))

	code, out, errs := call("n\n", "--set", "Full/critical=0.97", "--write", glob)
	assert.Equal(t, exitErrors, code)
	assert.Equal(t, difference+"write this file? [y/N] ", out)
	assert.Equal(t, "alertctl: nothing was written\n", errs)
	assert.Equal(t, tuned, content(one))

	code, out, _ = call("y\n", "--set", "Full/critical=0.97", "--set", "Drift/high:low=0.05", "--set", "Slow=7", "--write", glob)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, "write these 2 files? [y/N] ")
	assert.Equal(t, strings.NewReplacer("0.98, clear: 0.95", "0.97, clear: 0.94", "[0.1,", "[0.05,").Replace(tuned), content(one))
	assert.Contains(t, content(two), "expr: ms > 7}")
	info, err := os.Stat(one)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	assert.Empty(t, left)

	code, out, _ = call("", "--set", "Full/critical=0.97", "--write", glob)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "nothing to change: the thresholds are what they should be\n", out)

	put()
	link := filepath.Join(t.TempDir(), "linked.yaml")
	require.NoError(t, os.Symlink(one, link))
	code, _, _ = call("", "--set", "Full/high=0.91", "--write", "--yes", link)
	assert.Equal(t, exitOK, code)
	assert.Contains(t, content(one), "high: {above: 0.91}")
	at, err := os.Lstat(link)
	require.NoError(t, err)
	assert.NotZero(t, at.Mode()&os.ModeSymlink, "what a link leads to is written, and the link stays")

	put()
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{exitErrors, "may be several thresholds", []string{"--set", "Full=0.97", glob}},
		{exitErrors, "none of the 2 files has an alert Nobody", []string{"--set", "Nobody=0.97", glob}},
		{exitErrors, "the file would be refused", []string{"--set", "Full/high=0.99", glob}},
		{exitErrors, "no file matches", []string{"--set", "Full/high=0.99", filepath.Join(dir, "*.yml")}},
		{exitErrors, "name one file", []string{"--set", "Full/high=0.91", one, filepath.Join(dir, "twin.yaml")}},
		{exitUsage, "say whom to ask with --from URL, or what to move with --set", []string{glob}},
		{exitUsage, "expected RULE=NUMBER", []string{"--set", "Full", glob}},
		{exitUsage, "a threshold must be a number", []string{"--set", "Full=much", glob}},
		{exitUsage, "the bounds low and high", []string{"--set", "Drift/high:left=3", glob}},
		{exitUsage, "requires at least 1 arg", []string{"--set", "Full=1"}},
	} {
		if c.want == "name one file" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "twin.yaml"), []byte(tuned), 0o600))
		}
		code, _, errs := call("", c.args...)
		assert.Equal(t, c.code, code, c.want)
		assert.Contains(t, errs, c.want)
		assert.Equal(t, tuned, content(one))
	}
}
