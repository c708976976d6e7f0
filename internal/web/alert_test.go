package web

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// The names and forms of the API's fields, as programs have come to rely on: an alert in hand, and one that has ended.
func TestAlertJSON(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	for _, name := range []string{"kv", "ttft", "gpu", "queue", "p1"} {
		if name == "p1" {
			require.Equal(t, 200, postJSON(t, s, "/api/v1/alerts/"+ids[name]+"/verdict", `{"verdict":"true_positive","by":"anna","note":"it was"}`).Code)
		}
		body := get(t, s, "/api/v1/alerts/"+ids[name]).Body.String()
		body = strings.ReplaceAll(body, ids[name], "EPISODE")
		want, err := os.ReadFile("testdata/alert-" + name + ".json")
		if os.Getenv("UPDATE") != "" {
			var v any
			require.NoError(t, json.Unmarshal([]byte(body), &v))
			pretty, err := json.MarshalIndent(v, "", "  ")
			require.NoError(t, err)
			require.NoError(t, os.WriteFile("testdata/alert-"+name+".json", append(pretty, '\n'), 0o600))
			continue
		}
		require.NoError(t, err)
		assert.JSONEq(t, string(want), body, name)
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{math.Inf(1): `"+Inf"`, math.Inf(-1): `"-Inf"`, 0.9: `0.9`, -1e300: `-1e+300`} {
		raw, err := json.Marshal(Number(v))
		require.NoError(t, err)
		assert.Equal(t, want, string(raw))
	}
	raw, err := json.Marshal(Number(math.NaN()))
	require.NoError(t, err)
	assert.Equal(t, `"NaN"`, string(raw))
	var n Number
	assert.Error(t, json.Unmarshal([]byte(`"much"`), &n))
	assert.Error(t, json.Unmarshal([]byte(`{}`), &n))
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64().Draw(t, "v")
		raw, err := json.Marshal(Number(v))
		require.NoError(t, err)
		var back Number
		require.NoError(t, json.Unmarshal(raw, &back))
		if !math.IsNaN(v) || !math.IsNaN(float64(back)) {
			require.Equal(t, v, float64(back))
		}
	})
}

// An alert that joined what somebody has in hand is in hand; when the acknowledgement has expired it is not.
func TestAcknowledgementOfTheGroup(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	l.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(ids["queue"])
		if err != nil {
			return err
		}
		e.GroupID = "g-" + ids["ttft"]
		return tx.PutEpisode(e)
	})
	a := getAlert(t, s, ids["queue"])
	assert.Empty(t, a.AcknowledgedBy, "nobody acknowledged this one")
	require.NotNil(t, a.Acknowledgement)
	assert.Equal(t, "anna", a.Acknowledgement.By)

	l.do(func(tx ledger.Tx) error {
		g, err := tx.Group("g-" + ids["ttft"])
		if err != nil {
			return err
		}
		g.AcknowledgedBy, g.AcknowledgedAt = "", time.Time{}
		return tx.PutGroup(g)
	})
	assert.Nil(t, getAlert(t, s, ids["queue"]).Acknowledgement)
	ttft := getAlert(t, s, ids["ttft"])
	assert.Nil(t, ttft.Acknowledgement)
	assert.Equal(t, "anna", ttft.AcknowledgedBy, "that it was, stays")
}

func TestSentences(t *testing.T) {
	for _, c := range []struct {
		e    ledger.Event
		want string
	}{
		{ledger.Event{Name: alert.EventFired, Severity: alert.High, Owner: "o", Reason: "threshold"}, "Fired, high, for o"},
		{ledger.Event{Name: alert.EventFired, Severity: alert.High, Owner: "o", Reason: "no_data"}, "Fired, high, for o, because its data are missing"},
		{ledger.Event{Name: alert.EventSeverity, Severity: alert.High, From: "critical"}, "Fell from critical to high"},
		{ledger.Event{Name: alert.EventSeverity, Severity: alert.High, From: "low"}, "Rose from low to high"},
		{ledger.Event{Name: alert.EventOwner, Owner: "b", From: "a"}, "Passed from a to b"},
		{ledger.Event{Name: alert.EventNoData, Reason: "no_data"}, "No data any more"},
		{ledger.Event{Name: alert.EventNoData, Reason: "threshold"}, "Data are back"},
		{ledger.Event{Name: alert.EventPaged, Reason: "page", Receiver: "r"}, "r was paged"},
		{ledger.Event{Name: alert.EventPaged, Reason: "update", Receiver: "r"}, "r was told of a change"},
		{ledger.Event{Name: alert.EventPaged, Reason: "repeat", Receiver: "r"}, "r was paged again"},
		{ledger.Event{Name: alert.EventPaged, Reason: "end", Receiver: "r"}, "r was told of the end"},
		{ledger.Event{Name: alert.EventPaged, Reason: "digest", Receiver: "r"}, "r got it in the daily digest"},
		{ledger.Event{Name: alert.EventPageFailed, Receiver: "r"}, "Could not reach r"},
		{ledger.Event{Name: alert.EventEscalated, Step: 2, Receiver: "a, b"}, "Step 2: a, b"},
		{ledger.Event{Name: alert.EventAcknowledged, By: "anna"}, "Acknowledged by anna"},
		{ledger.Event{Name: alert.EventAckExpired}, "The acknowledgement expired"},
		{ledger.Event{Name: alert.EventSnoozed, By: "anna", Reason: "2026-01-02T05:00:00Z"}, "Snoozed until 2026-01-02T05:00:00Z by anna"},
		{ledger.Event{Name: alert.EventResolved, Reason: "recovered"}, "Recovered"},
		{ledger.Event{Name: alert.EventResolved, Reason: "series_gone"}, "Ended, because its data went away"},
		{ledger.Event{Name: alert.EventResolved, Reason: "rule_removed"}, "Ended, because its rule was removed"},
		{ledger.Event{Name: alert.EventResolved, Reason: "person", By: "anna"}, "Resolved by anna"},
		{ledger.Event{Name: alert.EventResolved, Reason: "of another version"}, "Ended"},
		{ledger.Event{Name: alert.EventVerdict, Reason: "false_positive", By: "local/anna"}, "Judged false alarm by anna"},
		{ledger.Event{Name: alert.EventThreshold, Severity: alert.High, From: "0.9", Reason: "0.93", By: "local/anna"}, "The threshold of high was moved from 0.9 to 0.93 by anna"},
		{ledger.Event{Name: alert.EventThreshold, Severity: alert.Low, From: "1", Reason: "2", Receiver: "low"}, "The low bound of low was moved from 1 to 2"},
		{ledger.Event{Name: alert.EventRollbackWanted}, "A rollback was asked for"},
		{ledger.Event{Name: "alert.of_another_version"}, "of_another_version"},
	} {
		assert.Equal(t, c.want, Sentence(&c.e))
	}
}
