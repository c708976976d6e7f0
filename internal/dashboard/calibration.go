package dashboard

import (
	"cmp"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Quality is what the calibration receiver says about one rule at GET /api/v1/rules, as far as a dashboard shows it.
type Quality struct {
	Rule     string `json:"rule"`
	Notified int64  `json:"notified"`
	// FalsePositives is missing where nobody has judged.
	FalsePositives *struct {
		Lower float64 `json:"lower"`
	} `json:"false_positive_ratio"`
	Thresholds []Conclusion `json:"thresholds"`
}

// Conclusion is what is concluded about one threshold.
type Conclusion struct {
	Group        string         `json:"group"`
	Severity     alert.Severity `json:"severity"`
	Bound        string         `json:"bound"`
	SourceMetric string         `json:"source_metric"`
	SourceUnit   string         `json:"source_unit"`
	Current      float64        `json:"current"`
	// Suggested is missing where no suggestion stands. Sentence says what it would change, or why there is none.
	Suggested *float64 `json:"suggested"`
	Sentence  string   `json:"sentence"`
}

// concluded are the conclusions about a rule.
func concluded(all []Quality, r *rule.Rule) []Conclusion {
	var found []Conclusion
	for i := range all {
		if all[i].Rule != r.Name {
			continue
		}
		for _, c := range all[i].Thresholds {
			if c.Group == "" || c.Group == r.Group {
				found = append(found, c)
			}
		}
	}
	return found
}

// worstFirst orders rules by the part of their alerts that is surely false, then by pages. Surely is the lower bound of the
// interval: a rule with one verdict is not worse than one of which forty in fifty were false.
func worstFirst(rules []*rule.Rule, all []Quality) []*rule.Rule {
	type rank struct {
		surelyFalse float64
		pages       int64
	}
	ranks := map[string]rank{}
	for i := range all {
		r := rank{pages: all[i].Notified}
		if all[i].FalsePositives != nil {
			r.surelyFalse = all[i].FalsePositives.Lower
		}
		ranks[all[i].Rule] = r
	}
	sorted := slices.Clone(rules)
	slices.SortStableFunc(sorted, func(a, b *rule.Rule) int {
		x, y := ranks[a.Name], ranks[b.Name]
		return cmp.Or(cmp.Compare(y.surelyFalse, x.surelyFalse), cmp.Compare(y.pages, x.pages))
	})
	return sorted
}
