package web

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Whoever edits a rule file tells of it; the rule shows the change, and so does its event.
func TestChangeOfAThreshold(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	l.noisy()
	before := decoded[Rule](t, get(t, s, "/api/v1/rules/Noisy%2FRule"))
	require.Empty(t, before.Thresholds[0].Moved)
	const path = "/api/v1/rules/Noisy%2FRule/changes"
	body := `{"severity": "high", "from": 0.9, "to": 0.93, "by": "anna", "note": "alertctl calibrate"}`
	made := decoded[Change](t, postJSON(t, s, path, body))
	assert.Equal(t, Change{
		ID: made.ID, Rule: "Noisy/Rule", Severity: alert.High, From: 0.9, To: 0.93, At: l.now, By: "anna", Note: "alertctl calibrate",
	}, made)
	assert.Equal(t, made, decoded[Change](t, postJSON(t, s, path, body)), "the same again")
	after := decoded[Rule](t, get(t, s, "/api/v1/rules/Noisy%2FRule"))
	assert.Equal(t, []Move{{At: l.now, From: 0.9, To: 0.93, By: "anna", Note: "alertctl calibrate"}}, after.Thresholds[0].Moved)
	require.Len(t, after.Thresholds[0].Effects, 1)
	effect := after.Thresholds[0].Effects[0]
	assert.Equal(t, after.Thresholds[0].Moved[0], effect.Move)
	assert.Equal(t, 23, effect.Before.Pages, "the last one is of the moment of the change")
	assert.InDelta(t, 11.5, effect.Before.Days, 1e-9)
	assert.InDelta(t, 2, *effect.Before.PerDay, 1e-9)
	assert.InDelta(t, 20.0/23, effect.Before.FalsePositives.Ratio, 1e-9)
	assert.Nil(t, effect.After.PerDay, "too short to say")
	for body, want := range map[string]string{
		`{"from": 1, "to": 2}`:                                          "severity: must be",
		`{"severity": "high", "to": 2}`:                                 "from: must be",
		`{"severity": "high", "from": 2}`:                               "to: must be",
		`{"severity": "high", "from": 1, "to": 2, "bound": "left"}`:     "bound: must be low or high",
		`{"severity": "high", "from": 1, "to": 2, "note": "\u0007"}`:    "control characters",
		`{"severity": "high", "from": 1, "to": 2, "id": "x"}`:           "must be left out",
		`{"severity": "high", "from": 1, "to": 1e999}`:                  "the body must be a JSON object",
		`{"severity": "high", "from": 1, "to": 2, "threshold": "high"}`: "unknown field",
	} {
		w := postJSON(t, s, path, body)
		assert.GreaterOrEqual(t, w.Code, 400, body)
		assert.Contains(t, w.Body.String(), want)
	}
	assert.Equal(t, http.StatusForbidden, postJSON(t, s, path, body, "Sec-Fetch-Site", "cross-site").Code)
}
