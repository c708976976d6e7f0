package calibrationreceiver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// What is too much to be read while somebody waits is read beside, as soon as the ledger can be.
func TestConclusionsAreRenewedBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &fragile{Ledger: ledgertest.New(t)}
		now := time.Now()
		level, threshold := 0.95, 0.9
		update(t, l, now, func(tx ledger.Tx) error {
			for i := range 2500 {
				e := &ledger.Episode{
					ID: fmt.Sprint("e", i), AlertID: fmt.Sprint(i), Rule: "Large", Severity: alert.High, Highest: alert.High, OpenedAt: now, NotifiedAt: now, EndedAt: now,
					Levels: ledger.Levels{alert.High: {Threshold: &threshold, Firing: &level}},
				}
				if err := tx.PutEpisode(e); err != nil {
					return err
				}
			}
			return nil
		})
		assessor := &quality.Assessor{Window: time.Hour, Limits: calibrate.DefaultLimits()}
		concluded := func() int {
			var rules []*quality.Rule
			require.NoError(t, l.Ledger.View(context.Background(), time.Now(), func(tx ledger.Tx) (err error) {
				rules, err = assessor.Rules(tx)
				return err
			}))
			return len(rules[0].Thresholds)
		}
		assert.Zero(t, concluded())
		statuses := make(chan *componentstatus.Event, 10)
		h := &health{logger: zap.NewNop(), report: func(e *componentstatus.Event) { statuses <- e }}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		l.views.Store(true)
		go func() { keepRenewing(ctx, assessor, l, h); close(done) }()
		synctest.Wait()
		assert.Zero(t, concluded())
		assert.Equal(t, componentstatus.StatusRecoverableError, (<-statuses).Status())
		l.views.Store(false)
		time.Sleep(renewInterval)
		synctest.Wait()
		assert.Equal(t, 1, concluded())
		assert.Equal(t, componentstatus.StatusOK, (<-statuses).Status())
		cancel()
		<-done
	})
}
