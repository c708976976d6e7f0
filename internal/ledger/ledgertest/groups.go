package ledgertest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func groupRoundTrip(t *testing.T, f *fixture) {
	for _, g := range []*ledger.Group{
		{ID: "zero", Key: "zero"},
		{
			ID: "g1", Key: "k1", Labels: map[string]string{"owner": "o"}, Owner: "o", Tier: alert.Critical, OpenedAt: at(1),
			TierSince: at(2), PagedAt: at(3), UpdatedAt: at(4), Dirty: true, Step: 2, StepAt: at(5), Paged: []string{"a", "b"},
			AcknowledgedAt: at(6), AcknowledgedBy: "anna", DigestID: "d", ClosedAt: at(7), DueAt: at(8),
			NextStep: "page b (step 2)", Sequence: 9, RespondBy: at(10),
		},
	} {
		f.update(func(tx ledger.Tx) error { return tx.PutGroup(g) })
		f.view(func(tx ledger.Tx) {
			got, err := tx.Group(g.ID)
			require.NoError(t, err)
			assert.Equal(t, g, got)
		})
	}
	f.view(func(tx ledger.Tx) {
		_, err := tx.Group("nobody")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
		_, err = tx.OpenGroup("nobody")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
		_, err = tx.OpenGroup("k1")
		assert.ErrorIs(t, err, ledger.ErrNotFound, "it is closed")
	})
}

func oneOpenGroup(t *testing.T, f *fixture) {
	first, second := &ledger.Group{ID: "g1", Key: "k"}, &ledger.Group{ID: "g2", Key: "k"}
	f.update(func(tx ledger.Tx) error { return tx.PutGroup(first) })
	err := f.Update(context.Background(), f.now, func(tx ledger.Tx) error { return tx.PutGroup(second) })
	assert.ErrorIs(t, err, ledger.ErrConflict)
	first.ClosedAt = at(1)
	f.update(func(tx ledger.Tx) error {
		if err := tx.PutGroup(first); err != nil {
			return err
		}
		return tx.PutGroup(second)
	})
	f.view(func(tx ledger.Tx) {
		g, err := tx.OpenGroup("k")
		require.NoError(t, err)
		assert.Equal(t, "g2", g.ID)
	})
}

func episodesOfGroups(t *testing.T, f *fixture) {
	for i, groupID := range []string{"g2", "g1", "", "g1", "g3"} {
		e := bare(string(rune('a'+i)), at(10-i))
		e.GroupID = groupID
		f.put(e)
	}
	f.update(func(tx ledger.Tx) error {
		for _, g := range []*ledger.Group{{ID: "g1", Key: "1", DigestID: "d"}, {ID: "g2", Key: "2", DigestID: "d"}, {ID: "g3", Key: "3"}} {
			if err := tx.PutGroup(g); err != nil {
				return err
			}
		}
		return nil
	})
	f.view(func(tx ledger.Tx) {
		for id, want := range map[string][]string{"g1": {"d", "b"}, "g2": {"a"}, "": {}, "nobody": {}} {
			got, err := tx.GroupEpisodes(id)
			require.NoError(t, err)
			assert.Equal(t, want, ids(got), "group %q", id)
		}
		for id, want := range map[string][]string{"d": {"d", "b", "a"}, "": {}} {
			got, err := tx.DigestEpisodes(id)
			require.NoError(t, err)
			assert.Equal(t, want, ids(got), "digest %q", id)
		}
	})
}

func dueGroups(t *testing.T, f *fixture) {
	next := func() (due time.Time) {
		f.view(func(tx ledger.Tx) {
			var err error
			due, err = tx.NextGroupDue()
			require.NoError(t, err)
		})
		return due
	}
	assert.Zero(t, next(), "nothing is due")
	f.update(func(tx ledger.Tx) error {
		for _, g := range []*ledger.Group{
			{ID: "never", Tier: alert.Critical},
			{ID: "later", Tier: alert.Critical, DueAt: at(5)},
			{ID: "low, first", Tier: alert.Low, DueAt: at(-9)},
			{ID: "high, now", Tier: alert.High, DueAt: at(0)},
			{ID: "high, before", Tier: alert.High, DueAt: at(-1)},
			{ID: "closed, owing", Tier: alert.Medium, DueAt: at(-2), ClosedAt: at(-3)},
			{ID: "critical", Tier: alert.Critical, DueAt: at(0)},
			{ID: "no tier", DueAt: at(-20)},
		} {
			g.Key = g.ID
			if err := tx.PutGroup(g); err != nil {
				return err
			}
		}
		return nil
	})
	want := []string{"critical", "high, before", "high, now", "closed, owing", "low, first", "no tier"}
	for limit := range len(want) + 2 {
		f.update(func(tx ledger.Tx) error {
			due, err := tx.DueGroups(limit)
			got := []string{}
			for _, g := range due {
				got = append(got, g.ID)
			}
			assert.Equal(t, want[:min(limit, len(want))], got)
			return err
		})
	}
	f.view(func(tx ledger.Tx) {
		due, err := tx.DueGroups(100)
		require.NoError(t, err)
		assert.Len(t, due, len(want), "what is due can be looked at")
	})
	assert.Equal(t, at(-20), next())
}

