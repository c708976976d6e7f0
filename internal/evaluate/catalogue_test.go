package evaluate

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// catalogue is a collection of published alerts; it is not part of the repository.
const catalogue = "../../../shared/testdata/rules/catalogue.dev.json"

// TestPublishedAlertsRun runs every published alert that is PromQL beside Prometheus, on made-up series that each of its
// selectors selects: the same alerts in the same states after every evaluation, and an error where Prometheus has one.
func TestPublishedAlertsRun(t *testing.T) {
	content, err := os.ReadFile(catalogue)
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	var published []struct{ Source, Alert, Expr string }
	require.NoError(t, json.Unmarshal(content, &published))
	db := teststorage.New(t)
	base := time.Unix(1_700_000_000, 0).UTC()
	ran, fired := 0, 0
	for i, p := range published {
		expr, err := json.Marshal(p.Expr)
		require.NoError(t, err)
		s := scenario{file: fmt.Sprintf("groups: [{name: g, interval: 15s, rules: [{alert: R%d, expr: %s, for: 30s, labels: {severity: page}}]}]", i, expr)}
		groups, err := rule.LoadFile("drawn.yaml", []byte(s.file), rule.Defaults{Lookback: 5 * time.Minute})
		if err != nil {
			continue // another query language: they are counted where rules are read
		}
		names := selectedSeries(groups[0].Rules[0].Query)
		for step := range 24 {
			values := map[string]float64{}
			for j, name := range names {
				values[name] = float64(step*step*(j%3+1)) * 1e3 // rises ever faster, each at its own pace
			}
			s.steps = append(s.steps, values)
		}
		base = base.Add(3 * time.Hour)
		if s.compare(t, db, base) > 0 {
			fired++
		}
		ran++
	}
	require.Positive(t, fired)
	t.Logf("%d published alerts ran as in Prometheus, %d of them with alerts", ran, fired)
}

// selectedSeries are two series for each selector of a query, as PromQL writes them: with the values that its matchers ask for.
func selectedSeries(q *rule.Query) []string {
	var all []string
	seen := map[string]bool{}
	for i := range q.Selectors {
		for n := range 2 {
			b := labels.NewBuilder(labels.EmptyLabels())
			for _, m := range q.Selectors[i].Matchers {
				switch {
				case m.Type == labels.MatchEqual:
					b.Set(m.Name, m.Value)
				case m.Type == labels.MatchRegexp:
					first, _, _ := strings.Cut(strings.Trim(m.Value, "()^$"), "|")
					first = strings.NewReplacer(".*", "x", ".+", "x", "[0-9]", "5", `\`, "").Replace(first)
					if m.Matches(first) {
						b.Set(m.Name, first)
					}
				}
			}
			b.Set("instance", fmt.Sprint("i-", n))
			if strings.HasSuffix(b.Get(model.MetricNameLabel), "_bucket") {
				b.Set("le", []string{"1", "+Inf"}[n])
				b.Set("instance", "i-0")
			}
			if name := b.Labels().String(); b.Get(model.MetricNameLabel) != "" && !seen[name] {
				seen[name] = true
				all = append(all, name)
			}
		}
	}
	return all
}
