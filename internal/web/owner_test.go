package web

import (
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Each owner's load, by API and on the page.
func TestOwnersPage(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	empty := decoded[Owners](t, get(t, s, "/api/v1/owners"))
	assert.Equal(t, []Owner{}, empty.Owners)
	assert.Contains(t, words(get(t, s, "/owners").Body.String()), "Nobody has been alerted in 30 days.")

	l.seed()
	ids := []string{
		l.past(firing("x", "R", alert.High, "<i>search</i>"), 10*time.Hour, time.Hour, true),
		l.past(firing("y", "R", alert.High, "<i>search</i>"), 9*time.Hour, time.Hour, true),
		l.past(firing("z", "R", alert.High, "<i>search</i>"), 8*time.Hour, time.Hour, true),
	}
	l.judge(ids[0], ledger.FalsePositive)
	l.judge(ids[1], ledger.TruePositive)
	l.do(func(tx ledger.Tx) error {
		return tx.PutSetting(ledger.SettingBudgets, `{"<i>search</i>":{"pages":2,"within":604800000000000},"hardware":{"pages":4,"within":43200000000000}}`)
	})
	for i, owner := range []string{"<i>search</i>", "<i>search</i>", "<i>search</i>", "hardware"} {
		l.do(func(tx ledger.Tx) error {
			return tx.PutGroup(&ledger.Group{ID: string(rune('a' + i)), Key: string(rune('a' + i)), Owner: owner, OpenedAt: l.now, PagedAt: l.now.Add(-time.Hour), ClosedAt: l.now})
		})
	}
	all := decoded[Owners](t, get(t, s, "/api/v1/owners"))
	assert.Equal(t, 30.0, all.WindowDays)
	assert.Equal(t, l.now, all.CountedSince)
	require.Len(t, all.Owners, 3)
	o := all.Owners[0]
	require.NotNil(t, o.TimeToResolve)
	assert.InDelta(t, 3600, o.TimeToResolve.Median, 1e-6)
	o.TimeToResolve = nil
	coverage := 2.0 / 3
	assert.Equal(t, Owner{
		Owner: "<i>search</i>", Budget: &Budget{Pages: 2, Within: model.Duration(7 * 24 * time.Hour), Paged: 3, Used: 1.5}, Pages: 3, Episodes: 3, Notified: 3, Judged: 2,
		Unjudged: 1, Coverage: &coverage, Verdicts: map[ledger.Verdict]int64{ledger.FalsePositive: 1, ledger.TruePositive: 1},
		FalsePositives: ratioOf(calibrate.NewProportion(1, 2)),
	}, o)
	assert.Contains(t, get(t, s, "/api/v1/owners").Body.String(), `"budget":{"pages":2,"within":"1w","paged":3,"used":1.5}`)
	assert.Equal(t, "hardware", all.Owners[1].Owner)
	assert.Equal(t, l.now.Add(-26*time.Hour), all.Owners[1].OldestAt)
	assert.Nil(t, all.Owners[2].Budget)

	body := get(t, s, "/owners").Body.String()
	page := words(body)
	for _, part := range []string{
		"<i>search</i> 150 % of the budget over 3 of 2 pages in 7 days Pages 3 Open now 0 Judged 67 % 2 of 3 1 wait False alarms 50 % 9 to 91 %, of 2 judged " +
			"Acknowledged – Resolved 1h median of 3, 90 % within 1h Steps taken 0",
		"hardware 25 % of the budget 1 of 4 pages in 12h Pages 1 Open now 1 oldest for 1d 2h Judged – False alarms – nobody has judged Acknowledged –",
		"inference-platform No alert budget is agreed. Pages 0 Open now 3",
		"Pages and verdicts of 30 days; steps and durations since 2026-01-02.",
	} {
		assert.Contains(t, page, part)
	}
	for _, part := range []string{
		`href="/?owner=%3Ci%3Esearch%3C%2Fi%3E"`, `href="/judge?owner=%3Ci%3Esearch%3C%2Fi%3E"`,
		`<rect class="used" width="100.0"`, `<rect class="limit" x="66.7"`, `<rect class="used" width="25.0"`,
	} {
		assert.Contains(t, body, part)
	}
	assert.Equal(t, 400, get(t, s, "/owners?x=1").Code)
	assert.Equal(t, 400, get(t, s, "/api/v1/owners?x=1").Code)
}