func deliveryRoundTrip(t *testing.T, f *fixture) {
	for _, d := range []*ledger.Delivery{
		{Topic: "zero"},
		{
			Topic: "t", Destination: "r/webhook[0]", Receiver: "r", Kind: ledger.DeliverRepeat, Tier: alert.High, Step: 2,
			Wanted: 4, Sent: 3, SentFiring: true, Due: at(1), Attempts: 5, OrderedAt: at(2), LastError: "503", LeasedUntil: at(3),
		},
	} {
		f.update(func(tx ledger.Tx) error { return tx.PutDelivery(d) })
		f.view(func(tx ledger.Tx) {
			got, err := tx.Delivery(d.Topic, d.Destination)
			require.NoError(t, err)
			assert.Equal(t, d, got)
		})
	}
	f.update(func(tx ledger.Tx) error { return tx.PutDelivery(&ledger.Delivery{Topic: "t", Destination: "a"}) })
	f.view(func(tx ledger.Tx) {
		_, err := tx.Delivery("t", "nobody")
		assert.ErrorIs(t, err, ledger.ErrNotFound)
		of, err := tx.Deliveries("t")
		require.NoError(t, err)
		require.Len(t, of, 2)
		assert.Equal(t, "a", of[0].Destination)
	})
}

func dueDeliveries(t *testing.T, f *fixture) {
	next := func() (due time.Time) {
		f.view(func(tx ledger.Tx) {
			var err error
			due, err = tx.NextDeliveryDue()
			require.NoError(t, err)
		})
		return due
	}
	put := func(d ledger.Delivery) {
		d.Destination = "x"
		f.update(func(tx ledger.Tx) error { return tx.PutDelivery(&d) })
	}
	assert.Zero(t, next())
	put(ledger.Delivery{Topic: "settled", Tier: alert.Critical, Wanted: 1, Sent: 1, Due: at(-5)})
	assert.Zero(t, next(), "nothing is owed")
	put(ledger.Delivery{Topic: "leased", Tier: alert.Critical, Wanted: 1, Due: at(-5), LeasedUntil: at(2)})
	assert.Equal(t, at(2), next(), "the lease ends")
	put(ledger.Delivery{Topic: "later", Tier: alert.Critical, Wanted: 1, Due: at(1)})
	put(ledger.Delivery{Topic: "high", Tier: alert.High, Wanted: 2, Sent: 1, Due: at(0)})
	put(ledger.Delivery{Topic: "high, sooner", Tier: alert.High, Wanted: 2, Sent: 1, Due: at(-1)})
	put(ledger.Delivery{Topic: "critical", Tier: alert.Critical, Wanted: 2, Sent: 1, Due: at(0), LeasedUntil: at(0)})
	put(ledger.Delivery{Topic: "low", Tier: alert.Low, Wanted: 1, Due: at(-9)})
	assert.Equal(t, at(-9), next())
	want := []string{"critical", "high, sooner", "high", "low"}
	for limit := range len(want) + 2 {
		f.update(func(tx ledger.Tx) error {
			due, err := tx.DueDeliveries(limit)
			got := []string{}
			for _, d := range due {
				got = append(got, d.Topic)
			}
			assert.Equal(t, want[:min(limit, len(want))], got)
			return err
		})
	}
	f.view(func(tx ledger.Tx) {
		due, err := tx.DueDeliveries(100)
		require.NoError(t, err)
		assert.Len(t, due, len(want), "what is due can be looked at")
	})
	put(ledger.Delivery{Topic: "taken", Tier: alert.Low, Wanted: 1, LeasedUntil: f.now.Add(time.Minute)})
	put(ledger.Delivery{Topic: "left", Tier: alert.Low, Wanted: 1, LeasedUntil: f.now.Add(-time.Minute)})
	put(ledger.Delivery{Topic: "done", Tier: alert.Low, Wanted: 1, Sent: 1, LeasedUntil: f.now.Add(time.Minute)})
	f.view(func(tx ledger.Tx) {
		leased, err := tx.LeasedDeliveries()
		require.NoError(t, err)
		got := []string{}
		for _, d := range leased {
			if d.Topic == "left" || d.Topic == "taken" || d.Topic == "done" {
				got = append(got, d.Topic)
			}
		}
		assert.Equal(t, []string{"left", "taken"}, got)
	})
	put(ledger.Delivery{Topic: "at once", Tier: alert.Low, Wanted: 1})
	assert.Equal(t, f.now, next(), "without a time it is due now")
}
