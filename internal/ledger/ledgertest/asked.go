package ledgertest

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func silences(t *testing.T, f *fixture) {
	planned := &ledger.Silence{
		Matchers: []ledger.Matcher{{Name: "service", Value: "chat.*", IsRegex: true, IsEqual: true}},
		StartsAt: at(10), EndsAt: at(20), CreatedBy: "anna", Comment: "upgrade",
	}
	f.now = at(0)
	f.update(func(tx ledger.Tx) error { return ledger.Silent(tx, planned) })
	require.NotEmpty(t, planned.ID)
	revision := ""
	f.view(func(tx ledger.Tx) {
		got, err := tx.Silence(planned.ID)
		require.NoError(t, err)
		assert.Equal(t, planned, got)
		_, err = tx.Silence("nobody")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		all, err := tx.Silences(at(19))
		require.NoError(t, err)
		assert.Len(t, all, 1)
		all, err = tx.Silences(at(20))
		require.NoError(t, err)
		assert.Empty(t, all)
		revision, err = tx.Setting(ledger.SettingSilences)
		require.NoError(t, err)
	})
	id := planned.ID

	f.now = at(12)
	longer := *planned
	longer.StartsAt, longer.EndsAt = at(12), at(30)
	f.update(func(tx ledger.Tx) error { return ledger.Silent(tx, &longer) })
	assert.Equal(t, id, longer.ID, "made longer, it is the same silence")
	assert.Equal(t, at(10), longer.StartsAt, "and began when it began")
	f.view(func(tx ledger.Tx) {
		now, err := tx.Setting(ledger.SettingSilences)
		require.NoError(t, err)
		assert.NotEqual(t, revision, now)
	})

	other := longer
	other.Matchers = []ledger.Matcher{{Name: "service", Value: "search", IsEqual: true}}
	f.update(func(tx ledger.Tx) error { return ledger.Silent(tx, &other) })
	assert.NotEqual(t, id, other.ID, "other matchers are another silence")
	f.now = at(13)
	f.update(func(tx ledger.Tx) error { return ledger.Expire(tx, other.ID) })
	f.view(func(tx ledger.Tx) {
		for _, one := range []string{id, other.ID} {
			got, err := tx.Silence(one)
			require.NoError(t, err)
			assert.False(t, got.Active(f.now))
		}
	})

	for name, s := range map[string]ledger.Silence{
		"no matcher":         {StartsAt: at(14), EndsAt: at(15)},
		"matches everything": {Matchers: []ledger.Matcher{{Name: "a", Value: ".*", IsRegex: true, IsEqual: true}}, StartsAt: at(14), EndsAt: at(15)},
		"not this":           {Matchers: []ledger.Matcher{{Name: "a", Value: "x"}}, StartsAt: at(14), EndsAt: at(15)},
		"bad expression":     {Matchers: []ledger.Matcher{{Name: "a", Value: "(", IsRegex: true, IsEqual: true}}, StartsAt: at(14), EndsAt: at(15)},
		"past":               {Matchers: longer.Matchers, StartsAt: at(1), EndsAt: at(2)},
		"backwards":          {Matchers: longer.Matchers, StartsAt: at(16), EndsAt: at(15)},
	} {
		assert.Error(t, f.Update(t.Context(), f.now, func(tx ledger.Tx) error { return ledger.Silent(tx, &s) }), name)
	}
}

