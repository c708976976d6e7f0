package retune

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// in is a file around one rule.
func in(rule string) string {
	return "# Ours.\ngroups:\n  - name: g # a group\n    rules:\n" + rule
}

func TestNothingButTheNumberChanges(t *testing.T) {
	for name, c := range map[string]struct {
		file, want string
		change     Change
	}{
		"a flow mapping, with its clear": {
			in("      - alert: Full   # wakes people\n        metric: kv\n        tiers:\n          critical: {above: 0.98, for: 1m, clear: 0.95}   # high\n          high:     {above: 0.90, for: 5m}\n"),
			in("      - alert: Full   # wakes people\n        metric: kv\n        tiers:\n          critical: {above: 0.97, for: 1m, clear: 0.94}   # high\n          high:     {above: 0.90, for: 5m}\n"),
			Change{Rule: "Full", Tier: alert.Critical, To: 0.97},
		},
		"a block mapping": {
			in("      - alert: Slow\n        metric: ms\n        tiers:\n          high:\n            for: 5m\n            above: 2e3 # ms\n"),
			in("      - alert: Slow\n        metric: ms\n        tiers:\n          high:\n            for: 5m\n            above: 2500 # ms\n"),
			Change{Rule: "Slow", To: 2500},
		},
		"one bound of a band": {
			in("      - {alert: Band, metric: psi, tiers: {high: {outside: [20, 60], clear: [25, 55]}}}\n"),
			in("      - {alert: Band, metric: psi, tiers: {high: {outside: [10, 60], clear: [15, 55]}}}\n"),
			Change{Rule: "Band", Bound: Low, To: 10},
		},
		"the other bound": {
			in("      - {alert: Band, metric: psi, tiers: {high: {outside: [20, 60], clear: [25, 55]}}}\n"),
			in("      - {alert: Band, metric: psi, tiers: {high: {outside: [20, 65.5], clear: [25, 60.5]}}}\n"),
			Change{Rule: "Band", Bound: High, To: 65.5},
		},
		"the end of an expression": {
			in("      - alert: Errors\n        expr: sum(rate(errors_total[5m])) / sum(rate(all_total[5m])) > 0.05   # five percent\n        for: 5m\n"),
			in("      - alert: Errors\n        expr: sum(rate(errors_total[5m])) / sum(rate(all_total[5m])) > 0.08   # five percent\n        for: 5m\n"),
			Change{Rule: "Errors", To: 0.08},
		},
		"its begin, among other numbers": {
			in("      - {alert: Few, expr: '5 > count(up == 1) * 5', labels: {severity: page}}\n"),
			in("      - {alert: Few, expr: '7 > count(up == 1) * 5', labels: {severity: page}}\n"),
			Change{Rule: "Few", To: 7},
		},
		"an expression over several lines, with a guard": {
			in("      - alert: Slow\n        expr: >-\n          histogram_quantile(0.9, sum by (le) (rate(b[5m])))\n            > 2\n          and on () sum(rate(n[5m])) > 2\n        annotations: {summary: über 2}\n"),
			in("      - alert: Slow\n        expr: >-\n          histogram_quantile(0.9, sum by (le) (rate(b[5m])))\n            > 2.5\n          and on () sum(rate(n[5m])) > 2\n        annotations: {summary: über 2}\n"),
			Change{Rule: "Slow", To: 2.5},
		},
		"a literal block": {
			in("      - alert: Slow\n        expr: |\n          # PromQL has comments, too: > 2\n          rate(b[5m]) > 2\n"),
			in("      - alert: Slow\n        expr: |\n          # PromQL has comments, too: > 2\n          rate(b[5m]) > 3\n"),
			Change{Rule: "Slow", To: 3},
		},
		"a negative one": {
			in("      - {alert: Cold, expr: 'temp < -5'}\n"), in("      - {alert: Cold, expr: 'temp < -7.5'}\n"), Change{Rule: "Cold", From: ptr(-5), To: -7.5},
		},
		"the one of two that says so": {
			in("      - {alert: Full, expr: kv > 0.9, labels: {severity: page}}\n      - {alert: Full, expr: kv > 0.8, labels: {severity: warning}}\n"),
			in("      - {alert: Full, expr: kv > 0.9, labels: {severity: page}}\n      - {alert: Full, expr: kv > 0.85, labels: {severity: warning}}\n"),
			Change{Rule: "Full", From: ptr(0.8), To: 0.85},
		},
		"behind characters of several bytes": {
			in("      - {alert: 'Größe', metric: kv, annotations: {summary: 'ü ü'}, tiers: {high: {above: 5}}}\r\n"),
			in("      - {alert: 'Größe', metric: kv, annotations: {summary: 'ü ü'}, tiers: {high: {above: 6}}}\r\n"),
			Change{Group: "g", Rule: "Größe", To: 6},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Apply("r.yaml", []byte(c.file), c.change, rule.Defaults{})
			require.NoError(t, err)
			assert.Equal(t, c.want, string(got))
		})
	}
}

