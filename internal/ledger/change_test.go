package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// changes are those of the story's rule.
func (s *story) changes() (all []*ledger.Change) {
	s.view(func(tx ledger.Tx) (err error) {
		all, err = tx.Changes(s.alert.Rule, time.Time{})
		return err
	})
	return all
}

// stand makes the alert fire, a little past a threshold, and end.
func (s *story) stand(threshold, level float64) {
	s.Helper()
	s.wait(time.Hour)
	s.alert.State, s.alert.Threshold, s.alert.FiringLevel, s.alert.Start = alert.Firing, &threshold, &level, s.now
	s.record(ledger.Opened)
	s.alert.State = alert.Inactive
	s.record(ledger.Ended)
}

// A rule file that somebody has edited shows when the next alert stands at the new threshold: once, and not for the
// other side of a band.
func TestChangesAreNoticed(t *testing.T) {
	s := newStory(t)
	s.stand(0.9, 0.95)
	s.stand(0.9, 0.97)
	assert.Empty(t, s.changes(), "nothing has moved")
	s.stand(0.1, 0.05)
	assert.Empty(t, s.changes(), "the other bound of a band")
	s.stand(0.92, 0.95)
	assert.Empty(t, s.changes(), "the episode before stood at the other bound: nobody can tell")
	s.stand(0.94, 0.95)
	all := s.changes()
	require.Len(t, all, 1)
	assert.Equal(t, ledger.Change{ID: all[0].ID, RuleGroup: "g", Rule: s.alert.Rule, Tier: alert.High, From: 0.92, To: 0.94, At: s.now}, *all[0])
	s.alert.ID = "another series"
	s.stand(0.92, 0.95)
	s.stand(0.94, 0.95)
	assert.Len(t, s.changes(), 1, "known")
	s.must(func(tx ledger.Tx) error {
		_, err := ledger.Retune(tx, &ledger.Change{Rule: s.alert.Rule, Tier: alert.High, Bound: "high", From: 0.94, To: 0.96, By: "anna"})
		return err
	})
	s.stand(0.96, 0.99)
	assert.Len(t, s.changes(), 2, "told of before it showed")
}
