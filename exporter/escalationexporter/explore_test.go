package escalationexporter

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// explores gives the exporter a judgement of a silent track.
func (r *rig) explores(id string, state alert.State) {
	r.t.Helper()
	a := r.judge(id, state, alert.High)
	md := pmetric.NewMetrics()
	alert.NewExploreWriter(md).Append(&a)
	require.NoError(r.t, r.x.consume(r.t.Context(), md))
	r.settle()
}

func (r *rig) explored() (all []*ledger.Explored) {
	r.t.Helper()
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
		all, err = tx.Explored("KVCacheNearlyFull", time.Time{}, 100)
		return err
	}))
	return all
}

// The silent track is recorded, nobody is told, and alerts do not wait for it.
func TestSilentTrack(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.explores("a", alert.Firing)
		all := r.explored()
		require.Len(t, all, 1)
		assert.True(t, all[0].EndedAt.IsZero())
		r.after(time.Minute)
		r.explores("a", alert.Inactive)
		assert.False(t, r.explored()[0].EndedAt.IsZero())
		r.after(time.Hour)
		r.expect()

		r.ledger.set(errors.New("the disk is full"))
		r.explores("b", alert.Firing)
		r.explores("c", alert.Firing)
		r.ledger.set(nil)
		r.after(exploreRetry)
		assert.Len(t, r.explored(), 3, "taken when the ledger is back")
		r.finish()
		assert.Len(t, r.explored(), 3)
	})
}

func TestSilentTrackIsBounded(t *testing.T) {
	e := make(explorer, 2)
	dropped := 0
	for range 5 {
		e.put(alert.Alert{}, func(n int) { dropped += n })
	}
	assert.Equal(t, 3, dropped)
	assert.Len(t, e.some(nil), 2)
}
