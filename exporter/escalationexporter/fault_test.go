package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componentstatus"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

func failing(permanent bool, asked time.Duration) func(context.Context, notify.Message) error {
	return func(context.Context, notify.Message) error {
		return &notify.SendError{Destination: "oncall/webhook[0]", Permanent: permanent, RetryAfter: asked, Err: errors.New("500 Internal Server Error")}
	}
}

func TestReceiverIsDownForHalfAnHour(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		for i := range 20 {
			r.consume(r.judge(fmt.Sprint("a", i), alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = a.ID }))
		}
		r.expect()
		require.Contains(t, r.delivery("a0").LastError, "500")
		require.Contains(t, r.events("a0"), alert.EventPageFailed)
		for range 30 {
			r.after(time.Minute)
			for i := range 20 {
				r.consume(r.judge(fmt.Sprint("a", i), alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = a.ID }))
			}
		}
		for _, m := range r.people.take() {
			require.Equal(t, "lead/webhook[0]", m.destination, "the chain goes on")
		}
		require.Less(t, r.people.tries["oncall/webhook[0]"], 50, "it is tried with one message at a time, ever more seldom")
		for i := range 5 { // these recover before anybody could be told
			r.consume(r.judge(fmt.Sprint("a", i), alert.Inactive, alert.Critical, func(a *alert.Alert) { a.Rule = a.ID }))
		}
		r.people.take()
		r.people.answers("oncall/webhook[0]", nil)
		r.after(2 * time.Minute)
		told := map[string]bool{}
		for _, m := range r.people.take() {
			if m.destination == "oncall/webhook[0]" {
				require.Len(t, m.Alerts, 1)
				require.True(t, m.Alerts[0].EndsAt.IsZero(), "what ended untold is not told")
				require.False(t, told[m.Key], "each once")
				told[m.Key] = true
			}
		}
		require.Len(t, told, 15)
		require.Empty(t, r.delivery("a9").LastError)
	})
}

func TestReceiverRefuses(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(true, 0))
		r.fires("a", alert.Critical)
		r.stays(10*time.Minute-time.Second, "a", alert.Critical)
		require.Equal(t, 2, r.people.tries["oncall/webhook[0]"], "slowly")
		r.people.answers("oncall/webhook[0]", nil)
		r.after(time.Second)
		r.expect("10m0s oncall/webhook[0] a critical firing")
	})
}

func TestOneRefusedMessageHoldsUpNoOther(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, m notify.Message) error {
			if m.GroupLabels["alertname"] == "Refused" {
				return failing(true, 0)(ctx, m)
			}
			return nil
		})
		r.consume(r.judge("a", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = "Refused" }))
		r.fires("b", alert.Critical)
		r.expect("0s oncall/webhook[0] b critical firing")
		require.Contains(t, r.delivery("a").LastError, "500")
	})
}

func TestReceiverAsksForTime(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(false, 90*time.Second))
		r.fires("a", alert.Critical)
		r.people.answers("oncall/webhook[0]", nil)
		r.after(89 * time.Second)
		r.expect()
		r.after(time.Second)
		r.expect("1m30s oncall/webhook[0] a critical firing")
	})
}

func TestSlowReceiverDelaysNobodyElse(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done() // never answers
			return &notify.SendError{Destination: "oncall/webhook[0]", Err: ctx.Err()}
		})
		for i := range 50 {
			r.consume(r.judge(fmt.Sprint("slow", i), alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule = a.ID }))
		}
		r.after(time.Second)
		for i := range 50 {
			r.consume(r.judge(fmt.Sprint("other", i), alert.Firing, alert.Critical, func(a *alert.Alert) { a.Rule, a.Owner = a.ID, "nobody" }))
		}
		sent := r.people.take()
		require.Len(t, sent, 50)
		for _, m := range sent {
			require.Equal(t, "everyone/webhook[0]", m.destination)
			require.Equal(t, time.Second, m.at.Sub(r.start))
		}
	})
}

