// Package rules_test holds the rule packs to what they promise: that they load as they are, that every rule says who
// does what about it and why its threshold is what it is, that the metrics exist, and that every rule has been seen to
// fire and to stay quiet.
package rules_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
	"github.com/otelcol-escalation/otelcol-escalation/internal/unittest"
)

// pack is one rule file with what belongs to it.
type pack struct {
	name, path string
	rules      []*rule.Rule
}

func packs(t *testing.T) []pack {
	t.Helper()
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []pack
	for _, file := range files {
		set, err := rule.Load([]string{file}, nil, rule.Defaults{})
		require.NoError(t, err, "%s", file)
		all = append(all, pack{name: strings.TrimSuffix(file, ".yaml"), path: file, rules: set.Rules()})
	}
	return all
}

// What a user does first is to load all of them.
func TestAllPacksLoadTogether(t *testing.T) {
	set, err := rule.Load([]string{"*.yaml"}, nil, rule.Defaults{})
	require.NoError(t, err)
	assert.Empty(t, set.Warnings())
	for _, r := range set.Rules() {
		assert.NotEmpty(t, r.Group)
	}
	names := map[string]string{}
	for _, r := range set.Rules() {
		if r.Record != "" {
			continue
		}
		first, taken := names[r.Name]
		assert.False(t, taken, "%s is the name of a rule in %s and in %s: who reads the page cannot tell them apart", r.Name, first, r.Position.File)
		names[r.Name] = r.Position.File
	}
}

func TestEveryRuleSaysWhatItIsFor(t *testing.T) {
	for _, p := range packs(t) {
		reasons := comments(t, p.path)
		for _, r := range p.rules {
			if r.Record != "" {
				continue
			}
			t.Run(p.name+"/"+r.Name, func(t *testing.T) {
				assert.True(t, r.Query == nil || !r.Query.Plain, "has no tiers")
				assert.NotEqual(t, "unowned", r.Owner, "has no owner")
				assert.NotEmpty(t, r.Response, "has no response")
				assert.NotEmpty(t, r.Annotations["summary"], "has no summary")
				assert.True(t, r.Annotations["runbook"] != "" || r.Annotations["runbook_url"] != "", "has no runbook")
				held := r.KeepFiringFor > 0 || slices.ContainsFunc(r.Tiers, func(tier rule.Tier) bool { return tier.For > 0 })
				assert.True(t, held, "has neither for nor keep_firing_for, so a single point pages")
				assert.GreaterOrEqual(t, len(reasons[r.Name]), 60, "has no comment above it that says why its threshold is what it is")
			})
		}
	}
}

// comments are what stands directly above each rule, by its name.
func comments(t *testing.T, path string) map[string]string {
	t.Helper()
	content, err := os.ReadFile(path) //nolint:gosec // one of our own files
	require.NoError(t, err)
	var file struct {
		Groups []struct {
			Rules []yaml.Node `yaml:"rules"`
		} `yaml:"groups"`
	}
	require.NoError(t, yaml.Unmarshal(content, &file), "%s", path)
	above := map[string]string{}
	for _, group := range file.Groups {
		for i := range group.Rules {
			r := &group.Rules[i]
			for j := 0; j+1 < len(r.Content); j += 2 {
				if key := r.Content[j]; key.Value == "alert" {
					above[r.Content[j+1].Value] = r.HeadComment + key.HeadComment
				}
			}
		}
	}
	return above
}

func unitTests(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("tests/*_test.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	return files
}

func TestUnitTestsPass(t *testing.T) {
	for _, file := range unitTests(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			result := unittest.Run(context.Background(), file, unittest.Options{})
			require.NoError(t, result.Err)
			assert.Empty(t, result.Warnings)
			assert.NotEmpty(t, result.Tests)
			for _, test := range result.Tests {
				for _, failure := range test.Failures {
					t.Errorf("%s: %v", test.Title, failure)
				}
			}
		})
	}
}

// Every rule must be seen to fire, with its tier and owner, and to stay quiet where it was asked for.
func TestEveryRuleIsTested(t *testing.T) {
	fires, quiet := map[string]bool{}, map[string]bool{}
	for _, path := range unitTests(t) {
		file, err := unittest.ReadFile(path)
		require.NoError(t, err)
		for _, test := range file.Tests {
			for i := range test.Alerts {
				a := &test.Alerts[i]
				if len(a.Expected) > 0 {
					fires[a.Alertname] = true
				} else {
					quiet[a.Alertname] = true
				}
				for _, e := range a.Expected {
					assert.NotZero(t, e.Tier, "%s: %s at %s: has no exp_tier", path, a.Alertname, a.At)
					assert.NotEmpty(t, e.Owner, "%s: %s at %s: has no exp_owner", path, a.Alertname, a.At)
				}
			}
		}
	}
	for _, p := range packs(t) {
		for _, r := range p.rules {
			if r.Record != "" {
				continue
			}
			assert.True(t, fires[r.Name], "%s: %s: no unit test in which it fires", p.path, r.Name)
			assert.True(t, quiet[r.Name], "%s: %s: no unit test in which it stays quiet", p.path, r.Name)
			delete(fires, r.Name)
		}
	}
	for name := range fires {
		t.Errorf("unit tests ask for %s, which is no rule", name)
	}
}
