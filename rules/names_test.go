package rules_test

import (
	"bufio"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// expositions is where lies what real servers answered to a scrape, beside the repository; it is not ours to publish.
const expositions = "../../shared/testdata/metrics-text"

// exposition is what one or more servers exposed.
type exposition struct {
	names map[string]bool
	// last is the last finite bound of each classic histogram, by the name of its buckets.
	last map[string]float64
}

var (
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{|\s)`)
	boundLabel = regexp.MustCompile(`le="([^"]+)"`)
	csvLine    = regexp.MustCompile(`^(DCGM_FI_[A-Z0-9_]+)\s*,`)
)

func readExpositions(t *testing.T, files []string) exposition {
	t.Helper()
	all := exposition{names: map[string]bool{}, last: map[string]float64{}}
	for _, name := range files {
		file, err := os.Open(filepath.Join(expositions, name)) //nolint:gosec // a test's own input
		require.NoError(t, err)
		lines := bufio.NewScanner(file)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			all.add(lines.Text())
		}
		require.NoError(t, lines.Err(), name)
		require.NoError(t, file.Close())
	}
	return all
}

func (e *exposition) add(line string) {
	match := csvLine.FindStringSubmatch(line) // how DCGM's exporter is told what to expose
	if match == nil {
		match = sampleLine.FindStringSubmatch(line)
	}
	if match == nil {
		return
	}
	name := match[1]
	e.names[name] = true
	if le := boundLabel.FindStringSubmatch(line); le != nil {
		if bound, err := strconv.ParseFloat(le[1], 64); err == nil && !math.IsInf(bound, 1) {
			e.last[name] = max(e.last[name], bound)
		}
	}
}

// selected are the matchers of metric names that a rule uses, as text for messages and as a function.
func selected(r *rule.Rule) map[string]func(string) bool {
	found := map[string]func(string) bool{}
	if r.Metric != "" {
		found[r.Metric] = func(name string) bool { return name == r.Metric }
	}
	if r.Query == nil {
		return found
	}
	for _, s := range r.Query.Selectors {
		for _, m := range s.Matchers {
			if m.Name == model.MetricNameLabel {
				found[m.Value] = m.Matches
			}
		}
	}
	return found
}

// Every metric that a rule selects is one that a real server exposed, or has its documentation named in sources.
func TestSelectedMetricsExist(t *testing.T) {
	_, missing := os.Stat(expositions)
	if missing != nil && os.Getenv("CI") == "" {
		t.Skipf("NOT TESTED: real expositions are missing in %s", expositions)
	}
	for _, p := range packs(t) {
		t.Run(p.name, func(t *testing.T) {
			source, known := sources[p.name]
			require.True(t, known, "has no entry in sources: say which expositions it is checked against, and what documents the rest")
			if missing != nil && len(source.expositions) > 0 {
				t.Skipf("NOT TESTED: real expositions are missing in %s", expositions)
			}
			real := readExpositions(t, source.expositions)
			own := recorded(p)
			used := map[string]bool{}
			for _, r := range p.rules {
				for text, matches := range selected(r) {
					exists := slices.ContainsFunc(own, matches)
					for name := range real.names {
						exists = exists || matches(name) || matches(name+"_total") // as a Collector names a counter
					}
					for name, where := range source.documented {
						if matches(name) || matches(name+"_total") {
							assert.False(t, real.names[name], "%s needs no documentation: it is in an exposition", name)
							assert.NotEmpty(t, where)
							exists, used[name] = true, true
						}
					}
					assert.True(t, exists, "%s: %s: no exposition has it, and sources does not say what documents it", r.Name, text)
				}
			}
			for name := range source.documented {
				assert.True(t, used[name], "%s is in sources, and no rule selects it", name)
			}
		})
	}
}

// recorded are the series that a pack's recording rules write.
func recorded(p pack) []string {
	var names []string
	for _, r := range p.rules {
		if r.Record != "" {
			names = append(names, r.Record)
		}
	}
	return names
}

// A quantile never exceeds the last finite bound of its histogram, so a threshold there, or above, never fires.
func TestThresholdsLieWithinHistograms(t *testing.T) {
	_, missing := os.Stat(expositions)
	for _, p := range packs(t) {
		source := sources[p.name]
		var real exposition
		if missing == nil {
			real = readExpositions(t, source.expositions)
		}
		for _, r := range p.rules {
			if !strings.Contains(r.Expr, "histogram_quantile") {
				continue
			}
			t.Run(p.name+"/"+r.Name, func(t *testing.T) {
				for text := range selected(r) {
					if !strings.HasSuffix(text, "_bucket") {
						continue
					}
					last, known := source.last[text]
					if !known {
						if missing != nil {
							t.Skipf("NOT TESTED: real expositions are missing in %s", expositions)
						}
						last, known = real.last[text]
					}
					require.True(t, known, "no exposition shows the bounds of %s: put the last finite one into sources", text)
					for _, tier := range r.Tiers {
						switch tier.Op {
						case rule.Above:
							assert.Less(t, tier.High, last, "%s: the last finite bound of %s", tier.Severity, text)
						case rule.AtLeast: // where the quantile stays, whatever lies beyond
							assert.LessOrEqual(t, tier.High, last, "%s: the last finite bound of %s", tier.Severity, text)
						}
					}
				}
			})
		}
	}
}
