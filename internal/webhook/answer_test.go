package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// Who presses a button in Slack is told what it has done, in a message of their own that leaves the alert where it is.
func TestSlackReply(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		action, value, text string
		code                int
	}{
		{"acknowledge", r.episode, "Acknowledged: the steps have stopped.", 200},
		{"acknowledge", r.episode, "This has been done before.", 200},
		{"snooze:2h", r.episode, "Snoozed for 2h.", 200},
		{"snooze:1y", r.episode, "Snoozed for 30d.", 200},
		{"verdict:false_positive", r.episode, "Your verdict is recorded: false positive.", 200},
		{"dance", r.episode, "Nothing was done: alerts know no such button.", 202},
		{"acknowledge", "", "Nothing was done: alerts know no such button.", 202},
		{"resolve", "unknown", "Nothing was done: the alert has ended, or is not known here any more.", 202},
		{"resolve", r.group, "Resolved.", 200},
		{"snooze:2h", r.group, "Nothing was done: the alert has ended, or is not known here any more.", 202},
	} {
		if c.text != "This has been done before." {
			r.now = r.now.Add(time.Second)
		}
		body, header := r.slackAt(c.action, c.value, r.now)
		w := r.post("slack", body, header)
		assert.Equal(t, c.code, w.Code, c.action)
		assert.JSONEq(t, fmt.Sprintf(`{"response_type": "ephemeral", "replace_original": false, "text": %q}`, c.text), w.Body.String(), c.action)
	}
}

// slackAt is a click at a time of its own.
func (r *rig) slackAt(action, value string, at time.Time) (body string, header map[string]string) {
	return r.slackClick(action, value, "trigger-"+at.String(), at)
}

// A button of a page about several alerts acknowledges what is open of them, also after the one that it names has ended. It ends and
// snoozes none but that one.
func TestAcknowledgedTogether(t *testing.T) {
	r := newRig(t)
	var second string
	r.do(func(tx ledger.Tx) error {
		_, e, err := ledger.Record(tx, &alert.Alert{
			ID: "a2", Group: "g", Rule: "R", Owner: "o", Severity: alert.Critical, State: alert.Firing, Time: r.now, Reason: alert.ReasonThreshold,
		})
		if err != nil {
			return err
		}
		second, e.GroupID = e.ID, r.group
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return ledger.End(tx, r.episode, alert.ReasonRecovered)
	})
	for _, kind := range []string{"alert.resolve", "alert.snooze"} {
		body, header := r.standard(kind, kind, `{"episode_id": "`+r.episode+`", "for": "1h"}`, r.now)
		assert.Equal(t, http.StatusAccepted, r.post("standard", body, header).Code, kind)
	}
	body, header := r.slack("acknowledge", r.episode, r.now)
	assert.Equal(t, http.StatusOK, r.post("slack", body, header).Code)
	_, g := r.state()
	assert.Equal(t, "ada (Slack)", g.AcknowledgedBy)
	r.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(second)
		assert.True(t, e.Open())
		assert.True(t, e.SnoozedUntil.IsZero())
		return err
	})
	r.do(func(tx ledger.Tx) error { return ledger.End(tx, second, alert.ReasonRecovered) })
	body, header = r.slackAt("acknowledge", r.episode, r.now)
	assert.Equal(t, http.StatusAccepted, r.post("slack", body, header).Code, "all have ended")
}

// What is about nothing here says so, and is counted as that.
func TestNothingDone(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		kind, data, note string
		want             Applied
	}{
		{"alert.resolve", `{"alert_id": "unknown"}`, "it is about nothing that is open here", Applied{Unknown: 1}},
		{"alert.resolve", `{"key": "unknown"}`, "it is about nothing that is open here", Applied{Unknown: 1}},
		{"alert.resolve", `{"episode_id": "un\u0000known"}`, "it is about nothing that is open here", Applied{Unknown: 1}},
		{"something.else", `{"alert_id": "a1"}`, "it asks for nothing that can be done about an alert here", Applied{Ignored: true}},
	} {
		body, header := r.standard(c.data+c.kind, c.kind, c.data, r.now)
		w := r.post("standard", body, header)
		assert.Equal(t, http.StatusAccepted, w.Code, c.data)
		assert.Contains(t, w.Body.String(), c.note, c.data)
		assert.Equal(t, c.want, r.applied[len(r.applied)-1], c.data)
	}
	e, _ := r.state()
	assert.True(t, e.Open())
}