func TestLedgerOutage(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("before", alert.Critical)
		r.people.take()
		r.ledger.set(errors.New("the disk is full"))
		r.after(time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.High), r.judge("b", alert.Firing, alert.Critical))
		require.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError}, r.host.reported())
		r.after(time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.High)) // a repetition
		require.Equal(t, 2, r.x.journal.size(), "repetitions do not fill the journal")
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("b", alert.Inactive, alert.Critical))
		r.after(10 * time.Minute)
		r.expect()
		r.ledger.set(nil)
		r.after(2 * time.Second)
		r.expect("12m1s oncall/webhook[0] before critical firing, a critical firing")
		require.Zero(t, r.x.journal.size())
		require.Equal(t, []string{alert.EventFired, alert.EventSeverity, alert.EventPaged}, without(r.events("a"), alert.EventEscalated))
		require.False(t, r.episode("b").Open())
		require.Equal(t, componentstatus.StatusOK, r.host.reported()[len(r.host.reported())-1])
		require.Equal(t, alert.ReasonThreshold, r.episode("before").Reason, "nobody was unheard of but us")
		r.after(2*time.Minute + 58*time.Second)
		require.Equal(t, alert.ReasonThreshold, r.episode("before").Reason)
		r.after(2 * time.Second)
		require.Equal(t, alert.ReasonNoData, r.episode("before").Reason)
	})
}

func TestFullJournalGivesBatchesBack(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.x.journal.limit = 3
		r.ledger.set(errors.New("the disk is full"))
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("b", alert.Firing, alert.Critical))
		lost := batch(r.judge("c", alert.Firing, alert.Critical), r.judge("d", alert.Firing, alert.Critical))
		require.ErrorIs(t, r.x.consume(t.Context(), lost), errJournalFull)
		require.ErrorIs(t, r.x.consume(t.Context(), lost), errJournalFull, "a retry is no repetition")
		r.ledger.set(nil)
		r.after(2 * time.Second)
		require.NoError(t, r.x.consume(t.Context(), lost))
		for _, id := range []string{"a", "b", "c", "d"} {
			require.True(t, r.episode(id).Open())
		}
	})
}

func TestOnePoisonedTransitionHoldsUpNobody(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		poisoned := &picky{Ledger: r.ledger, id: "poison"}
		r.x.ledger = poisoned
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("poison", alert.Firing, alert.Critical), r.judge("b", alert.Firing, alert.Critical))
		r.after(time.Minute)
		require.Zero(t, r.x.journal.size())
		require.True(t, r.episode("a").Open())
		require.True(t, r.episode("b").Open())
	})
}

// picky refuses every update that has to do with one alert.
type picky struct {
	ledger.Ledger
	id string
}

func (p *picky) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	return p.Ledger.Update(ctx, now, func(tx ledger.Tx) error { return fn(pickyTx{tx, p.id}) })
}

type pickyTx struct {
	ledger.Tx
	id string
}

func (p pickyTx) PutEpisode(e *ledger.Episode) error {
	if e.AlertID == p.id {
		return errors.New("poisoned")
	}
	return p.Tx.PutEpisode(e)
}

// What is ordered while a message is on its way follows it at once, and never overtakes it.
func TestNewsWhileAMessageIsOnItsWay(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(context.Context, notify.Message) error {
			time.Sleep(10 * time.Second)
			return nil
		})
		r.consume(r.judge("a", alert.Firing, alert.Critical))
		r.after(5 * time.Second)
		r.recovers("a")
		r.after(15 * time.Second)
		r.expect("10s oncall/webhook[0] a critical firing", "20s oncall/webhook[0] a critical resolved")
	})
}

// A destination that comes back while all that is open is snoozed hears nothing that it would take for the end.
func TestNothingIsToldOfASleepingGroup(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.Critical)
		r.expect("0s oncall/webhook[0] a critical firing")
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		r.after(time.Minute)
		r.fires("b", alert.Critical)
		r.consume(r.judge("a", alert.Firing, alert.Critical))
		r.after(3 * time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("b", alert.Firing, alert.Critical))
		r.after(2 * time.Minute) // an update fell due, and cannot be delivered
		require.NotEmpty(t, r.delivery("a").LastError)
		r.recovers("a")
		r.does("b", func(tx ledger.Tx, e string) error {
			return ledger.Snooze(tx, e, time.Now().Add(time.Hour), "ada", "")
		})
		r.people.answers("oncall/webhook[0]", nil)
		r.stays(59*time.Minute, "b", alert.Critical)
		r.expect()
		r.stays(time.Minute, "b", alert.Critical)
		r.expect("1h6m0s oncall/webhook[0] b critical firing, a critical resolved")
	})
}

