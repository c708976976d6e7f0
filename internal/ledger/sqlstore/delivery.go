package sqlstore

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const deliveryColumns = "topic, destination, receiver, kind, tier, step, wanted, sent, sent_firing, due, attempts, " +
	"ordered_at, last_error, leased_until"

var (
	putDelivery    = upsert("deliveries", []string{"topic", "destination"}, deliveryColumns+", ready_at")
	selectDelivery = "SELECT " + deliveryColumns + " FROM deliveries "
)

func (t *tx) PutDelivery(d *ledger.Delivery) error {
	var ready any
	if d.Wanted > d.Sent {
		ready = max(nanos(d.Due), nanos(d.LeasedUntil))
	}
	return t.write(putDelivery,
		d.Topic, d.Destination, d.Receiver, string(d.Kind), int64(d.Tier), int64(d.Step), d.Wanted, d.Sent,
		flag(d.SentFiring), nanos(d.Due), int64(d.Attempts), nanos(d.OrderedAt), d.LastError, nanos(d.LeasedUntil), ready)
}

func scanDelivery(r row) (*ledger.Delivery, error) {
	d := &ledger.Delivery{}
	err := r.Scan(
		&d.Topic, &d.Destination, &d.Receiver, &d.Kind, &d.Tier, &d.Step, &d.Wanted, &d.Sent,
		&d.SentFiring, timeAt{&d.Due}, &d.Attempts, timeAt{&d.OrderedAt}, &d.LastError, timeAt{&d.LeasedUntil})
	return d, err
}

func (t *tx) Delivery(topic, destination string) (*ledger.Delivery, error) {
	return one(t, scanDelivery, selectDelivery+"WHERE topic = ? AND destination = ?", topic, destination)
}

func (t *tx) Deliveries(topic string) ([]*ledger.Delivery, error) {
	return list(t, scanDelivery, selectDelivery+"WHERE topic = ? ORDER BY destination", topic)
}

// DueDeliveries asks tier by tier, as DueGroups does.
func (t *tx) DueDeliveries(limit int) ([]*ledger.Delivery, error) {
	var due []*ledger.Delivery
	for _, tier := range tiers {
		if len(due) >= limit {
			break
		}
		some, err := list(t, scanDelivery, selectDelivery+
			"WHERE tier = ? AND ready_at <= ? ORDER BY ready_at, topic, destination LIMIT ?"+t.claim(),
			int64(tier), nanos(t.now), limit-len(due))
		if err != nil {
			return nil, err
		}
		due = append(due, some...)
	}
	return due, nil
}

func (t *tx) LeasedDeliveries() ([]*ledger.Delivery, error) {
	return list(t, scanDelivery, selectDelivery+"WHERE ready_at IS NOT NULL AND leased_until > 0 ORDER BY topic, destination")
}

func (t *tx) NextDeliveryDue() (time.Time, error) {
	var next time.Time
	for _, tier := range tiers {
		ready, err := list(t, scanInt,
			"SELECT ready_at FROM deliveries WHERE tier = ? AND ready_at IS NOT NULL ORDER BY ready_at LIMIT 1", int64(tier))
		if err != nil {
			return time.Time{}, err
		}
		if len(ready) == 0 {
			continue
		}
		at := fromNanos(ready[0])
		if at.IsZero() {
			return t.now, nil // due without a time is due now; the zero time would say that nothing is
		}
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	return next, nil
}
