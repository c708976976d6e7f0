package rule

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const hashed = `
labels: {a: "1", b: "2"}
where: datapoint.attributes["x"] == 1
owner: o
keep_firing_for: 1m
`

// TestHashIsStable pins the number: it is stored, and a rule whose hash moves loses its state at the next start.
func TestHashIsStable(t *testing.T) {
	assert.Equal(t, uint64(0xecaefa42dd451892), load(t, hashed).Hash())
}

func TestHashIgnores(t *testing.T) {
	want := load(t, hashed).Hash()
	for name, lines := range map[string]string{
		"the order of keys and labels": "keep_firing_for: 60s\nowner: o\nwhere: datapoint.attributes[\"x\"] == 1\nlabels: {b: \"2\", a: \"1\"}",
		"owner":                        hashed + "response: x\n",
		"annotations":                  hashed + "annotations: {a: b}\n",
	} {
		assert.Equal(t, want, load(t, lines).Hash(), name)
	}
	zero, err := loadTiers("{low: {above: 0}}")
	require.NoError(t, err)
	minusZero, err := loadTiers("{low: {above: -0.0}}")
	require.NoError(t, err)
	assert.Equal(t, zero.Hash(), minusZero.Hash(), "no value tells them apart")
	before, err := LoadFile("a.yaml", []byte(ruleFile("g", "A", "B")), Defaults{})
	require.NoError(t, err)
	after, err := LoadFile("b.yaml", []byte("# moved\n"+ruleFile("g", "B", "A")), Defaults{DefaultOwner: "other"})
	require.NoError(t, err)
	assert.Equal(t, before[0].Rules[0].Hash(), after[0].Rules[1].Hash(), "where a rule stands is not what it is")
	assert.Equal(t, before[0].Rules[1].Hash(), after[0].Rules[0].Hash())
}

func TestHashKnows(t *testing.T) {
	base := "groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}}]}]"
	seen := map[uint64]string{}
	for _, content := range []string{
		base,
		"groups: [{name: h, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: B, metric: m, tiers: {low: {above: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: n, tiers: {low: {above: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 2}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {at_least: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {below: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {high: {above: 1}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}, high: {above: 2}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1, for: 1s}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1, clear: 0}}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, where: metric.name == \"m\"}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, warm_up: 1m}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, keep_firing_for: 1m}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, no_data: resolve}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, no_data: {hold_for: 2h}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, no_data: {after: 1m, tier: low}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, no_data: {after: 2m, tier: low}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, no_data: {after: 1m, tier: high}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, labels: {a: b}}]}]",
		"groups: [{name: g, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}, labels: {ab: ''}}]}]",
		"groups: [{name: g, labels: {a: c}, rules: [{alert: A, metric: m, tiers: {low: {above: 1}}}]}]",
	} {
		groups, err := LoadFile("f.yaml", []byte(content), Defaults{})
		require.NoError(t, err, content)
		h := groups[0].Rules[0].Hash()
		assert.Empty(t, seen[h], "%s has the same hash", content)
		seen[h] = content
	}
}