// What could not be delivered as a page is one when it gets through, whatever was ordered since.
func TestALatePageIsAPage(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", failing(false, 0))
		r.fires("a", alert.Critical)
		r.after(time.Minute)
		r.fires("b", alert.Critical)
		r.consume(r.judge("a", alert.Firing, alert.Critical))
		r.after(3 * time.Minute)
		r.consume(r.judge("a", alert.Firing, alert.Critical), r.judge("b", alert.Firing, alert.Critical))
		r.after(2 * time.Minute)
		r.people.answers("oncall/webhook[0]", nil)
		r.after(2 * time.Minute)
		require.Len(t, r.people.take(), 1)
		e := r.episode("b")
		var kinds []string
		require.NoError(t, r.ledger.View(t.Context(), time.Now(), func(tx ledger.Tx) error {
			events, err := tx.EpisodeEvents(e.ID)
			for _, event := range events {
				if event.Name == alert.EventPaged {
					kinds = append(kinds, event.Reason)
				}
			}
			return err
		}))
		require.Equal(t, []string{"page"}, kinds)
	})
}

// The ledger commits, and its answer comes too late.
func TestSlowLedger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slow{Ledger: ledgertest.New(t)}
		r := newRig(t, l)
		r.begin()
		t.Cleanup(r.finish)
		l.next = true
		began := time.Now()
		r.fires("a", alert.Critical)
		require.Equal(t, time.Second, time.Since(began), "ledger_timeout")
		r.expect("1s oncall/webhook[0] a critical firing")
		require.Zero(t, r.x.journal.size())
		require.Equal(t, 2, len(without(r.events("a"), alert.EventEscalated)), "fired and paged, once each")
	})
}

// slow keeps the answer of its next update until the caller leaves.
type slow struct {
	ledger.Ledger
	next bool
}

func (s *slow) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	err := s.Ledger.Update(ctx, now, fn)
	if s.next {
		s.next = false
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// stages of a page at which the process dies.
func TestKilled(t *testing.T) {
	t.Run("between commit and send", func(t *testing.T) {
		play(t, func(t *testing.T, r *rig) {
			r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
				<-ctx.Done()
				return ctx.Err()
			})
			r.fires("a", alert.Critical)
			r.kill()
			r.expect()
			r.people.answers("oncall/webhook[0]", nil)
			r.begin()
			r.expect("0s oncall/webhook[0] a critical firing")
			require.False(t, r.episode("a").NotifiedAt.IsZero())
		})
	})
	t.Run("between send and commit", func(t *testing.T) {
		play(t, func(t *testing.T, r *rig) {
			broken := r.ledger
			r.people.answers("oncall/webhook[0]", func(context.Context, notify.Message) error {
				broken.set(errors.New("killed"))
				return nil
			})
			r.fires("a", alert.Critical)
			first := r.people.take()
			require.Len(t, first, 1)
			r.kill()
			r.people.answers("oncall/webhook[0]", nil)
			r.begin()
			again := r.people.take()
			require.Len(t, again, 1, "one repeat")
			require.Equal(t, first[0].Key, again[0].Key)
			r.after(time.Hour)
			r.recovers("a")
		})
	})
	t.Run("within a window", func(t *testing.T) {
		play(t, func(_ *testing.T, r *rig) {
			r.fires("a", alert.High)
			r.after(10 * time.Minute)
			r.kill()
			r.after(3 * time.Minute)
			r.begin()
			r.fires("a", alert.High)
			r.after(2*time.Minute - time.Second)
			r.expect()
			r.after(time.Second)
			r.expect("15m0s oncall/webhook[0] a high firing")
		})
	})
	t.Run("beyond a window, and between two steps", func(t *testing.T) {
		play(t, func(_ *testing.T, r *rig) {
			r.fires("a", alert.Critical)
			r.expect("0s oncall/webhook[0] a critical firing")
			r.kill()
			r.after(40 * time.Minute)
			r.begin()
			r.expect("40m0s lead/webhook[0] a critical firing")
			r.kill()
			r.begin()
			r.expect()
		})
	})
	t.Run("nothing is lost before one valid_for after the start", func(t *testing.T) {
		play(t, func(t *testing.T, r *rig) {
			r.consume(r.judge("a", alert.Firing, alert.High, func(a *alert.Alert) { a.ValidFor = 15 * time.Minute }))
			r.kill()
			r.after(5 * time.Hour)
			r.begin()
			r.after(15*time.Minute - time.Second)
			require.Equal(t, alert.ReasonThreshold, r.episode("a").Reason)
			r.after(time.Second)
			require.Equal(t, alert.ReasonNoData, r.episode("a").Reason)
		})
	})
	t.Run("a changed policy decides what is open anew", func(t *testing.T) {
		play(t, func(_ *testing.T, r *rig) {
			r.fires("a", alert.High)
			r.finish()
			r.change = func(c *Config) { c.Tiers.High.Window = 5 * time.Minute }
			r.after(5 * time.Minute)
			r.begin()
			r.expect("5m0s oncall/webhook[0] a high firing")
		})
	})
}

