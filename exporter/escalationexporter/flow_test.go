package escalationexporter

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// keepAlive repeats an alert's state every minute, as the processor does.
func (r *rig) keepAlive(d time.Duration, judgement func() alert.Alert) {
	r.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		r.after(min(time.Minute, time.Until(end)))
		r.consume(judgement())
	}
}

func (r *rig) stays(d time.Duration, id string, severity alert.Severity) {
	r.t.Helper()
	r.keepAlive(d, func() alert.Alert { return r.judge(id, alert.Firing, severity) })
}

func TestCriticalGoesUpTheChain(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.expect("0s oncall/webhook[0] a critical firing")
		require.Equal(t, "page lead (step 2)", r.group("a").NextStep)
		r.stays(15*time.Minute, "a", alert.Critical)
		r.expect("15m0s lead/webhook[0] a critical firing")
		r.stays(15*time.Minute, "a", alert.Critical)
		r.expect("30m0s lead/webhook[0] a critical firing")
		r.recovers("a")
		r.expect("30m0s lead/webhook[0] a critical resolved", "30m0s oncall/webhook[0] a critical resolved")
		e := r.episode("a")
		require.Equal(t, ledger.OutcomeNotified, e.Outcome)
		require.Equal(t, e.OpenedAt, e.NotifiedAt)
		r.after(24 * time.Hour)
		r.expect()
	})
}

func TestWindowHoldsBackWhatRecovers(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.High)
		r.stays(14*time.Minute, "a", alert.High)
		r.recovers("a")
		r.after(time.Hour)
		r.expect()
		require.Equal(t, ledger.OutcomeSelfResolved, r.episode("a").Outcome)
	})
}

func TestRiseIsPagedAtOnceUnderTheSameKey(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.High)
		r.stays(15*time.Minute, "a", alert.High)
		first := r.people.take()
		require.Len(t, first, 1)
		r.fires("a", alert.Critical)
		second := r.people.take()
		require.Len(t, second, 1)
		require.Equal(t, first[0].Key, second[0].Key)
		require.Equal(t, "critical", second[0].Alerts[0].Labels["severity"])
		require.Equal(t, time.Now(), second[0].at)
	})
}

func TestAcknowledgementStopsAndExpires(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.after(time.Minute)
		r.acknowledges("ada", "a")
		require.Equal(t, "acknowledgement by ada expires", r.group("a").NextStep)
		r.people.take()
		r.stays(4*time.Hour-time.Second, "a", alert.Critical)
		r.expect()
		r.stays(time.Second, "a", alert.Critical)
		r.expect("4h1m0s oncall/webhook[0] a critical firing")
		require.Contains(t, r.events("a"), alert.EventAckExpired)
	})
}

func TestSnoozeAndResolveByAPerson(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.people.take()
		r.does("a", func(tx ledger.Tx, e string) error {
			return ledger.Snooze(tx, e, time.Now().Add(time.Hour), "ada", "")
		})
		r.stays(59*time.Minute, "a", alert.Critical)
		r.expect()
		r.stays(time.Minute, "a", alert.Critical)
		r.expect("1h0m0s oncall/webhook[0] a critical firing")

		r.does("a", func(tx ledger.Tx, e string) error { return ledger.Resolve(tx, e, "ada", "") })
		r.expect("1h0m0s oncall/webhook[0] a critical resolved")
		ended := r.episode("a")
		r.stays(time.Minute, "a", alert.Critical) // its evaluator goes on
		before := r.ledger.updates
		r.stays(59*time.Minute, "a", alert.Critical)
		require.Equal(t, before, r.ledger.updates, "the ledger is not asked each time")
		r.finish()
		r.begin() // knows nothing of what has ended
		r.stays(time.Minute, "a", alert.Critical)
		before = r.ledger.updates
		r.stays(59*time.Minute, "a", alert.Critical)
		require.Equal(t, before, r.ledger.updates, "nor after a restart")
		r.expect()
		require.Equal(t, ended.ID, r.episode("a").ID)
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Start = time.Now() }))
		require.NotEqual(t, ended.ID, r.episode("a").ID, "a later start is another breach")
		r.expect("3h0m0s oncall/webhook[0] a critical firing")
	})
}

