package rule

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDocuments(t *testing.T) {
	const rule = "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}}]}]\n"
	tests := []struct {
		name, content string
		want          string // the error; "" where the file is right
		groups        int
	}{
		{name: "nothing", content: ""},
		{name: "a comment", content: "# nothing here yet\n"},
		{name: "null", content: "groups:\n"},
		{name: "markers", content: "---\n" + rule + "---\n...\n", groups: 1},
		{name: "byte order mark", content: "\ufeff" + rule, groups: 1},
		{name: "Windows line ends", content: strings.ReplaceAll("groups:\n- name: g\n  rules: []\n", "\n", "\r\n"), groups: 1},
		{name: "two documents", content: rule + "---\n" + rule, want: "f.yaml:3:1: must hold one YAML document: put each into a file of its own (found a second one)"},
		{name: "not YAML", content: "groups:\n  - name: a\n  rules: [\n", want: "f.yaml:2:1: cannot be read as YAML: did not find expected '-' indicator"},
		{name: "an unclosed list", content: "groups:\n  - name: a\n    rules: [1, 2\n    limit: 1\n", want: "f.yaml:3:1: cannot be read as YAML: did not find expected ',' or ']'"},
		{name: "wrong indentation", content: "groups:\n  - name: a\n    rules: []\n   limit: 1\n", want: "f.yaml:2:1: cannot be read as YAML: did not find expected '-' indicator"},
		{name: "a tab", content: "groups:\n\t- name: a\n", want: "f.yaml:2:1: cannot be read as YAML: found character that cannot start any token"},
		{name: "not text", content: "\x00\x01\x02", want: "f.yaml:1:1: cannot be read as YAML: control characters are not allowed"},
		{name: "not UTF-8", content: "groups: \xff\xfe", want: "f.yaml:1:1: cannot be read as YAML: invalid leading UTF-8 octet"},
		{name: "a list", content: "- name: g\n", want: "f.yaml:1:1: must be a mapping of keys to values (got a list)"},
		{name: "a word", content: "rules", want: `f.yaml:1:1: must be a mapping of keys to values (got "rules")`},
		{name: "unknown anchor", content: "groups: *a\n", want: "f.yaml:1:1: cannot be read as YAML: unknown anchor 'a' referenced"},
		{name: "an alias within itself", content: "groups: &a\n  - *a\n", want: "f.yaml:2:5: must not contain itself (got *a)"},
		{name: "a merge of itself", content: "groups:\n  - &a\n    <<: *a\n", want: "f.yaml:3:9: must not contain itself (got *a)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			groups, err := LoadFile("f.yaml", []byte(tt.content), Defaults{})
			if tt.want != "" {
				require.EqualError(t, err, tt.want)
				return
			}
			require.NoError(t, err)
			assert.Len(t, groups, tt.groups)
		})
	}
}

// TestBombs holds files that cost little to write and could cost much to read. What is bounded is what reading
// allocates, which does not depend on the machine; the time is printed.
func TestBombs(t *testing.T) {
	laughs := func() string {
		var b strings.Builder
		b.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
		for i := 1; i < 12; i++ {
			fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), ", "))
		}
		return b.String()
	}
	rules := func(format string, n int) string {
		var b strings.Builder
		b.WriteString("groups:\n- name: g\n  rules:\n")
		for i := range n {
			fmt.Fprintf(&b, "  - {alert: A%d, metric: m, tiers: {low: {above: 1}}, %s}\n", i, format)
		}
		return b.String()
	}
	tests := []struct{ name, content, want string }{
		{"a billion laughs", laughs(), "aliases must not add more than 50000 values"},
		{"merged laughs", strings.Replace(laughs(), "[x, x, x, x, x, x, x, x, x]", "{x: y}", 1) + "groups: *a11\n", "aliases must not add more than 50000 values"},
		{"too large", strings.Repeat("# no rules here\n", 300_000), "must not be larger than 4194304 bytes: split the file (got 4194305)"},
		{"too many values", "groups: [" + strings.Repeat("1,", 700_000) + "]", "must not hold more than 600000 values"},
		{"many wrong values", "groups: [" + strings.Repeat("1,", 300_000) + "]", "only the first 100 errors are listed"},
		{"many keys", "groups: [{" + strings.Repeat("a: 1,", 150_000) + "}]", "only the first 100 errors are listed"},
		{"deep lists", "groups: " + strings.Repeat("[", 100_000), "exceeded max depth"},
		{"deep indentation", strings.Repeat("- ", 100_000), "exceeded max depth"},
		{"a long scalar", "groups: " + strings.Repeat("x", 4_000_000), "must be a list (got \"" + strings.Repeat("x", 80) + "…\")"},
		{"a long name", rules("owner: "+strings.Repeat("x", 100_000), 1), "must not be longer than 1024 bytes (got 100000)"},
		{"a long condition", rules("where: '"+strings.Repeat("(", 100_000)+"'", 1), "must not be longer than 4096 bytes (got 100000)"},
		{"a long template", rules("annotations: {a: '"+strings.Repeat("{{", 100_000)+"'}", 1), "must not be longer than 16384 bytes (got 200000)"},
		{"a long response", rules("response: "+strings.Repeat("x", 100_000), 1), "must not be longer than 4096 bytes"},
		{"many long expressions", rules(`where: 'IsMatch(metric.name, "[a-f]{1000}[0-9]{1000}[a-f]{1000}[0-9]{1000}[a-f]{1000}")'`, 2_000), "the regular expressions of one file must not take more than 1000000 states"},
		{"an alternative a thousand times", rules(`where: 'IsMatch(metric.name, "(abcdefghij|klmnopqrst|uvwxyz0123|456789abcd|efghijklmn|opqrstuvwx){1000}")'`, 1), "its regular expressions must not repeat that much"},
		{"repeats of repeats", "groups: [{name: g, rules: [{alert: A, expr: 'x{a=~\"((a{100}){100}){100}\"}'}]}]", "invalid repeat count"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			content := []byte(tt.content)
			if tt.name == "too large" {
				content = content[:maxFileSize+1]
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := time.Now()
			_, err := LoadFile("f.yaml", content, Defaults{})
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, tt.want)
			allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%d bytes refused in %s, %d MiB allocated", len(content), took.Round(time.Millisecond), allocated)
			assert.Less(t, allocated, uint64(500), "MiB allocated")
			assert.LessOrEqual(t, len(err.(Errors)), maxErrors)
			assert.Less(t, len(err.Error()), 64<<10)
		})
	}
}