func TestShutdownKeepsWhatWasNotSent(t *testing.T) {
	play(t, func(_ *testing.T, r *rig) {
		r.people.answers("oncall/webhook[0]", func(ctx context.Context, _ notify.Message) error {
			<-ctx.Done()
			return ctx.Err()
		})
		r.fires("a", alert.Critical)
		r.finish()
		r.people.answers("oncall/webhook[0]", nil)
		r.begin()
		r.expect("0s oncall/webhook[0] a critical firing")
	})
}

func (r *rig) delivery(id string) *ledger.Delivery {
	r.t.Helper()
	g := r.group(id)
	var d *ledger.Delivery
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
		d, err = tx.Delivery(g.ID, "oncall/webhook[0]")
		return err
	}))
	return d
}

func without(names []string, name string) []string {
	var rest []string
	for _, n := range names {
		if !strings.HasPrefix(n, name) {
			rest = append(rest, n)
		}
	}
	return rest
}

// Reads fail, writes would not: the outage is over when both work, with nothing to commit.
func TestOutageEndsWithoutTraffic(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.fires("a", alert.High)
		r.ledger.set(errors.New("the disk is gone"))
		r.after(20 * time.Minute)
		require.True(t, r.x.ledgerDown())
		r.ledger.set(nil)
		r.after(time.Second)
		require.False(t, r.x.ledgerDown())
		r.expect("20m1s oncall/webhook[0] a high firing")
	})
}

// A ledger that is merely slow loses nothing.
func TestDrainOfASlowLedgerDiscardsNothing(t *testing.T) {
	play(t, func(t *testing.T, r *rig) {
		r.x.ledger = &late{Ledger: r.ledger, until: time.Now().Add(10 * time.Minute)}
		r.fires("a", alert.Critical)
		r.after(20 * time.Minute)
		require.True(t, r.episode("a").Open())
		require.Zero(t, r.x.journal.size())
	})
}

// late answers no update in time, until a time.
type late struct {
	ledger.Ledger
	until time.Time
}

func (l *late) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	if time.Now().Before(l.until) {
		<-ctx.Done()
		return ctx.Err()
	}
	return l.Ledger.Update(ctx, now, fn)
}

// PagerDuty is not sent more than it takes, and what is critical does not wait behind what is not.
func TestPagerDutyIsNotOverrun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type try struct {
			topic string
			at    time.Time
		}
		var mu sync.Mutex
		var tries []try
		d := &destination{
			name: "oncall/pagerduty[0]", ctx: t.Context(), known: map[string]*job{}, limiter: limiterFor("oncall/pagerduty[0]"),
			jitter: func() float64 { return 0 }, changed: func(error) {},
			send: func(_ context.Context, topic string) sent {
				mu.Lock()
				defer mu.Unlock()
				tries = append(tries, try{topic, time.Now()})
				return sent{}
			},
		}
		for i := range 300 {
			d.offer(&ledger.Delivery{Topic: fmt.Sprint("low", i), Tier: alert.Low, Due: time.Now()})
		}
		time.Sleep(30 * time.Second)
		asked := time.Now()
		d.offer(&ledger.Delivery{Topic: "critical", Tier: alert.Critical, Due: time.Now()})
		time.Sleep(10 * time.Minute)
		d.stop()
		require.Len(t, tries, 301)
		for i := range tries {
			inAMinute := 0
			for j := i; j < len(tries) && tries[j].at.Sub(tries[i].at) < time.Minute; j++ {
				inAMinute++
			}
			require.LessOrEqual(t, inAMinute, 100)
			if tries[i].topic == "critical" {
				require.Less(t, tries[i].at.Sub(asked), time.Second)
			}
		}
	})
	require.Nil(t, limiterFor("oncall/webhook[0]"))
}