// A judgement that comes late, behind the end, must not make the next ones look like repetitions of what has ended.
func TestLateJudgementBehindTheEnd(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.High)
		late := r.judge("a", alert.Firing, alert.High)
		r.recovers("a")
		r.consume(late)
		require.False(t, r.episode("a").Open())
		r.fires("a", alert.High) // with the same start
		require.True(t, r.episode("a").Open())
	})
}

func TestJoiningAGroup(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.expect("0s oncall/webhook[0] a critical firing")
		r.after(time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("b", alert.Firing, alert.High))
		r.expect()
		r.after(time.Minute)
		r.recovers("b")
		r.fires("c", alert.Critical)
		r.after(time.Minute)
		r.fires("a", alert.Critical)
		r.after(2 * time.Minute)
		r.expect("5m0s oncall/webhook[0] a critical firing, c critical firing")
		r.recovers("a")
		r.after(5 * time.Minute)
		r.fires("c", alert.Critical)
		r.expect("10m0s oncall/webhook[0] c critical firing, a critical resolved")
		r.recovers("c")
		r.expect("10m0s oncall/webhook[0] c critical resolved")
	})
}

func TestRepetitionsWriteNothing(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.people.take()
		changed := r.ledger.Changed()
		value := 0.99
		again := r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Value = &value })
		r.consume(again, again, again)
		r.consume(r.judge("unknown", alert.Inactive, alert.Low))
		r.consume(r.judge("unknown", alert.Pending, alert.Low))
		late := r.judge("a", alert.Inactive, alert.Low, func(a *alert.Alert) { a.Time = again.Time.Add(-time.Second) })
		r.consume(late)
		select {
		case <-changed:
			t.Fatal("the ledger was written")
		default:
		}
		require.InDelta(t, 0.99, *r.episode("a").Value, 0)
		require.True(t, r.episode("a").Open())
		r.expect()
	})
}

func TestEndAndBeginInOneBatch(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.people.take()
		first := r.episode("a")
		r.consume(r.judge("a", alert.Inactive, alert.Low), r.judge("a", alert.Firing, alert.Critical))
		require.NotEqual(t, first.ID, r.episode("a").ID)
		r.consume(r.judge("a", alert.Firing, alert.Critical))
		r.after(5 * time.Minute)
		r.recovers("a")
		require.False(t, r.episode("a").Open())
	})
}

func TestLostEvaluator(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.acknowledges("ada", "a")
		r.people.take()
		r.after(3*time.Minute - time.Second)
		require.Equal(t, alert.ReasonThreshold, r.episode("a").Reason)
		r.after(time.Second)
		lost := r.episode("a")
		require.Equal(t, alert.ReasonNoData, lost.Reason)
		require.True(t, lost.Open())

		r.fires("a", alert.Critical) // it is back
		require.Equal(t, alert.ReasonThreshold, r.episode("a").Reason)
		require.True(t, r.episode("a").LostAt.IsZero())

		r.after(3 * time.Minute)
		require.Equal(t, alert.ReasonNoData, r.episode("a").Reason)
		r.after(time.Hour - time.Second)
		require.True(t, r.episode("a").Open())
		r.expect()
		r.after(time.Second)
		ended := r.episode("a")
		require.Equal(t, alert.ReasonSeriesGone, ended.Reason)
		require.False(t, ended.Open())
		r.expect("1h6m0s oncall/webhook[0] a critical resolved")
		r.after(24 * time.Hour)
		r.expect()
	})
}

func TestLostStaysLostOverARestart(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.after(3 * time.Minute)
		require.Equal(t, alert.ReasonNoData, r.episode("a").Reason)
		r.kill()
		r.after(7 * time.Minute)
		r.begin()
		r.after(53*time.Minute - time.Second)
		require.True(t, r.episode("a").Open())
		r.after(time.Second)
		require.False(t, r.episode("a").Open())
	})
}

