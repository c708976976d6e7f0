package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// noisy has a rule with twenty false alarms a little above its threshold and four real ones far beyond it.
func (l *town) noisy() {
	for i := range 24 {
		l.now = l.now.Add(12 * time.Hour)
		level, verdict := 0.905+float64(i)/1000, ledger.FalsePositive
		if i >= 20 {
			level, verdict = 0.98, ledger.TruePositive
		}
		a := firing(fmt.Sprint("noisy-", i), "Noisy/Rule", alert.High, "inference")
		a.Threshold, a.FiringLevel = f(0.9), &level
		id := l.record(a)
		l.do(func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
		l.do(func(tx ledger.Tx) error { return ledger.Resolve(tx, id, "anna", "") })
		l.do(func(tx ledger.Tx) error { return ledger.Judge(tx, id, verdict, "anna", "") })
	}
}

func decoded[T any](t *testing.T, w *httptest.ResponseRecorder) (v T) {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v))
	return v
}

func TestRules(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	list := decoded[struct{ Rules []Rule }](t, get(t, s, "/api/v1/rules"))
	assert.Equal(t, []Rule{}, list.Rules)
	l.noisy()
	list = decoded[struct{ Rules []Rule }](t, get(t, s, "/api/v1/rules"))
	require.Len(t, list.Rules, 1)
	r := list.Rules[0]
	assert.Equal(t, "Noisy/Rule", r.Rule)
	assert.Equal(t, []string{"inference"}, r.Owners)
	assert.EqualValues(t, 24, r.Notified)
	assert.EqualValues(t, 24, r.Judged)
	require.NotNil(t, r.FalsePositives)
	assert.InDelta(t, 20.0/24, r.FalsePositives.Ratio, 1e-9)
	require.Len(t, r.Thresholds, 1)
	th := r.Thresholds[0]
	assert.Equal(t, 0.9, th.Current)
	require.NotNil(t, th.Suggested, th.Sentence)
	assert.Equal(t, 4, th.After.Episodes)
	assert.Contains(t, th.Sentence, "20 of 24 pages in 30 days would have gone, all 4 incidents kept")
	assert.Nil(t, th.Curve, "only one rule has its curve")

	one := decoded[Rule](t, get(t, s, "/api/v1/rules/Noisy%2FRule"))
	curve := one.Thresholds[0].Curve
	require.NotEmpty(t, curve)
	assert.Equal(t, 24, curve[0].Episodes)
	require.Len(t, one.Days, 30)
	assert.Equal(t, Day{Day: "2026-01-14", Verified: 1}, one.Days[29])
	assert.Equal(t, Day{Day: "2026-01-03", False: 2}, one.Days[18])
	assert.Empty(t, one.Misses)
	one.Thresholds[0].Curve, one.Days = nil, nil
	assert.Equal(t, r, one, "both say the same")
	assert.Equal(t, http.StatusNotFound, get(t, s, "/api/v1/rules/Nobody").Code)
	assert.Equal(t, http.StatusBadRequest, get(t, s, "/api/v1/rules?x=1").Code)
}

func TestMissed(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	l.noisy()
	post := func(body string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodPost, "http://localhost:9195/api/v1/missed", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		return w
	}
	get(t, s, "/api/v1/rules") // what is concluded before
	at := l.now.Add(-time.Hour).Format(time.RFC3339)
	body := `{"rule": "Noisy/Rule", "at": "` + at + `", "labels": {"service": "chat"}, "by": "anna", "note": "customers called"}`
	first := decoded[Missed](t, post(body))
	assert.NotEmpty(t, first.ID)
	assert.Equal(t, "anna", first.By)
	assert.Equal(t, first, decoded[Missed](t, post(body)), "the same again")
	th := decoded[struct{ Rules []Rule }](t, get(t, s, "/api/v1/rules")).Rules[0].Thresholds[0]
	assert.Equal(t, 1, th.Missed)
	require.NotNil(t, th.Recall)
	assert.InDelta(t, 0.8, th.Recall.Ratio, 1e-9)
	require.NotNil(t, th.F1)
	precision := float64(th.Before.Verified) / float64(th.Before.Verified+th.Before.False)
	assert.InDelta(t, 2*precision*0.8/(precision+0.8), *th.F1, 1e-9)
	for body, want := range map[string]string{
		`{"at": "` + at + `"}`:                          "rule: must name",
		`{"rule": "a"}`:                                 "at: must be when",
		`{"rule": "a", "at": "1999-01-01T00:00:00Z"}`:   "at: must lie within the last year",
		`{"rule": "a", "at": "` + at + `", "id": "x"}`:  "id: must be left out",
		`{"rule": "a", "at": "` + at + `", "rules": 1}`: "unknown field",
		`{"rule": "a\u0007", "at": "` + at + `"}`:       "control characters",
	} {
		w := post(body)
		assert.GreaterOrEqual(t, w.Code, 400, body)
		assert.Contains(t, w.Body.String(), want)
	}
	cross := httptest.NewRequest(http.MethodPost, "http://localhost:9195/api/v1/missed", strings.NewReader(body))
	cross.Header.Set("Content-Type", "application/json")
	cross.Header.Set("Sec-Fetch-Site", "cross-site")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, cross)
	assert.Equal(t, http.StatusForbidden, w.Code)
}
