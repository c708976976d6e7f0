package escalationexporter

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/config/configoptional"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// targets configures two targets: chat, which has a webhook, and polled, which has none.
func targets(mode string) func(*Config) {
	return func(c *Config) {
		c.Actions.Rollback.Mode = mode
		c.Actions.Rollback.Targets = []TargetConfig{
			{
				Name: "chat", Rules: []string{"KVCacheNearlyFull"}, Match: map[string]string{"service": "chat"},
				Webhook: configoptional.Some(WebhookConfig{
					SigningSecret: "whsec_c2VjcmV0", ClientConfig: ClientConfig{Endpoint: "https://deploy.example.com/hook"},
				}),
			},
			{Name: "polled", Rules: []string{"KVCacheNearlyFull"}, Match: map[string]string{"service": "polled"}},
		}
	}
}

// playActions runs a test with these targets.
func playActions(t *testing.T, mode string, test func(t *testing.T, r *rig)) {
	t.Helper()
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		r.change = targets(mode)
		r.begin()
		test(t, r)
	})
}

// asks is a judgement that asks for actions.
func (r *rig) asks(id, service string, actions ...alert.Action) {
	r.t.Helper()
	r.consume(r.judge(id, alert.Firing, alert.Critical, func(a *alert.Alert) {
		a.Labels["service"], a.Actions = service, actions
	}))
}

// action is the one of a kind that an alert's newest episode has asked for; nil where there is none.
func (r *rig) action(id string, kind alert.Action) (found *ledger.Action) {
	r.t.Helper()
	e := r.episode(id)
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) error {
		all, err := tx.Actions(ledger.ActionQuery{EpisodeID: e.ID})
		for _, a := range all {
			if a.Kind == kind {
				found = a
			}
		}
		return err
	}))
	return found
}

// rollback is state and reason of an alert's rollback.
func (r *rig) rollback(id string) string {
	r.t.Helper()
	a := r.action(id, alert.ActionRollback)
	if a == nil {
		return "none"
	}
	return string(a.State) + " " + a.Reason
}

func (r *rig) decides(kind alert.Action, id string, decide func(tx ledger.Tx, id, by, note string) error) error {
	r.t.Helper()
	a := r.action(id, kind)
	defer r.settle()
	return r.ledger.Update(r.t.Context(), time.Now(), func(tx ledger.Tx) error { return decide(tx, a.ID, "ada", "") })
}

func TestAutomaticRollback(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.asks("a", "chat", alert.ActionRollback)
		require.Equal(t, "done ", r.rollback("a"))
		asked := r.hook.take()
		require.Len(t, asked, 1)
		require.Equal(t, r.action("a", alert.ActionRollback).ID, asked[0].ID)
		require.Equal(t, "chat", asked[0].Target)
		require.Equal(t, "https://alerts.example.com/alerts/"+r.episode("a").ID, asked[0].PageURL)
		sent := r.people.take()
		require.Len(t, sent, 1)
		require.Contains(t, sent[0].Alerts[0].Annotations[annotationAction], "rollback of chat is")

		r.asks("a", "chat", alert.ActionRollback)
		r.asks("a", "chat")
		r.asks("a", "chat", alert.ActionRollback)
		require.Empty(t, r.hook.take(), "one request per episode")
		require.Subset(t, r.events("a"), []string{alert.EventRollbackWanted, alert.EventActionDone})

		r.consume(r.judge("b", alert.Firing, alert.Critical, func(a *alert.Alert) {
			a.Labels["service"], a.Actions = "chat", []alert.Action{alert.ActionRollback}
		}))
		require.Equal(t, "waiting cooldown", r.rollback("b"))
		require.NoError(t, r.decides(alert.ActionRollback, "b", ledger.Approve))
		require.Equal(t, "done cooldown", r.rollback("b"), "a person may")
		require.Equal(t, "ada", r.hook.take()[0].ApprovedBy)
	})
}

func TestDailyLimit(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		for i, want := range []string{"done ", "done ", "done ", "waiting max_per_day"} {
			id := string(rune('a' + i))
			r.asks(id, "chat", alert.ActionRollback)
			require.Equal(t, want, r.rollback(id))
			r.stays(61*time.Minute, id, alert.Critical)
		}
		r.after(24 * time.Hour)
		r.asks("z", "chat", alert.ActionRollback)
		require.Equal(t, "done ", r.rollback("z"))
	})
}

