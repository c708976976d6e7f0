package rule

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestDocumentation holds docs/rules.md against what it is about.
func TestDocumentation(t *testing.T) {
	content, err := os.ReadFile("../../docs/rules.md")
	require.NoError(t, err)
	text := string(content)

	_, file, _ := strings.Cut(text, "```yaml\n")
	file, _, _ = strings.Cut(file, "```")
	groups, err := LoadFile("rules.md", []byte(file), Defaults{})
	require.NoError(t, err)
	set, err := Combine(groups)
	require.NoError(t, err)
	assert.Empty(t, set.Warnings(), "what teaches must be right")
	for _, key := range append(append(ruleKeys, groupKeys...), thresholdKeys...) {
		assert.Contains(t, text, key)
	}

	// Rows of the first table about expressions: expressions, signals, threshold.
	split := regexp.MustCompile("(?m)^\\| (`.*`) \\| (`.*`) \\| ([a-z_]+ [0-9.]+)[^|]* \\|$").FindAllStringSubmatch(text, -1)
	require.Len(t, split, 5)
	for _, row := range split {
		signals := code(row[2])
		for i, expr := range code(row[1]) {
			r := plain(t, expr)
			require.True(t, r.Query.Split, expr)
			assert.Equal(t, signals[min(i, len(signals)-1)], r.Query.Signal)
			assert.Equal(t, row[3], r.Tiers[0].bare())
		}
	}
	_, unsplit, _ := strings.Cut(text, "marked with the reason:")
	unsplit, _, _ = strings.Cut(unsplit, "Expressions without a comparison")
	marked := 0
	for _, line := range strings.Split(unsplit, "\n") {
		for _, expr := range code(strings.Split(line+"||", "|")[1]) {
			assert.NotEmpty(t, plain(t, expr).Query.Unsplit, expr)
			marked++
		}
	}
	assert.Equal(t, 10, marked)

	// Rows of the table of warnings: an expression, what is said about it, the remedy.
	warned := regexp.MustCompile("(?m)^\\| `([^`]*)`: ([^|]*) \\| ").FindAllStringSubmatch(text, -1)
	require.Len(t, warned, 14)
	for _, row := range warned {
		said := strings.Join(remarks(t, "alert: A, expr: '"+row[1]+"'"), "\n")
		for _, part := range strings.Split(row[2], "…") {
			assert.Contains(t, said, strings.TrimSpace(strings.Trim(part, ",: ")), row[1])
		}
	}
}

// code are the pieces in back quotes.
func code(s string) []string {
	var all []string
	for i, part := range strings.Split(s, "`") {
		if i%2 == 1 {
			all = append(all, part)
		}
	}
	return all
}
