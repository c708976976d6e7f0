package rule

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestExplored(t *testing.T) {
	for name, tt := range map[string]struct{ rule, want string }{
		"above":              {"metric: m, tiers: {high: {above: 0.9, clear: 0.8, for: 1m}}, explore: 20%", "above 0.72 for 1m clear 0.62"},
		"at least":           {"metric: m, tiers: {high: {at_least: 10}}, explore: 50%", "at_least 5 clear 5"},
		"below":              {"metric: m, tiers: {high: {below: 10, clear: 12}}, explore: 10%", "below 11 clear 13"},
		"at most, negative":  {"metric: m, tiers: {high: {at_most: -10}}, explore: 10%", "at_most -9 clear -9"},
		"above, negative":    {"metric: m, tiers: {high: {above: -10}}, explore: 10%", "above -11 clear -11"},
		"a band":             {"metric: m, tiers: {high: {outside: [0, 10], clear: [2, 8]}}, explore: 20%", "outside [1, 9] clear 3 7"},
		"a band, closed":     {"metric: m, tiers: {high: {outside: [0, 10]}}, explore: 100%", "outside [5, 5] clear 5 5"},
		"a band around zero": {"metric: m, tiers: {high: {outside: [-1, 1]}}, explore: 50%", "outside [-0.5, 0.5] clear -0.5 0.5"},
		"a narrow clear":     {"metric: m, tiers: {high: {outside: [0, 10], clear: [4, 5]}}, explore: 50%", "outside [2.5, 7.5] clear 4.5 4.5"},
		"zero":               {"metric: m, tiers: {high: {above: 0}}, explore: 20%", "above 0 clear 0"},
		"split":              {"expr: m > 10, for: 5m, explore: 20%", "above 8 for 5m clear 8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := one(t, "alert: A, "+tt.rule)
			before, hash := r.Tiers[0], r.Hash()
			silent := r.Explored()
			require.NotNil(t, silent)
			tier := &silent.Tiers[0].Threshold
			said := tier.String() + " clear"
			if tier.Op == Outside || tier.Op == Below || tier.Op == AtMost {
				said += " " + formatFloat(tier.ClearLow)
			}
			if tier.Op == Outside || tier.Op == Above || tier.Op == AtLeast {
				said += " " + formatFloat(tier.ClearHigh)
			}
			assert.Equal(t, tt.want, said)
			assert.True(t, silent.Silent)
			assert.Nil(t, silent.Explored(), "there is one silent track")
			assert.NotEqual(t, hash, silent.Hash())
			assert.Equal(t, before, r.Tiers[0], "a rule is never changed")
			assert.Equal(t, hash, r.Hash())
			assert.False(t, r.Silent)
		})
	}
	assert.Nil(t, one(t, "alert: A, metric: m, tiers: {high: {above: 1}}").Explored())
}

func TestExploreIsRead(t *testing.T) {
	for text, want := range map[string]float64{"20%": 0.2, "100%": 1, "0.5%": 0.005, "' 20 %'": 0.2} {
		assert.InDelta(t, want, one(t, "alert: A, metric: m, tiers: {high: {above: 1}}, explore: "+text).Explore, 1e-12, text)
	}
	for rule, want := range map[string]string{
		"explore: 0%, metric: m, tiers: {high: {above: 1}}":    `(got "0%")`,
		"explore: 101%, metric: m, tiers: {high: {above: 1}}":  `(got "101%")`,
		"explore: -5%, metric: m, tiers: {high: {above: 1}}":   `(got "-5%")`,
		"explore: NaN%, metric: m, tiers: {high: {above: 1}}":  `(got "NaN%")`,
		"explore: 0.2, metric: m, tiers: {high: {above: 1}}":   `(got 0.2)`,
		"explore: , metric: m, tiers: {high: {above: 1}}":      `(got nothing)`,
		"explore: [20%], metric: m, tiers: {high: {above: 1}}": `(got a list)`,
		"explore: 20%, expr: m == 5":                           `groups[0].rules[0].explore: the expression has no threshold that could be moved (== has no side on which more values would meet it): write the signal alone into expr, and thresholds under tiers (got "20%")`,
		"explore: 20%, expr: absent(m)":                        `the expression has no threshold that could be moved (it does not compare anything with a number): write`,
	} {
		_, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{alert: A, "+rule+"}]}]"), Defaults{})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "groups[0].rules[0].explore: ")
	}
	_, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{record: r, expr: m, explore: 20%}]}]"), Defaults{})
	require.EqualError(t, err, "f.yaml:1:49: groups[0].rules[0].explore: not allowed in a recording rule: it has record, expr and labels")
	a, b := one(t, "alert: A, metric: m, tiers: {high: {above: 1}}, explore: 20%"), one(t, "alert: A, metric: m, tiers: {high: {above: 1}}, explore: 21%")
	assert.NotEqual(t, a.Hash(), b.Hash())
}