func TestRecommendedRollback(t *testing.T) {
	playActions(t, "recommend", func(t *testing.T, r *rig) {
		r.asks("a", "chat")
		r.people.take()
		r.after(time.Second)
		r.asks("a", "chat", alert.ActionRollback)
		require.Equal(t, "waiting recommended", r.rollback("a"))
		sent := r.people.take()
		require.Len(t, sent, 1, "the owner is told at once")
		require.Contains(t, sent[0].Alerts[0].Annotations[annotationAction], "rollback of chat waits for a decision (recommended): https://alerts.example.com/alerts/")
		require.Empty(t, r.hook.take())

		require.NoError(t, r.decides(alert.ActionRollback, "a", ledger.Approve))
		require.Len(t, r.hook.take(), 1)
		require.NoError(t, r.decides(alert.ActionRollback, "a", ledger.Approve), "repeating changes nothing")
		require.ErrorIs(t, r.decides(alert.ActionRollback, "a", ledger.Reject), ledger.ErrDecided)
		require.Empty(t, r.hook.take())
	})
}

func TestRejectedRollback(t *testing.T) {
	playActions(t, "recommend", func(t *testing.T, r *rig) {
		r.asks("a", "chat", alert.ActionRollback)
		require.NoError(t, r.decides(alert.ActionRollback, "a", ledger.Reject))
		require.Equal(t, "rejected recommended", r.rollback("a"))
		require.ErrorIs(t, r.decides(alert.ActionRollback, "a", ledger.Approve), ledger.ErrDecided)
		r.stays(time.Hour, "a", alert.Critical)
		require.Empty(t, r.hook.take())
	})
}

func TestTargetsThatDoNotMatch(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.asks("a", "search", alert.ActionRollback)
		require.Equal(t, "waiting no_target", r.rollback("a"))
		require.ErrorIs(t, r.decides(alert.ActionRollback, "a", ledger.Approve), ledger.ErrNoTarget)
		r.recovers("a")
		require.Equal(t, "cancelled ended", r.rollback("a"))
		require.Empty(t, r.hook.take())
	})
}

func TestManualInterventionHoldsBack(t *testing.T) {
	for name, decide := range map[string]func(tx ledger.Tx, id, by, note string) error{"done manual_intervention": ledger.Approve, "rejected manual_intervention": ledger.Reject} {
		t.Run(name, func(t *testing.T) {
			playActions(t, "automatic", func(t *testing.T, r *rig) {
				r.asks("a", "chat", alert.ActionRollback, alert.ActionManualIntervention)
				require.Equal(t, "waiting manual_intervention", r.rollback("a"))
				require.Equal(t, ledger.ActionWaiting, r.action("a", alert.ActionManualIntervention).State)
				require.Empty(t, r.hook.take())
				require.NoError(t, r.decides(alert.ActionManualIntervention, "a", decide))
				require.Equal(t, name, r.rollback("a"))
				if name[0] == 'd' {
					require.Len(t, r.hook.take(), 1)
				} else {
					require.Empty(t, r.hook.take())
				}
			})
		})
	}
}

// The manual-intervention threshold is passed while an automatic rollback has not got through yet.
func TestManualInterventionTakesARollbackBack(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.hook.answers(&notify.SendError{Destination: "chat", Err: errors.New("503")})
		r.asks("a", "chat", alert.ActionRollback)
		require.Equal(t, "approved ", r.rollback("a"))
		require.Len(t, r.hook.take(), 1)
		r.asks("a", "chat", alert.ActionRollback, alert.ActionManualIntervention)
		require.Equal(t, "waiting manual_intervention", r.rollback("a"))
		r.hook.answers(nil)
		r.after(time.Minute)
		require.Empty(t, r.hook.take())
	})
}

func TestATargetThatIsDown(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.hook.answers(&notify.SendError{Destination: "chat", Err: errors.New("503")})
		r.asks("a", "chat", alert.ActionRollback)
		r.stays(2*time.Minute, "a", alert.Critical)
		asked := r.hook.take()
		require.Greater(t, len(asked), 2)
		for _, one := range asked {
			require.Equal(t, asked[0].ID, one.ID, "under one id")
		}
		require.Equal(t, "503", r.action("a", alert.ActionRollback).LastError[len("chat: "):])
		r.stays(4*time.Minute, "a", alert.Critical)
		require.Equal(t, "waiting stale", r.rollback("a"), "what was asked for more than max_age ago goes back to a person")
		r.hook.answers(nil)
		require.NoError(t, r.decides(alert.ActionRollback, "a", ledger.Approve))
		require.Equal(t, "done stale", r.rollback("a"))
	})
}

