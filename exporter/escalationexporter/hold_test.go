package escalationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// silences lets a person silence everything of an instance.
func (r *rig) silences(instance string, d time.Duration) *ledger.Silence {
	r.t.Helper()
	s := &ledger.Silence{
		Matchers: []ledger.Matcher{{Name: "instance", Value: instance, IsEqual: true}}, EndsAt: time.Now().Add(d), CreatedBy: "ada",
	}
	require.NoError(r.t, r.ledger.Update(r.t.Context(), time.Now(), func(tx ledger.Tx) error { return ledger.Silent(tx, s) }))
	r.settle()
	return s
}

func TestSilences(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.silences("a", time.Hour)
		r.fires("a", alert.Critical)
		r.expect()
		require.Equal(t, ledger.SuppressedSilenced, r.episode("a").Held)
		r.stays(59*time.Minute, "a", alert.Critical)
		r.expect()
		r.stays(time.Minute, "a", alert.Critical)
		r.expect("1h0m0s oncall/webhook[0] a critical firing")
	})
}

func TestASilenceMadeAndTakenAwayWhileItFires(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.expect("0s oncall/webhook[0] a critical firing")
		r.after(time.Minute)
		s := r.silences("a", 10*time.Hour)
		require.Equal(t, ledger.SuppressedSilenced, r.episode("a").Held, "the page shows it at once")
		r.stays(30*time.Minute, "a", alert.Critical)
		r.expect()
		require.NoError(t, r.ledger.Update(t.Context(), time.Now(), func(tx ledger.Tx) error { return ledger.Expire(tx, s.ID) }))
		r.settle()
		r.expect("31m0s oncall/webhook[0] a critical firing")
		r.recovers("a")
		require.Equal(t, ledger.OutcomeNotified, r.episode("a").Outcome)
	})
}

func TestSilencesOutliveARestartAndEndWithoutTraffic(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.silences("a", 30*time.Minute)
		r.finish()
		r.begin()
		r.fires("a", alert.Critical)
		r.fires("b", alert.Critical)
		r.after(time.Minute)
		r.expect("0s oncall/webhook[0] b critical firing")
		r.recovers("a")
		require.Equal(t, ledger.OutcomeSuppressed, r.episode("a").Outcome)
		require.Equal(t, ledger.SuppressedSilenced, r.episode("a").Suppressed)
	})
}

func TestInhibition(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		source, err := labels.ParseMatchers(`alertname="Down"`)
		require.NoError(t, err)
		target, err := labels.ParseMatchers(`alertname!="Down"`)
		require.NoError(t, err)
		r.finish()
		r.inhibit = []escalate.InhibitRule{{Source: source, Target: target, Equal: []string{"cluster"}}}
		r.begin()
		in := func(rule, cluster string) func(*alert.Alert) {
			return func(a *alert.Alert) {
				a.Rule, a.Labels = rule, map[string]string{"instance": a.ID, "cluster": cluster}
			}
		}
		down := r.judge("down", alert.Firing, alert.High, in("Down", "x"))
		r.consume(r.judge("a", alert.Firing, alert.Critical, in("Slow", "x")), down, r.judge("b", alert.Firing, alert.Critical, in("Slow", "y")))
		r.expect("0s oncall/webhook[0] b critical firing")
		require.Equal(t, ledger.SuppressedInhibited, r.episode("a").Held, "by one of the same batch")

		r.kill() // who starts anew knows what inhibits
		r.begin()
		r.consume(r.judge("c", alert.Firing, alert.Critical, in("Broken", "x")))
		r.expect()
		require.Equal(t, ledger.SuppressedInhibited, r.episode("c").Held)

		r.does("down", func(tx ledger.Tx, id string) error { return ledger.Resolve(tx, id, "ada", "") })
		r.after(time.Minute)
		r.expect("1m0s oncall/webhook[0] c critical firing")
		r.after(4 * time.Minute)
		r.expect("5m0s oncall/webhook[0] a critical firing, b critical firing")
	})
}

func TestFlapping(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		flap := func() {
			r.after(time.Minute)
			r.consume(r.judge("a", alert.Firing, alert.High, func(a *alert.Alert) { a.Start = time.Now() }))
			r.after(time.Second)
			r.recovers("a")
		}
		for range 3 {
			flap()
		}
		r.after(time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Start = time.Now() }))
		sent := r.people.take()
		require.Len(t, sent, 1)
		require.NotEmpty(t, sent[0].Alerts[0].Annotations[escalate.AnnotationFlapping])
		require.False(t, r.episode("a").FlapNoticedAt.IsZero())
		r.after(time.Second)
		r.recovers("a")
		r.people.take()
		for range 5 {
			flap()
			require.Empty(t, r.people.take(), "one notice until it settles")
			require.Equal(t, ledger.SuppressedFlapping, r.episode("a").Suppressed)
		}
		r.after(time.Hour)
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Start = time.Now() }))
		sent = r.people.take()
		require.Len(t, sent, 1)
		require.Empty(t, sent[0].Alerts[0].Annotations[escalate.AnnotationFlapping])
	})
}

