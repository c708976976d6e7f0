package calibrationreceiver

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// collect emits the metrics until it is stopped. A collection that the ledger or the next consumer refuses is skipped:
// the next one says the same and more.
func (c *calibration) collect(ctx context.Context) {
	ticker := time.NewTicker(c.cfg.CollectionInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var s snapshot
		if err := c.view(ctx, func(tx ledger.Tx) (err error) {
			s, err = take(tx, time.Duration(c.cfg.Window))
			return err
		}); err != nil {
			continue
		}
		md := s.metrics()
		if md.DataPointCount() == 0 {
			continue
		}
		if err := c.metrics.ConsumeMetrics(ctx, md); err != nil {
			c.set.Logger.Warn("The next consumer refused metrics about alerts; the next collection has them again.", zap.Error(err))
		}
	}
}