func TestATargetThatRefuses(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.hook.answers(&notify.SendError{Destination: "chat", Permanent: true, Err: errors.New("403")})
		r.asks("a", "chat", alert.ActionRollback)
		require.Equal(t, "failed ", r.rollback("a"))
		r.stays(10*time.Minute, "a", alert.Critical)
		require.Len(t, r.hook.take(), 1)
		require.Contains(t, r.events("a"), alert.EventActionFailed)
	})
}

func TestNothingIsRolledBackOnWhatIsNotKnown(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) {
			a.Labels["service"], a.Actions, a.Reason = "chat", []alert.Action{alert.ActionRollback}, alert.ReasonNoData
		}))
		require.Equal(t, "none", r.rollback("a"), "no data")
		r.consume(r.judge("b", alert.Firing, alert.Critical, func(a *alert.Alert) {
			a.Labels["service"], a.Actions, a.Time = "chat", []alert.Action{alert.ActionRollback}, time.Now().Add(-6*time.Minute)
		}))
		require.Equal(t, "waiting stale", r.rollback("b"), "judged too long ago")
		require.Empty(t, r.hook.take())
	})
}

func TestKillSwitch(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		update := func(fn func(tx ledger.Tx) error) {
			require.NoError(t, r.ledger.Update(t.Context(), time.Now(), fn))
			r.settle()
		}
		update(func(tx ledger.Tx) error { return ledger.Stop(tx, "ada", "release week") })
		r.asks("a", "chat", alert.ActionRollback)
		r.after(time.Minute)
		require.Equal(t, "approved ", r.rollback("a"))
		require.Empty(t, r.hook.take())
		r.asks("a", "chat", alert.ActionRollback)
		update(ledger.Resume)
		require.Equal(t, "done ", r.rollback("a"), "what still stands")
		r.hook.take()

		update(func(tx ledger.Tx) error { return ledger.Stop(tx, "ada", "") })
		r.after(2 * time.Hour)
		r.asks("b", "chat", alert.ActionRollback)
		r.stays(10*time.Minute, "b", alert.Critical)
		update(ledger.Resume)
		require.Equal(t, "waiting stale", r.rollback("b"))
		require.Empty(t, r.hook.take())
	})
}

func TestARollbackOfAPolledTarget(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.asks("a", "polled", alert.ActionRollback)
		require.Equal(t, "done ", r.rollback("a"))
		require.Empty(t, r.hook.take())
	})
}

// Killed between the target's acceptance and its record, the rollback is asked for once more, under the same id.
func TestKilledWhileARollbackIsOnItsWay(t *testing.T) {
	playActions(t, "automatic", func(t *testing.T, r *rig) {
		r.hook.answers(errors.New("no answer"))
		r.asks("a", "chat", alert.ActionRollback)
		first := r.hook.take()
		require.Len(t, first, 1)
		require.NoError(t, r.ledger.Update(t.Context(), time.Now(), func(tx ledger.Tx) error {
			a, err := tx.Action(first[0].ID)
			if err != nil {
				return err
			}
			a.LeasedUntil = tx.Now().Add(leaseFor)
			return tx.PutAction(a)
		}))
		r.kill()
		r.hook.answers(nil)
		r.begin()
		r.stays(leaseFor+time.Second, "a", alert.Critical)
		again := r.hook.take()
		require.Len(t, again, 1)
		require.Equal(t, first[0].ID, again[0].ID)
		require.Equal(t, "done ", r.rollback("a"))
	})
}

func TestActionsThatTheLedgerKnowsAreNotAskedForAgainAfterARestart(t *testing.T) {
	playActions(t, "recommend", func(t *testing.T, r *rig) {
		r.asks("a", "chat", alert.ActionRollback)
		before := r.action("a", alert.ActionRollback)
		r.finish()
		r.begin()
		r.asks("a", "chat", alert.ActionRollback)
		require.Equal(t, before, r.action("a", alert.ActionRollback))
	})
}