func actions(t *testing.T, f *fixture) {
	f.put(&ledger.Episode{ID: "e1", AlertID: "a1"}, &ledger.Episode{ID: "e2", AlertID: "a2"})
	all := []*ledger.Action{
		{
			ID: "1", EpisodeID: "e1", Rule: "r", Owner: "o", Kind: alert.ActionRollback, Target: "chat", Mode: ledger.ActionAutomatic,
			State: ledger.ActionApproved, Reason: "why", RequestedAt: at(1), DecidedAt: at(2), DecidedBy: "anna", Note: "n", DoneAt: at(3),
			Attempts: 4, DueAt: at(5), LeasedUntil: at(4), LastError: "500",
		},
		{ID: "2", EpisodeID: "e2", Kind: alert.ActionRollback, Target: "chat", State: ledger.ActionWaiting, RequestedAt: at(2)},
		{ID: "3", EpisodeID: "e2", Kind: alert.ActionManualIntervention, State: ledger.ActionDone, RequestedAt: at(3)},
	}
	f.update(func(tx ledger.Tx) error {
		for _, a := range all {
			if err := tx.PutAction(a); err != nil {
				return err
			}
		}
		return nil
	})
	some := func(actions []*ledger.Action) (ids string) {
		for _, a := range actions {
			ids += a.ID
		}
		return ids
	}
	f.view(func(tx ledger.Tx) {
		got, err := tx.Action("1")
		require.NoError(t, err)
		assert.Equal(t, all[0], got)
		_, err = tx.Action("9")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		for want, q := range map[string]ledger.ActionQuery{
			"321": {}, "32": {EpisodeID: "e2"}, "21": {Target: "chat"}, "2": {State: ledger.ActionWaiting}, "3": {Since: at(3)},
		} {
			got, err := tx.Actions(q)
			require.NoError(t, err)
			assert.Equal(t, want, some(got))
		}
		next, err := tx.NextActionDue()
		require.NoError(t, err)
		assert.Equal(t, at(5), next)
	})
	claim := func(now time.Time) (ids string) {
		f.now = now
		f.update(func(tx ledger.Tx) error {
			due, err := tx.DueActions(10)
			ids = some(due)
			return err
		})
		return ids
	}
	assert.Empty(t, claim(at(4)))
	assert.Equal(t, "1", claim(at(5)))
	err := f.Update(t.Context(), f.now, func(tx ledger.Tx) error {
		return tx.PutAction(&ledger.Action{ID: "4", EpisodeID: "e1", Kind: alert.ActionRollback})
	})
	require.ErrorIs(t, err, ledger.ErrConflict, "an episode asks once")
	err = f.Update(t.Context(), f.now, func(tx ledger.Tx) error {
		return tx.PutAction(&ledger.Action{ID: "5", EpisodeID: "nobody", Kind: alert.ActionRollback})
	})
	require.ErrorIs(t, err, ledger.ErrNotFound)
}

func trials(t *testing.T, f *fixture) {
	var asked *ledger.Trial
	f.now = at(1)
	f.update(func(tx ledger.Tx) (err error) {
		asked, err = ledger.Try(tx, "oncall", "anna")
		return err
	})
	f.view(func(tx ledger.Tx) {
		all, err := tx.Trials()
		require.NoError(t, err)
		assert.Equal(t, []*ledger.Trial{asked}, all)
	})
	asked.DoneAt, asked.Error = at(2), "401"
	f.update(func(tx ledger.Tx) error { return tx.PutTrial(asked) })
	f.view(func(tx ledger.Tx) {
		all, err := tx.Trials()
		require.NoError(t, err)
		assert.Empty(t, all)
		got, err := tx.Trial(asked.ID)
		require.NoError(t, err)
		assert.Equal(t, asked, got)
	})
}

func webhooks(t *testing.T, f *fixture) {
	f.update(func(tx ledger.Tx) error {
		return tx.PutGroup(&ledger.Group{ID: "{a=\"b\"}:e1", Key: "k", OpenedAt: at(1)})
	})
	f.view(func(tx ledger.Tx) {
		for _, key := range []string{"{a=\"b\"}:e1", "6c1b9c5d26bb9a54d1b4eb2e7d4a1e8a"} {
			_, err := tx.GroupByKey(key)
			if key[0] == '{' {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, ledger.ErrNotFound)
			}
		}
		sum := sha256.Sum256([]byte("{a=\"b\"}:e1"))
		g, err := tx.GroupByKey(hex.EncodeToString(sum[:]))
		require.NoError(t, err)
		assert.Equal(t, "k", g.Key)
		_, err = tx.GroupByKey("")
		require.ErrorIs(t, err, ledger.ErrNotFound)
	})
	var firsts []bool
	for _, event := range [][2]string{{"pagerduty", "1"}, {"pagerduty", "1"}, {"slack", "1"}, {"pagerduty", "2"}} {
		f.update(func(tx ledger.Tx) error {
			first, err := tx.Once(event[0], event[1])
			firsts = append(firsts, first)
			return err
		})
	}
	assert.Equal(t, []bool{true, false, true, true}, firsts)
}