func ptr(v float64) *float64 { return &v }

func TestWhatCannotBeMoved(t *testing.T) {
	for want, c := range map[string]struct {
		file   string
		change Change
	}{
		"r.yaml: there is no alert Empty":                               {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5}}}\n"), Change{Rule: "Empty"}},
		"r.yaml: Full/critical: the rule has no such tier":              {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5}}}\n"), Change{Rule: "Full", Tier: alert.Critical}},
		"r.yaml: Full has no threshold that is 4 now":                   {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5}}}\n"), Change{Rule: "Full", From: ptr(4)}},
		"r.yaml: Full may be several thresholds (line 5, critical; lin": {in("      - {alert: Full, metric: kv, tiers: {critical: {above: 9}, high: {above: 5}}}\n"), Change{Rule: "Full"}},
		"the file would be refused":                                     {in("      - {alert: Full, metric: kv, tiers: {critical: {above: 9}, high: {above: 5}}}\n"), Change{Rule: "Full", Tier: alert.High, To: 10}},
		"the expression decides itself":                                 {in("      - {alert: Full, expr: kv == 5}\n"), Change{Rule: "Full"}},
		"outside has two bounds":                                        {in("      - {alert: Full, metric: kv, tiers: {high: {outside: [1, 5]}}}\n"), Change{Rule: "Full"}},
		"above has one bound":                                           {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5}}}\n"), Change{Rule: "Full", Bound: Low}},
		"a threshold must be a number":                                  {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5}}}\n"), Change{Rule: "Full", To: math.NaN()}},
		"comes from an anchor":                                          {in("      - {alert: A, metric: kv, tiers: &t {high: {above: 5}}}\n      - {alert: Full, metric: kw, tiers: *t}\n"), Change{Rule: "Full", To: 6}},
		"not written as one number of its own":                          {in("      - {alert: Full, expr: kv > 60 * 60}\n"), Change{Rule: "Full", To: 7200}},
		"written with escapes":                                          {in("      - {alert: Full, expr: \"kv{a=\\\"b\\\"} > 5\"}\n"), Change{Rule: "Full", To: 7}},
		"must not be negative":                                          {in("      - {alert: Full, metric: kv, tiers: {high: {above: 5, for: -5s}}}\n"), Change{Rule: "Full", To: 7}},
	} {
		t.Run(want, func(t *testing.T) {
			_, err := Apply("r.yaml", []byte(c.file), c.change, rule.Defaults{})
			require.ErrorContains(t, err, want)
			assert.Contains(t, err.Error()+" "+c.change.String(), c.change.Rule)
		})
	}
}

// Every threshold of the rule packs can be moved a little, and only a number or two change.
func TestThePacks(t *testing.T) {
	files, err := filepath.Glob("../../rules/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	movedBounds := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		groups, err := rule.LoadFile(file, content, rule.Defaults{})
		require.NoError(t, err)
		for _, g := range groups {
			for _, r := range g.Rules {
				for i := range r.Tiers {
					tier := &r.Tiers[i]
					bounds := []Bound{Only}
					switch tier.Op {
					case rule.Always:
						continue
					case rule.Outside:
						bounds = []Bound{Low, High}
					}
					for _, b := range bounds {
						from, err := bound(&tier.Threshold, b)
						require.NoError(t, err)
						to := from + 0.001
						edited, err := Apply(file, content, Change{Group: g.Name, Rule: r.Name, Tier: tier.Severity, Bound: b, From: &from, To: to}, rule.Defaults{})
						if err != nil && strings.Contains(err.Error(), "would be refused") {
							continue // a tier beside it is as near
						}
						require.NoError(t, err, "%s %s", r.Name, tier.Severity)
						before, after := strings.Split(string(content), "\n"), strings.Split(string(edited), "\n")
						require.Len(t, after, len(before))
						changed := 0
						for l := range before {
							if before[l] != after[l] {
								changed++
							}
						}
						require.True(t, changed == 1 || changed == 2, "%s %s: %d lines", r.Name, tier.Severity, changed)
						movedBounds++
					}
				}
			}
		}
	}
	t.Logf("%d bounds moved", movedBounds)
	require.Greater(t, movedBounds, 50)
}

func FuzzApply(f *testing.F) {
	f.Add(in("      - {alert: Full, metric: kv, tiers: {high: {above: 5, clear: 4}}}\n"), "Full", 6.5)
	f.Add(in("      - alert: Full\n        expr: >-\n          kv\n\n          > 5\n"), "Full", 6.5)
	f.Add(in("      - {alert: Full, expr: '-5 < kv'}\n"), "Full", -6.0)
	f.Fuzz(func(t *testing.T, file, name string, to float64) {
		edited, err := Apply("f.yaml", []byte(file), Change{Rule: name, To: to}, rule.Defaults{})
		if err != nil {
			return
		}
		if _, err := rule.LoadFile("f.yaml", edited, rule.Defaults{}); err != nil {
			t.Fatalf("what was written is refused: %v\n%s", err, edited)
		}
	})
}
