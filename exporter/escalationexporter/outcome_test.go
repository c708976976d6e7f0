package escalationexporter

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Each episode has one outcome when it ends, and the counter adds up to the number of episodes.
func TestOutcomesAddUp(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		rule := func(name string) func(*alert.Alert) { return func(a *alert.Alert) { a.Rule = name } }
		all := []struct {
			id       string
			severity alert.Severity
			rule     string
			want     ledger.Outcome
			why      string
		}{
			{"paged", alert.High, "One", ledger.OutcomeNotified, ""},
			{"snoozed", alert.High, "One", ledger.OutcomeSuppressed, "snoozed"},
			{"slept for a while", alert.High, "One", ledger.OutcomeSuppressed, "snoozed"},
			{"in hand", alert.High, "Two", ledger.OutcomeSuppressed, "acknowledged"},
			{"short", alert.High, "Three", ledger.OutcomeSelfResolved, ""},
			{"low", alert.Low, "Four", ledger.OutcomeBatched, ""},
		}
		say := func(state alert.State, id string) {
			for _, one := range all {
				if one.id == id {
					r.consume(r.judge(id, state, one.severity, rule(one.rule)))
				}
			}
		}
		repeat := func(d time.Duration) {
			for end := time.Now().Add(d); time.Now().Before(end); {
				r.after(time.Minute)
				for _, one := range all {
					if r.episode(one.id).Open() {
						say(alert.Firing, one.id)
					}
				}
			}
		}
		for _, one := range all {
			say(alert.Firing, one.id)
		}
		for id, d := range map[string]time.Duration{"snoozed": time.Hour, "slept for a while": 16 * time.Minute} {
			r.does(id, func(tx ledger.Tx, e string) error { return ledger.Snooze(tx, e, time.Now().Add(d), "ada", "") })
		}
		r.acknowledges("ada", "in hand")
		repeat(10 * time.Minute)
		say(alert.Inactive, "short")
		repeat(5 * time.Minute)
		r.expect("15m0s oncall/webhook[0] paged high firing")
		require.Equal(t, "snoozed", r.episode("slept for a while").Suppressed)
		repeat(2 * time.Minute)
		for _, one := range all {
			if one.id != "short" {
				say(alert.Inactive, one.id)
			}
		}
		for _, one := range all {
			e := r.episode(one.id)
			require.Equal(t, one.want, e.Outcome, one.id)
			require.Equal(t, one.why, e.Suppressed, one.id)
		}
		var counted int64
		require.NoError(t, r.ledger.View(t.Context(), time.Now(), func(tx ledger.Tx) error {
			counters, err := tx.Counters()
			for _, c := range counters {
				if c.Metric == alert.MetricEpisodes {
					counted += c.N
				}
			}
			return err
		}))
		require.EqualValues(t, len(all), counted)
	})
}

func TestUndeliverable(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		r.fires("a", alert.Critical)
		r.after(time.Minute)
		r.recovers("a")
		require.Equal(t, ledger.OutcomeUndeliverable, r.episode("a").Outcome)
		r.people.answers("oncall/webhook[0]", nil)
		r.after(time.Hour)
		r.expect()
		require.LessOrEqual(t, r.delivery("a").Wanted, r.delivery("a").Sent, "nothing is owed")
	})
}
