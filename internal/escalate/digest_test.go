package escalate

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func TestDigestText(t *testing.T) {
	spec := DefaultSpec()
	spec.Owners = map[string]OwnerSpec{Unowned: {Steps: []StepSpec{{Receivers: []string{"everyone"}}}}}
	p, err := Build(spec, Document{Receiver: func(string) bool { return true }})
	require.NoError(t, err)
	now := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	episode := func(id, rule, series string, opened, lasted time.Duration, verdict ledger.Verdict) *ledger.Episode {
		e := &ledger.Episode{ID: id, Rule: rule, AlertID: series, Owner: "inference", Severity: alert.Low, OpenedAt: now.Add(-opened), Verdict: verdict}
		if lasted > 0 {
			e.EndedAt = e.OpenedAt.Add(lasted)
		}
		return e
	}
	episodes := []*ledger.Episode{
		episode("1", "CacheWarm", "a", 20*time.Hour, 90*time.Second, ledger.FalsePositive),
		episode("2", "CacheWarm", "a", 10*time.Hour, 2*time.Hour+5*time.Minute, ""),
		episode("3", "CacheWarm", "b", 26*time.Hour, 0, ""),
		episode("4", "QueueLong", "c", time.Hour, 45*time.Second, ""),
		episode("5", "QueueLong", "c", 50*time.Hour, time.Minute, ""), // told of yesterday
	}
	m := p.DigestPage(DigestID("inference", now), episodes, now.Add(-24*time.Hour), 1, now)
	require.Len(t, m.Alerts, 4)
	want := `4 alerts of inference, by 2 rules; 1 still open, 3 not judged.
CacheWarm: 3 times on 2 series, for 1d4h altogether, 1d2h at most; 1 still open, since 1d2h; 2 not judged
QueueLong: 1 time on 1 series, for 45s; 1 not judged`
	for _, a := range m.Alerts {
		assert.Equal(t, want, a.Annotations[AnnotationDigest])
	}
	var many []*ledger.Episode
	for i := range 100 {
		many = append(many, episode(fmt.Sprint(i), fmt.Sprint("Rule", i), "a", time.Hour, time.Minute, ""))
	}
	text := digestText("inference", many, now)
	assert.Equal(t, digestRules+2, len(strings.Split(text, "\n")))
	assert.True(t, strings.HasSuffix(text, "… and 70 rules more."), text)
	assert.Empty(t, p.DigestPage(DigestID("inference", now), nil, now, 1, now).Alerts)
}