func TestPendingKeepsAnOpenAlertAlive(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.High)
		r.keepAlive(10*time.Minute, func() alert.Alert { return r.judge("a", alert.Pending, alert.High) })
		require.Equal(t, alert.ReasonThreshold, r.episode("a").Reason)
	})
}

func TestDailyDigest(t *testing.T) {
	play(t, func(t *testing.T, r *rig) { // the bubble's time begins at midnight, UTC
		other := func(a *alert.Alert) { a.Rule = "QueueLong" }
		low := func(id string, change ...func(*alert.Alert)) func() alert.Alert {
			return func() alert.Alert { return r.judge(id, alert.Firing, alert.Low, change...) }
		}
		r.consume(low("a")())
		r.consume(low("b", other)())
		r.after(time.Second)
		r.fires("c", alert.Low)
		r.keepAlive(time.Hour, low("a"))
		r.consume(r.judge("b", alert.Inactive, alert.Low, other))
		r.recovers("c")
		r.keepAlive(8*time.Hour, low("a"))
		r.expect()
		r.keepAlive(time.Minute, low("a"))
		sent := r.people.take()
		require.Len(t, sent, 1, "one digest for both rules")
		require.Equal(t, "9h0m5s oncall/webhook[0] a low firing, b low resolved, c low resolved", sent[0].describe(r.start))
		require.Equal(t, map[string]string{"owner": "inference", "digest": "2000-01-01"}, sent[0].GroupLabels)
		require.Equal(t, ledger.OutcomeBatched, r.episode("c").Outcome)

		r.consume(low("d")())
		r.keepAlive(23*time.Hour, low("a"))
		r.expect()
		r.keepAlive(time.Hour, low("a"))
		again := r.people.take()
		require.Len(t, again, 1)
		require.Equal(t, sent[0].Key, again[0].Key, "a digest that is still open goes on under its key")
		r.recovers("a")
		r.recovers("d")
		end := r.people.take()
		require.Len(t, end, 1)
		require.Equal(t, sent[0].Key, end[0].Key)
		require.Contains(t, end[0].describe(r.start), "a low resolved")
		require.NotContains(t, end[0].describe(r.start), "firing")

		r.consume(low("e")())
		r.keepAlive(24*time.Hour, low("e"))
		next := r.people.take()
		require.Len(t, next, 1)
		require.NotEqual(t, sent[0].Key, next[0].Key, "what comes after its end is another digest")
	})
}

func TestUnownedAndUnknownOwners(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Owner = "nobody" }))
		r.expect("0s everyone/webhook[0] a critical firing")
	})
}

// events are the names of what happened to an alert's newest episode, oldest first.
func (r *rig) events(id string) []string {
	r.t.Helper()
	e := r.episode(id)
	var names []string
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) error {
		events, err := tx.EpisodeEvents(e.ID)
		for _, event := range events {
			names = append(names, event.Name)
		}
		return err
	}))
	return names
}

func TestSidecarDies(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		const n = 300
		var all []alert.Alert
		for i := range n {
			all = append(all, r.judge(fmt.Sprint("a", i), alert.Firing, alert.Critical))
		}
		r.consume(all...)
		r.people.take()
		r.after(3 * time.Minute)
		open := true
		count := func(reason alert.Reason) (found int) {
			require.NoError(t, r.ledger.View(t.Context(), time.Now(), func(tx ledger.Tx) error {
				episodes, err := tx.Episodes(ledger.Query{Open: &open, Limit: 2 * n})
				for _, e := range episodes {
					if e.Reason == reason {
						found++
					}
				}
				return err
			}))
			return found
		}
		require.Equal(t, n, count(alert.ReasonNoData), "none resolves")
		r.people.take()
		r.after(time.Hour)
		require.Zero(t, count(alert.ReasonNoData))
		ends := 0
		for _, m := range r.people.take() {
			if !escalate.Firing(m.Message) {
				ends++
				require.Len(t, m.Alerts, n)
			}
		}
		require.Equal(t, 2, ends, "one notice for each who was paged")
	})
}