// Names of people are one line, whatever a product says, and never empty.
func TestNames(t *testing.T) {
	for given, want := range map[string]string{
		"Ada": "Ada", " Ada\n\tLovelace ": "Ada Lovelace", "": "PagerDuty", "\u0000\u001b": "PagerDuty", "\xff": "\uFFFD",
		strings.Repeat("ä", 300): strings.Repeat("ä", longestName),
	} {
		assert.Equal(t, want, nameOf(given, "PagerDuty"), given)
	}
}

// slow is a ledger that answers when it is asked no more.
type slow struct{ ledger.Ledger }

func (slow) Update(ctx context.Context, _ time.Time, _ func(ledger.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (slow) View(ctx context.Context, _ time.Time, _ func(ledger.Tx) error) error {
	<-ctx.Done()
	return ctx.Err()
}

// A ledger that does not answer costs the sender less than a second, and the answer says when to come again.
func TestLedgerSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.options.Ledger = slow{r}
		r.handler = New(r.options)
		for _, route := range r.options.Routes() {
			method, path, _ := strings.Cut(strings.ReplaceAll(route, "{target}", "chat"), " ")
			body, header := rightOnes[route].ask(r, r.now)
			began := time.Now()
			w := r.send(method, path, body, header)
			assert.Equal(t, answerWithin, time.Since(began), route)
			if method == http.MethodGet {
				assert.Equal(t, http.StatusOK, w.Code, "Argo is told that nobody knows")
				continue
			}
			assert.Equal(t, http.StatusServiceUnavailable, w.Code, route)
			if strings.Contains(route, "webhooks") {
				assert.Equal(t, "5", w.Header().Get("Retry-After"), route)
			}
		}
		assert.Empty(t, r.applied)
		assert.Empty(t, r.refused)
	})
}

// broken fails in the middle of a transaction as often as it is told to.
type broken struct {
	ledger.Ledger
	after atomic.Int32 // how many events may be written
}

type brokenTx struct {
	ledger.Tx
	of *broken
}

var errDisk = errors.New("the disk is full")

func (b *broken) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	return b.Ledger.Update(ctx, now, func(tx ledger.Tx) error { return fn(brokenTx{tx, b}) })
}

func (tx brokenTx) AppendEvent(e *ledger.Event) error {
	if tx.of.after.Add(-1) < 0 {
		return errDisk
	}
	return tx.Tx.AppendEvent(e)
}

// What fails half-way through is not there at all, and is taken whole when it comes again.
func TestNothingHalfApplied(t *testing.T) {
	r := newRig(t)
	b := &broken{Ledger: r.Ledger}
	b.after.Store(1)
	r.options.Ledger = b
	r.handler = New(r.options)
	var second string
	r.do(func(tx ledger.Tx) error {
		_, e, err := ledger.Record(tx, &alert.Alert{
			ID: "a2", Group: "g", Rule: "R", Owner: "o", Severity: alert.Critical, State: alert.Firing, Time: r.now, Reason: alert.ReasonThreshold,
		})
		if err != nil {
			return err
		}
		second, e.GroupID = e.ID, r.group
		return tx.PutEpisode(e)
	})
	before := r.events()
	body, header := r.pagerDuty("1", "incident.resolved", "user_reference", r.now) // ends both, with an event each
	w := r.post("pagerduty", body, header)
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.NotContains(t, w.Body.String(), "disk")
	assert.Equal(t, before, r.events())
	e, _ := r.state()
	assert.True(t, e.Open(), "neither of both")
	b.after.Store(10)
	w = r.post("pagerduty", body, header)
	require.Equal(t, http.StatusOK, w.Code)
	var said struct{ Done int }
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said))
	assert.Equal(t, 1, said.Done)
	assert.False(t, r.applied[len(r.applied)-1].Repeated, "the first time that it is there")
	for _, id := range []string{r.episode, second} {
		r.do(func(tx ledger.Tx) error {
			e, err := tx.Episode(id)
			assert.False(t, e.Open())
			return err
		})
	}
}

// Ten thousand verdicts that come by webhooks are those of one person for each way, however they are signed.
func TestVerdictsCountPeople(t *testing.T) {
	r := newRig(t)
	people := map[string]bool{}
	for i := range 100 {
		body, header := r.standard(fmt.Sprint(i), "alert.verdict", fmt.Sprintf(`{"episode_id": %q, "verdict": "false_positive", "by": "person %d"}`, r.episode, i), r.now)
		require.Equal(t, http.StatusOK, r.post("standard", body, header).Code)
		e, _ := r.state()
		people[e.VerdictBy] = true
	}
	assert.Equal(t, map[string]bool{standardPerson: true}, people)
	assert.Equal(t, ledgertest.Epoch, r.now)
}
