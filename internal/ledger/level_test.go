package ledger

import (
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

func TestLevels(t *testing.T) {
	p := func(v float64) *float64 { return &v }
	rises := &alert.Alert{
		State: alert.Firing, Severity: alert.High, Threshold: p(0.9),
		FiringLevels: map[alert.Severity]alert.FiringLevel{alert.High: {Value: 0.95}, alert.Medium: {Value: 0.97, Bound: true}, alert.Low: {Value: math.Inf(1)}},
	}
	got := LevelsOf(rises)
	assert.Equal(t, Levels{alert.High: {Threshold: p(0.9), Firing: p(0.95)}, alert.Medium: {Firing: p(0.97), Bound: true}}, got)
	critical := &alert.Alert{State: alert.Firing, Severity: alert.Critical, Threshold: p(0.98), FiringLevel: p(0.99), FiringLevelBound: true}
	got = got.Merge(LevelsOf(critical))
	assert.Equal(t, Level{Threshold: p(0.98), Firing: p(0.99), Bound: true}, got[alert.Critical])
	assert.Equal(t, p(0.9), got[alert.High].Threshold)
	end := &alert.Alert{State: alert.Inactive, Severity: alert.Low, Threshold: p(0.1), FiringLevels: map[alert.Severity]alert.FiringLevel{alert.High: {Value: 0.991}}}
	got = got.Merge(LevelsOf(end))
	assert.Equal(t, Level{Threshold: p(0.9), Firing: p(0.991)}, got[alert.High], "the end says how far it went")
	assert.Equal(t, got, got.Merge(nil))
	assert.Nil(t, LevelsOf(&alert.Alert{State: alert.Pending, Threshold: p(1)}))
	assert.Empty(t, LevelsOf(&alert.Alert{State: alert.Firing, Threshold: p(math.NaN())}))
}
