package escalate

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

func number64(v float64) *float64 { return &v }

func testEpisode() *ledger.Episode {
	return &ledger.Episode{
		ID: "ep1", AlertID: "c0ffee", Rule: "KVCacheNearlyFull", Owner: "inference-platform", Severity: alert.Critical,
		Labels:      map[string]string{"instance": "gpu-7", "severity": "data says so", "episode_id": "forged"},
		Annotations: map[string]string{"summary": "KV cache 97% full", "value": "the rule's own"},
		Response:    "Drain the replica, then add one.",
		Value:       number64(0.97), Threshold: number64(0.9),
		StartsAt: noon.Add(-5 * time.Minute), OpenedAt: noon,
	}
}

func TestWhatAPageCarries(t *testing.T) {
	p := testPolicy(t)
	e := testEpisode()
	g := p.Open(e, noon)
	require.Equal(t, `{alertname="KVCacheNearlyFull", owner="inference-platform"}:ep1`, g.ID)
	m := p.Page(g, []*ledger.Episode{e}, time.Time{}, 2, noon)
	require.Equal(t, notify.Message{
		Key: g.ID, Now: noon,
		GroupLabels: map[string]string{"owner": "inference-platform", "alertname": "KVCacheNearlyFull"},
		Alerts: []notify.Alert{{
			Labels: map[string]string{
				"alertname": "KVCacheNearlyFull", "severity": "critical", "owner": "inference-platform",
				"alert_id": "c0ffee", "episode_id": "ep1", "instance": "gpu-7",
			},
			Annotations: map[string]string{
				"summary": "KV cache 97% full", "response": "Drain the replica, then add one.", "value": "0.97",
				"threshold": "0.9", "step": "2", "page_url": "https://alerts.example.com/pager/alerts/ep1", "respond_within": "30m0s",
			},
			StartsAt: noon.Add(-5 * time.Minute), GeneratorURL: "https://alerts.example.com/pager/alerts/ep1",
		}},
	}, m)
}

func TestAPageWithoutAddressOrNumbers(t *testing.T) {
	s := testSpec()
	s.ExternalURL = ""
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	e := testEpisode()
	e.Owner, e.Value, e.Threshold, e.Response, e.Annotations = "nobody", nil, nil, "", nil
	m := p.Page(p.Open(e, noon), []*ledger.Episode{e}, time.Time{}, 1, noon)
	require.Equal(t, map[string]string{"step": "1"}, m.Alerts[0].Annotations)
	require.Empty(t, m.Alerts[0].GeneratorURL)
	require.Equal(t, "nobody", m.Alerts[0].Labels["owner"])
}

func TestNumbersAreWrittenAsPrometheusDoes(t *testing.T) {
	for want, v := range map[string]float64{"0.1": 0.1, "30": 30, "1e+06": 1e6, "4.2e-05": 0.000042, "-0.5": -0.5} {
		require.Equal(t, want, number(&v))
	}
}

func TestTimesOfAPage(t *testing.T) {
	p := testPolicy(t)
	for name, c := range map[string]struct {
		starts, ended, now   time.Time
		wantStarts, wantEnds time.Time
	}{
		"firing":                          {noon.Add(-time.Minute), time.Time{}, noon, noon.Add(-time.Minute), time.Time{}},
		"the breach's time is not known":  {time.Time{}, time.Time{}, noon, noon, time.Time{}},
		"ended":                           {noon.Add(-time.Minute), noon.Add(time.Minute), noon.Add(time.Hour), noon.Add(-time.Minute), noon.Add(time.Minute)},
		"ended in the sender's future":    {noon, noon.Add(time.Hour), noon.Add(time.Minute), noon, noon.Add(time.Minute)},
		"begun after its end, by a clock": {noon.Add(time.Hour), noon.Add(time.Minute), noon.Add(2 * time.Hour), noon.Add(time.Minute), noon.Add(time.Minute)},
	} {
		e := testEpisode()
		e.StartsAt, e.EndedAt = c.starts, c.ended
		m := p.Page(p.Open(e, noon), []*ledger.Episode{e}, noon, 1, c.now)
		require.Len(t, m.Alerts, 1, name)
		require.Equal(t, c.wantStarts, m.Alerts[0].StartsAt, name)
		require.Equal(t, c.wantEnds, m.Alerts[0].EndsAt, name)
	}
}

