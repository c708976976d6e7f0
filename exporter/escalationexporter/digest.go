package escalationexporter

import (
	"errors"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// digestSettles is how long a digest waits for the other groups of its owner that are due at the same time.
const digestSettles = 5 * time.Second

// settingDigest names an owner's digest that has an open episode: what is collected next joins it, so that an owner
// gets one message per batch.
func settingDigest(owner string) string { return "escalation.digest." + owner }

// digest puts a group into its owner's digest.
func (x *escalation) digest(tx ledger.Tx, d *escalate.Decision, done *applied) error {
	name := settingDigest(d.Digest.Owner)
	id, err := tx.Setting(name)
	if err != nil {
		return err
	}
	current := escalate.DigestID(d.Digest.Owner, d.Digest.BatchAt)
	if id != "" && id != current {
		open, err := digestOpen(tx, id)
		if err != nil {
			return err
		}
		if !open {
			id = ""
		}
	}
	if id == "" {
		id = current
		if err := tx.PutSetting(name, id); err != nil {
			return err
		}
	}
	d.Group.DigestID = id
	done.orders = append(done.orders, escalate.Order{Kind: ledger.DeliverDigest, Reason: d.Reason})
	return x.orderDigest(tx, id, ledger.DeliverDigest, d.Digest.Receivers, d.Digest.Step, tx.Now().Add(digestSettles), done)
}

// endDigest tells of a digest's end when the last of its episodes has ended.
func (x *escalation) endDigest(tx ledger.Tx, id string, done *applied) error {
	open, err := digestOpen(tx, id)
	if err != nil || open {
		return err
	}
	told, err := tx.Deliveries(id)
	if err != nil {
		return err
	}
	var receivers []string
	for _, d := range told {
		receivers = append(receivers, d.Receiver)
	}
	done.orders = append(done.orders, escalate.Order{Kind: ledger.DeliverEnd, Reason: escalate.ReasonEnded})
	return x.orderDigest(tx, id, ledger.DeliverEnd, receivers, 1, tx.Now(), done)
}

func (x *escalation) orderDigest(tx ledger.Tx, id string, kind ledger.DeliveryKind, receivers []string, step int, due time.Time, done *applied) error {
	seen := map[string]bool{}
	for _, receiver := range receivers {
		destinations, _ := x.sender.Destinations(receiver)
		for _, to := range destinations {
			if seen[to.Name] {
				continue
			}
			seen[to.Name] = true
			d := &ledger.Delivery{
				Topic: id, Destination: to.Name, Receiver: receiver, Kind: kind, Tier: alert.Low, Step: step,
				Wanted: escalate.Sequence(0, tx.Now()),
			}
			if before, err := tx.Delivery(id, to.Name); err == nil {
				d.Wanted = escalate.Sequence(before.Wanted, tx.Now())
			} else if !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			if err := x.want(tx, d, due, done); err != nil {
				return err
			}
		}
	}
	return nil
}

// digestOpen reports whether a digest has an open episode.
func digestOpen(tx ledger.Tx, id string) (bool, error) {
	episodes, err := tx.DigestEpisodes(id)
	return slices.ContainsFunc(episodes, (*ledger.Episode).Open), err
}
