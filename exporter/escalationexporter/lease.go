package escalationexporter

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// leased is a delivery that this exporter has leased.
type leased struct{ topic, destination string }

// takeBack ends the leases of a former life of this exporter, and of an update whose answer was lost. Of a shared
// ledger they may be somebody else's, and are left to run out.
func (x *escalation) takeBack(ctx context.Context, write func(func(ledger.Tx) error) error) error {
	if x.shared {
		return nil
	}
	var stranded []leased
	// An embedded ledger goes by its caller's clock: asked later, it shows what is leased until then.
	err := x.ledger.View(ctx, time.Now().Add(leaseFor+time.Second), func(tx ledger.Tx) error {
		due, err := tx.DueDeliveries(math.MaxInt32)
		for _, d := range due {
			if to := x.destinations[d.Destination]; to != nil && !to.knows(d.Topic) && !d.LeasedUntil.IsZero() {
				stranded = append(stranded, leased{topic: d.Topic, destination: d.Destination})
			}
		}
		return err
	})
	for part := range slices.Chunk(stranded, deliveriesPerUpdate) {
		if err := write(func(tx ledger.Tx) error { return unlease(tx, part) }); err != nil {
			return err
		}
	}
	return err
}

// release ends the leases of what could not be sent before the shutdown.
func (x *escalation) release(ctx context.Context, left []leased) {
	for part := range slices.Chunk(left, deliveriesPerUpdate) {
		if err := x.update(ctx, x.config.LedgerTimeout, func(tx ledger.Tx) error { return unlease(tx, part) }); err != nil {
			return
		}
	}
}

func unlease(tx ledger.Tx, part []leased) error {
	for _, l := range part {
		d, err := tx.Delivery(l.topic, l.destination)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d.LeasedUntil = time.Time{}
		if err := tx.PutDelivery(d); err != nil {
			return err
		}
	}
	return nil
}