func TestUndeliverableIsPagedAnotherWay(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		r.change = func(c *Config) { c.Undeliverable = []string{"everyone"} }
		r.begin()
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		r.fires("a", alert.Critical)
		r.stays(59*time.Second, "a", alert.Critical)
		r.expect()
		r.stays(time.Minute, "a", alert.Critical)
		sent := r.people.take()
		require.Len(t, sent, 1, "once")
		require.Equal(t, "everyone/webhook[0]", sent[0].destination)
		require.Equal(t, "not accepted by oncall/webhook[0]", sent[0].Alerts[0].Annotations[annotationUndeliverable])
		require.Equal(t, r.group("a").ID, sent[0].Key, "under the same key")
		require.Contains(t, r.events("a"), alert.EventEscalated)
		require.Equal(t, 1, r.x.destinations["oncall/webhook[0]"].waiting()+boolean(r.delivery("a").Wanted > r.delivery("a").Sent), "it stays owed")
		r.recovers("a")
		require.Equal(t, ledger.OutcomeNotified, r.episode("a").Outcome)
		r.expect("1m59s everyone/webhook[0] a critical resolved")
	})
}

func boolean(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestWhatIsRefusedIsPagedAnotherWayAtOnce(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.finish()
		r.change = func(c *Config) { c.Undeliverable = []string{"everyone"} }
		r.begin()
		r.people.answers("oncall/webhook[0]", failing(true, 0))
		r.fires("a", alert.Critical)
		r.expect("0s everyone/webhook[0] a critical firing")
	})
}

// Behind a destination that answers nothing, most pages are never tried.
func TestWhatWaitsBehindAFailingDestination(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		r.change = func(c *Config) { c.Undeliverable = []string{"everyone"} }
		r.begin()
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return &notify.SendError{Destination: "oncall/webhook[0]", Err: ctx.Err()}
		})
		all := make([]alert.Alert, 0, 50)
		rule := func(a *alert.Alert) { a.Rule = a.ID }
		for i := range 50 {
			all = append(all, r.judge(fmt.Sprint("a", i), alert.Firing, alert.Critical, rule))
		}
		r.consume(all...)
		for range 4 {
			r.after(30 * time.Second)
			for i := range all {
				all[i] = r.judge(all[i].ID, alert.Firing, alert.Critical, rule)
			}
			r.consume(all...)
		}
		told := map[string]bool{}
		for _, m := range r.people.take() {
			require.Equal(t, "everyone/webhook[0]", m.destination)
			require.False(t, told[m.Key])
			told[m.Key] = true
		}
		require.Len(t, told, 50)
	})
}

func TestWatchdog(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		r.change = func(c *Config) { c.Watchdog = WatchdogConfig{Receiver: "everyone", Interval: time.Minute} }
		r.begin()
		barks := func() int {
			sent := r.people.take()
			for _, m := range sent {
				require.Equal(t, "everyone/webhook[0]", m.destination)
				require.Equal(t, "Watchdog", m.Alerts[0].Labels["alertname"])
				require.True(t, m.Alerts[0].EndsAt.IsZero())
			}
			return len(sent)
		}
		r.after(time.Second)
		require.Equal(t, 1, barks(), "at once")
		r.after(3 * time.Minute)
		require.Equal(t, 3, barks())
		r.ledger.set(errors.New("the disk is full"))
		r.after(10 * time.Minute)
		require.Zero(t, barks(), "while the ledger takes nothing, somebody must miss it")
		r.ledger.set(nil)
		r.after(2 * time.Minute)
		require.NotZero(t, barks())
		r.people.answers("everyone/webhook[0]", failing(false, 0))
		r.after(time.Minute)
		require.Zero(t, barks())
	})
}

func TestTestPages(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		try := func(receiver string) *ledger.Trial {
			var asked *ledger.Trial
			require.NoError(t, r.ledger.Update(t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
				asked, err = ledger.Try(tx, receiver, "ada")
				return err
			}))
			r.settle()
			var done *ledger.Trial
			require.NoError(t, r.ledger.View(t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
				done, err = tx.Trial(asked.ID)
				return err
			}))
			return done
		}
		got := try("oncall")
		require.False(t, got.DoneAt.IsZero())
		require.Empty(t, got.Error)
		sent := r.people.take()
		require.Len(t, sent, 2)
		require.Contains(t, sent[0].Alerts[0].Annotations["summary"], "ada")
		require.False(t, sent[1].Alerts[0].EndsAt.IsZero(), "no incident stays open for a test")
		require.Equal(t, sent[0].Key, sent[1].Key)

		r.people.answers("oncall/webhook[0]", failing(false, 0))
		require.Contains(t, try("oncall").Error, "500 Internal Server Error")
		require.Contains(t, try("nobody").Error, `there is no receiver "nobody"`)
	})
}

func TestWhatIsPublishedForThePage(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.finish()
		r.change = func(c *Config) {
			owner := c.Owners["inference"]
			owner.AlertBudget = "2 per 12h"
			c.Owners["inference"] = owner
		}
		r.begin()
		require.NoError(t, r.ledger.View(t.Context(), time.Now(), func(tx ledger.Tx) error {
			text, err := tx.Setting(ledger.SettingReceivers)
			require.NoError(t, err)
			require.JSONEq(t, `["oncall", "lead", "everyone"]`, text)
			text, err = tx.Setting(ledger.SettingBudgets)
			require.NoError(t, err)
			var budgets map[string]escalate.Budget
			require.NoError(t, json.Unmarshal([]byte(text), &budgets))
			require.Equal(t, map[string]escalate.Budget{"inference": {Pages: 2, Within: 12 * time.Hour}}, budgets)
			return nil
		}))
	})
}
