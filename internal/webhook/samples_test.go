package webhook

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// samples is the folder of what products really send, beside the checkout.
func samples(t testing.TB) string {
	dir := filepath.Join("..", "..", "..", "shared", "testdata", "webhooks")
	if _, err := os.Stat(dir); err != nil {
		text := "the real samples are not there: " + dir
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: %s\n\n", t.Name(), text)
		t.Skip(text)
	}
	return dir
}

func sample(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(samples(t), name))
	require.NoError(t, err)
	return content
}

// changed is a sample with parts replaced, by path: what it would be if it were about our alert.
func changed(t testing.TB, content []byte, parts map[string]any) string {
	t.Helper()
	var doc any
	require.NoError(t, json.Unmarshal(content, &doc))
	for path, value := range parts {
		at := doc
		steps := strings.Split(path, ".")
		for i, step := range steps {
			if n, err := strconv.Atoi(step); err == nil {
				at = at.([]any)[n]
				continue
			}
			if i == len(steps)-1 {
				at.(map[string]any)[step] = value
				break
			}
			at = at.(map[string]any)[step]
		}
	}
	out, err := json.Marshal(doc)
	require.NoError(t, err)
	return string(out)
}

// headers signs a body for all products, with the secrets of the rig, now.
func (r *rig) headers(body string) map[string]string {
	all := map[string]string{}
	h := signedAt(r.t, body, hash(body), r.now)
	for name := range h {
		all[name] = h.Get(name)
	}
	return all
}

// The samples of PagerDuty, Slack and Alertmanager, made to be about our alert, do what they say once they are signed, and
// nothing when they are not, are stale, or come again.
func TestSamplesAboutOurAlert(t *testing.T) {
	samples(t)
	r := newRig(t)
	for _, c := range []struct {
		source, body string
		done         func() bool
	}{
		{
			"alertmanager", changed(t, sample(t, "alerta/prometheus_v4_alert.json"), map[string]any{"alerts.0.labels.alert_id": "a1"}),
			func() bool { e, _ := r.state(); return !e.NotifiedAt.IsZero() },
		},
		{
			"pagerduty", changed(t, sample(t, "pagerduty/v3-incident.priority_updated.body.json"), map[string]any{
				"event.event_type": "incident.acknowledged", "event.data.incident_key": hash(r.group), "event.occurred_at": r.now.Format(time.RFC3339Nano),
			}),
			func() bool { _, g := r.state(); return g.AcknowledgedBy == "Tenex Engineer" },
		},
		{
			"slack", url.Values{"payload": {changed(t, sample(t, "slack/block_actions.json"), map[string]any{
				"actions.0.action_id": "verdict:false_positive", "actions.0.value": r.episode,
			})}}.Encode(),
			func() bool { e, _ := r.state(); return e.VerdictBy == "slack/W111" },
		},
	} {
		before := r.events()
		right := r.headers(c.body)
		refuse := func(why, body string, header map[string]string) {
			t.Helper()
			assert.Equal(t, http.StatusUnauthorized, r.post(c.source, body, header).Code, "%s: %s", c.source, why)
			assert.Equal(t, before, r.events(), why)
			assert.False(t, c.done(), "%s: %s", c.source, why)
		}
		refuse("unsigned", c.body, nil)
		if c.source != "alertmanager" {
			refuse("changed", strings.Replace(c.body, "a", "b", 1), right)
			now := r.now
			r.now = now.Add(49 * time.Hour)
			refuse("stale", c.body, right)
			r.now = now
		}
		w := r.post(c.source, c.body, right)
		assert.Equal(t, http.StatusOK, w.Code, w.Body)
		assert.True(t, c.done(), c.source)
		after := r.events()
		assert.Len(t, after, len(before)+1, c.source)
		assert.Equal(t, http.StatusOK, r.post(c.source, c.body, right).Code)
		assert.Equal(t, after, r.events(), "%s: replayed", c.source)
	}
}

