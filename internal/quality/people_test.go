package quality

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// Where two people are wanted, ten thousand verdicts of one move nothing: neither of somebody who gives another name each
// time, nor of somebody whose name looks like those. One verdict of another person, and the suggestion stands.
func TestOnePersonMovesNothing(t *testing.T) {
	for who, by := range map[string]func(n int) string{
		"local, under ten thousand names": func(n int) string { return calibrate.LocalPerson(fmt.Sprintf("person %d", n)) },
		"local, named as people are kept": func(n int) string {
			return calibrate.LocalPerson([]string{"", "local", "local/", "local/anna", "authenticated/local", "slack/U1", "webhook/standard", "\u202eanna", "anna\x00"}[n%9])
		},
		"authenticated":                        func(int) string { return calibrate.Authenticated("anna") },
		"authenticated as local":               func(int) string { return calibrate.Authenticated("local") },
		"authenticated as a local name":        func(int) string { return calibrate.Authenticated("local/anna") },
		"authenticated as somebody escaped":    func(int) string { return calibrate.Authenticated("authenticated/local") },
		"authenticated with what SQL minds":    func(int) string { return calibrate.Authenticated(`'; DROP TABLE episodes; -- "%_\`) },
		"authenticated with one of every sort": func(int) string { return calibrate.Authenticated(" Ånna\t\u0000\u200d🙂/local ") },
	} {
		t.Run(who, func(t *testing.T) {
			verdicts := 200
			if who == "local, under ten thousand names" {
				verdicts = 10_000
			}
			l := ledgertest.New(t)
			var last string
			end := ledgertest.Epoch.Add(20 * 24 * time.Hour)
			update := func(at time.Time, fn func(tx ledger.Tx) error) {
				t.Helper()
				require.NoError(t, l.Update(context.Background(), at, fn))
			}
			const days = 20
			for day := range days {
				update(ledgertest.Epoch.Add(time.Duration(day)*24*time.Hour), func(tx ledger.Tx) error {
					for i := range verdicts / days {
						n := day*verdicts/days + i
						threshold, level := 0.9, 0.9+float64(n%100+1)/2000
						_, e, err := ledger.Record(tx, &alert.Alert{
							ID: fmt.Sprint(n), Rule: "Full", Severity: alert.High, State: alert.Firing, Time: tx.Now(), Threshold: &threshold, FiringLevel: &level,
						})
						if err != nil {
							return err
						}
						e.NotifiedAt, last = tx.Now(), e.ID
						if err := tx.PutEpisode(e); err != nil {
							return err
						}
						verdict := ledger.FalsePositive
						if n%100 == 99 {
							verdict = ledger.TruePositive
						}
						if err := ledger.Judge(tx, e.ID, verdict, by(n), ""); err != nil {
							return err
						}
					}
					return nil
				})
			}
			limits := calibrate.DefaultLimits()
			limits.MinPeople = 2
			const window = 30 * 24 * time.Hour
			concluded := func() (s calibrate.Suggestion) {
				a := &Assessor{Window: window, Limits: limits}
				require.NoError(t, l.View(context.Background(), end, func(tx ledger.Tx) error {
					rule, err := a.Look(tx, "Full")
					require.NoError(t, err)
					require.Len(t, rule.Thresholds, 1)
					s = rule.Thresholds[0].Suggestion
					return nil
				}))
				return s
			}
			s := concluded()
			assert.Equal(t, verdicts, s.Labelled)
			assert.Equal(t, 1, s.People)
			assert.Equal(t, calibrate.FewPeople, s.Reason)
			assert.Zero(t, s.Threshold)
			assert.Equal(t, "verdicts of 1 of 2 people", s.Sentence(window))

			update(end, func(tx ledger.Tx) error {
				return ledger.Judge(tx, last, ledger.TruePositive, calibrate.Authenticated("bob"), "")
			})
			s = concluded()
			assert.Equal(t, 2, s.People)
			assert.Equal(t, calibrate.Stands, s.Reason)
		})
	}
}