func TestWhoIsInAPage(t *testing.T) {
	p := testPolicy(t)
	episode := func(id string, severity alert.Severity, change func(*ledger.Episode)) *ledger.Episode {
		e := testEpisode()
		e.ID, e.Severity = id, severity
		change(e)
		return e
	}
	told := noon.Add(10 * time.Minute)
	episodes := []*ledger.Episode{
		episode("ended before", alert.High, func(e *ledger.Episode) { e.EndedAt = noon.Add(time.Minute) }),
		episode("ended since", alert.High, func(e *ledger.Episode) { e.EndedAt = noon.Add(12 * time.Minute) }),
		episode("never told of", alert.High, func(e *ledger.Episode) {
			e.OpenedAt, e.EndedAt = noon.Add(11*time.Minute), noon.Add(12*time.Minute)
		}),
		episode("told of at the last moment", alert.High, func(e *ledger.Episode) {
			e.OpenedAt, e.NotifiedAt, e.EndedAt = told.Add(1), told.Add(1), noon.Add(13*time.Minute)
		}),
		episode("medium", alert.Medium, func(*ledger.Episode) {}),
		episode("snoozed", alert.Critical, func(e *ledger.Episode) { e.SnoozedUntil = noon.Add(time.Hour) }),
		episode("critical", alert.Critical, func(*ledger.Episode) {}),
	}
	names := func(m notify.Message) (ids []string) {
		for _, a := range m.Alerts {
			ids = append(ids, a.Labels["episode_id"])
		}
		return ids
	}
	g := p.Open(episodes[0], noon)
	now := noon.Add(20 * time.Minute)
	require.Equal(t, []string{"critical", "medium", "ended since", "told of at the last moment"}, names(p.Page(g, episodes, told, 1, now)))
	require.Equal(t, []string{"critical", "medium"}, names(p.Page(g, episodes, time.Time{}, 1, now)), "who was told nothing hears of no ends")
	require.True(t, Firing(p.Page(g, episodes, told, 1, now)))
	require.False(t, Firing(p.Page(g, episodes[:4], told, 1, now)))

	id := DigestID("team: a", noon)
	require.True(t, IsDigest(id))
	require.False(t, IsDigest(g.ID))
	digest := p.DigestPage(id, episodes, time.Time{}, 1, now)
	require.Equal(t, id, digest.Key)
	require.Equal(t, map[string]string{"owner": "team: a", "digest": "2026-01-12"}, digest.GroupLabels)
	require.Len(t, digest.Alerts, 6, "all but the snoozed one")
}

func TestGroupLabels(t *testing.T) {
	s := testSpec()
	s.GroupBy = []string{"owner", "instance", "nowhere"}
	p, err := Build(s, knownDocument)
	require.NoError(t, err)
	e := testEpisode()
	e.Labels["instance"] = "a\"}\n"
	require.Equal(t, `{instance="a\"}\n", owner="inference-platform"}`, GroupKey(p.GroupLabels(e)))
}

func TestLongGroupKeys(t *testing.T) {
	long := strings.Repeat("ä", 10_000)
	a, b := GroupKey(map[string]string{"owner": "x", "z": long + "a"}), GroupKey(map[string]string{"owner": "x", "z": long + "b"})
	require.NotEqual(t, a, b)
	require.LessOrEqual(t, len(a), 512)
	require.True(t, utf8.ValidString(a))
}

func TestSequenceSaysUpToWhenIsTold(t *testing.T) {
	first := Sequence(0, noon)
	require.Equal(t, noon, ToldUntil(first).UTC())
	require.Equal(t, first+1, Sequence(first, noon.Add(-time.Hour)), "a clock that is set back goes on")
	require.True(t, ToldUntil(0).IsZero())
}