// Everything that is there, sent to every source with a right signature: what is not its own, or asks for nothing, is refused or
// taken without effect, says why, and is counted; never does the server fail.
func TestForeignSamples(t *testing.T) {
	dir := samples(t)
	r := newRig(t)
	r.now = time.Date(2021, 4, 26, 18, 0, 0, 0, time.UTC) // soon after the sample of PagerDuty
	before := r.events()
	taken := map[string]string{} // "source file" -> what is taken without effect
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		content := string(sample(t, name))
		for source := range r.options.Sources {
			bodies := map[string]string{"": content}
			if source == "slack" {
				bodies[" as payload"] = url.Values{"payload": {content}}.Encode()
			}
			for how, body := range bodies {
				label := source + " " + name + how
				applied, refused := len(r.applied), len(r.refused)
				w := r.post(source, body, r.headers(body))
				var said struct{ Error, Note, Text string }
				require.NoError(t, json.Unmarshal(w.Body.Bytes(), &said), "%s: %s", label, w.Body)
				assert.NotEmpty(t, said.Error+said.Note+said.Text, "%s: it says why", label)
				switch w.Code {
				case http.StatusAccepted:
					taken[label] = said.Note + said.Text
					assert.Len(t, r.applied, applied+1, "%s: counted", label)
				case http.StatusBadRequest:
					assert.ErrorIs(t, r.refused[len(r.refused)-1], ErrUnreadable, label)
					assert.Len(t, r.refused, refused+1, "%s: counted", label)
				default:
					t.Errorf("%s: %d %s", label, w.Code, w.Body)
				}
				assert.Equal(t, http.StatusUnauthorized, r.post(source, body, nil).Code, label)
			}
		}
		return nil
	}))
	assert.Equal(t, before, r.events(), "nothing of it is about our alert")
	for _, label := range []string{
		"pagerduty pagerduty/v3-incident.priority_updated.body.json", // a change of priority says nothing about the alert
		"alertmanager alerta/prometheus_v4_alert.json",               // of another's alert
		"slack slack/block_actions.json as payload",                  // another's button
		"slack slack/viewSubmissionCallback.json as payload", "slack slack/viewClosedCallback.json as payload", "slack slack/dialogSubmissionCallback.json as payload",
	} {
		assert.Contains(t, taken, label)
	}
	for label := range taken {
		source, _, _ := strings.Cut(label, " ")
		switch source {
		case "pagerduty":
			assert.Contains(t, label, "/v3-incident", "of PagerDuty's nothing but version 3")
		case "alertmanager":
			assert.Contains(t, label, "prometheus_v4", "of Alertmanager's nothing but version 4")
		}
	}
}

// The signatures that others have published, verified with their secrets, and refused when anything is changed.
func TestSignatureVectors(t *testing.T) {
	var pd struct{ Secret, Valid, Mismatch string }
	require.NoError(t, json.Unmarshal(sample(t, "pagerduty/v3-signature-vector.json"), &pd))
	body := sample(t, "pagerduty/v3-incident.priority_updated.body.json")
	occurred := time.Date(2021, 4, 26, 18, 0, 0, 0, time.UTC)
	p := PagerDuty{Secrets: []string{pd.Secret}}
	d, err := p.Read(http.Header{"X-Pagerduty-Signature": {pd.Valid}}, body, occurred)
	require.NoError(t, err)
	require.Equal(t, Delivery{EventID: "01BWDWL3NYY7LUFPZCC28QUCMK"}, d, "a change of priority says nothing about the alert")
	_, err = p.Read(http.Header{"X-Pagerduty-Signature": {pd.Mismatch + "," + pd.Valid}}, body, occurred)
	require.NoError(t, err, "one of several is enough")
	for _, wrong := range []struct {
		signature string
		body      []byte
		now       time.Time
	}{{pd.Mismatch, body, occurred}, {"", body, occurred}, {pd.Valid, append(body, ' '), occurred}, {pd.Valid, body, occurred.Add(49 * time.Hour)}} {
		_, err = p.Read(http.Header{"X-Pagerduty-Signature": {wrong.signature}}, wrong.body, wrong.now)
		require.ErrorIs(t, err, ErrUnverified)
	}

	var vector map[string]string
	require.NoError(t, json.Unmarshal(sample(t, "slack/signature-vector.json"), &vector))
	header := http.Header{"X-Slack-Request-Timestamp": {vector["X-Slack-Request-Timestamp"]}, "X-Slack-Signature": {vector["X-Slack-Signature"]}}
	s := Slack{Secret: vector["signing_secret"]}
	stamp, err := strconv.ParseInt(vector["X-Slack-Request-Timestamp"], 10, 64)
	require.NoError(t, err)
	at := time.Unix(stamp, 0)
	for body, now := range map[string]time.Time{vector["body"] + " ": at, vector["body"]: at.Add(6 * time.Minute)} {
		_, err = s.Read(header, []byte(body), now)
		require.ErrorIs(t, err, ErrUnverified)
	}
	_, err = s.Read(header, []byte(vector["body"]), at.Add(time.Minute))
	require.ErrorIs(t, err, ErrUnreadable, "verified, and of the Events API")
	require.ErrorContains(t, err, "Interactivity")
}
