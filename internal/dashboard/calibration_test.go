package dashboard_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// TestWhatTheReceiverAnswers: everything that is read stands under the name that the API gives it.
func TestWhatTheReceiverAnswers(t *testing.T) {
	suggested := 0.93
	content, err := json.Marshal(web.Rule{
		Rule: "A", Notified: 7, FalsePositives: &web.Ratio{Ratio: 0.5, Lower: 0.25, Upper: 0.75, Of: 4},
		Thresholds: []web.Threshold{{
			Group: "g", Severity: alert.High, Bound: "low", SourceMetric: "m", SourceUnit: "s", Current: 0.9, Suggested: &suggested, Sentence: "why",
		}},
	})
	require.NoError(t, err)
	var got dashboard.Quality
	require.NoError(t, json.Unmarshal(content, &got))
	want := dashboard.Quality{Rule: "A", Notified: 7, Thresholds: []dashboard.Conclusion{{
		Group: "g", Severity: alert.High, Bound: "low", SourceMetric: "m", SourceUnit: "s", Current: 0.9, Suggested: &suggested, Sentence: "why",
	}}}
	require.NotNil(t, got.FalsePositives)
	assert.InDelta(t, 0.25, got.FalsePositives.Lower, 0)
	got.FalsePositives = nil
	assert.Equal(t, want, got)
}
