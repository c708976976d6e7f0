package escalationexporter

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// Many senders at once, each with its own alerts, and one that all share: whatever the interleaving, the last
// judgement of each alert is what the ledger says in the end, and what it says of open alerts is what the view knows.
func TestConcurrentBatches(t *testing.T) {
	document, _ := webhook(t)
	l := ledgertest.New(t)
	x := real(t, l, document)
	start := time.Now()
	const senders, alerts, rounds = 8, 5, 40
	last := make([]map[string]alert.State, senders)
	var work sync.WaitGroup
	for s := range senders {
		last[s] = map[string]alert.State{}
		work.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(s)))
			for round := range rounds {
				at := start.Add(time.Duration(round*senders+s) * time.Millisecond)
				var judgements []alert.Alert
				for i := range alerts {
					a := realAlert(fmt.Sprint(s, "-", i), alert.Severities[random.IntN(4)])
					a.Time, a.Rule = at, fmt.Sprint("rule-", i)
					if random.IntN(3) == 0 {
						a.State, a.Reason = alert.Inactive, alert.ReasonRecovered
					}
					last[s][a.ID] = a.State
					judgements = append(judgements, a)
				}
				shared := realAlert("shared", alert.Critical)
				shared.Time = at
				if err := x.consume(context.Background(), batch(append(judgements, shared)...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
	// On a loaded machine a commit may take longer than ledger_timeout: then the journal has the rest.
	require.Eventually(t, func() bool { return x.journal.size() == 0 }, time.Minute, 10*time.Millisecond)
	open := 1
	for s := range senders {
		for id, state := range last[s] {
			var e *ledger.Episode
			err := l.View(t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
				e, err = tx.LastEpisode(id)
				return err
			})
			if state == alert.Firing {
				require.NoError(t, err)
				require.True(t, e.Open(), id)
				open++
			} else if err == nil {
				require.False(t, e.Open(), id)
			}
		}
	}
	known, _ := x.view.counts()
	require.Equal(t, open, known)
	require.NoError(t, x.shutdown(context.Background()))
}

func TestFloodsAreRecordedMostUrgentFirst(t *testing.T) {
	judged := func(id string, severity alert.Severity, state alert.State) alert.Alert {
		return alert.Alert{ID: id, Severity: severity, State: state}
	}
	flood := []alert.Alert{
		judged("a", alert.Medium, alert.Firing), judged("b", alert.Critical, alert.Inactive), judged("c", alert.High, alert.Inactive),
		judged("b", alert.Critical, alert.Firing), judged("d", alert.Critical, alert.Firing), judged("a", alert.High, alert.Firing),
	}
	urgentFirst(flood)
	var got []string
	for _, a := range flood {
		got = append(got, a.ID+" "+a.State.String()+" "+a.Severity.String())
	}
	require.Equal(t, []string{
		"b inactive critical", "b firing critical", "d firing critical", "a firing medium", "a firing high", "c inactive high",
	}, got)
}
