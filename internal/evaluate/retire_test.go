package evaluate

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// The rule that goes has a slot that the metric's series do not have any more: its end still says what was observed.
func TestTheEndOfARuleThatSharedItsMetric(t *testing.T) {
	stays := ruleOf("Stays", above(alert.High, 10, 10, 0))
	b := newBench(t, testOptions(), stays, ruleOf("Goes", above(alert.Critical, 20, 20, 0))).known()
	b.feed(25)
	b.out = nil
	b.Reload(setOf(stays), b.now)
	b.take()
	require.Len(t, b.out, 1)
	end := b.out[0]
	assert.Equal(t, "Goes", end.Rule)
	assert.Equal(t, alert.Inactive, end.State)
	assert.Equal(t, alert.ReasonRuleRemoved, end.Reason)
	assert.Equal(t, 25.0, *end.Value)
	assert.Equal(t, 20.0, *end.Threshold)
	assert.Equal(t, 25.0, *end.FiringLevel)
	b.feed(5)
	assert.Equal(t, "inactive/high/recovered", b.story()[len(b.story())-1])
}
