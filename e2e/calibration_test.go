package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const noisyRule = `
groups:
  - name: vllm
    rules:
      - alert: KVCacheNearlyFull # wakes people
        metric: kv
        tiers:
          high: {above: 0.90, clear: 0.85}   # a guess
        owner: platform
`

// wave is what ten models do in one bad week: eight come a little over the threshold, for nothing, and two are really full.
func wave() map[string]float64 {
	all := map[string]float64{"real-1": 0.985, "real-2": 0.99}
	for i := range 8 {
		all[fmt.Sprintf("noisy-%d", i)] = 0.905 + float64(i)*0.003
	}
	return all
}

// The loop as a whole: a noisy rule pages, people click what it was worth, a suggestion stands, alertctl writes it into
// the rule file, the running processor follows, and the same data page less. The metrics show all of it.
func TestCalibrationLoop(t *testing.T) {
	alertctl := built(t, "ALERTCTL_BIN", "alertctl")
	s, people, out := prepare(t, noisyRule)
	s.receiver = []string{"suggestions: {min_episodes: 10, min_age: 0s}"}
	c := launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))

	play := func() (paged int) {
		before := len(people.all())
		told := func() map[string]bool { // alerts, since one that is slow to be accepted may be sent again
			ids := map[string]bool{}
			for _, p := range people.all()[before:] {
				for _, a := range p.Alerts {
					if a.Status == "firing" {
						ids[a.Labels["alert_id"]] = true
					}
				}
			}
			return ids
		}
		for model, value := range wave() {
			s.sendHTTP(t, gauge("kv", model, value))
		}
		quiet := func() bool { // all that opened has been paged
			episodes := s.alerts(t, "?open=true")
			if len(episodes) == 0 {
				return false
			}
			for _, e := range episodes {
				if e.NotifiedAt.IsZero() {
					return false
				}
			}
			return len(told()) >= len(episodes)
		}
		eventually(t, "everybody who is to be paged is", quiet)
		paged = len(told())
		for model := range wave() {
			s.sendHTTP(t, gauge("kv", model, 0.5))
		}
		eventually(t, "all have recovered", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
		return paged
	}

	require.Equal(t, 10, play())
	tab := s.browse(t)
	for _, e := range s.alerts(t, "?open=false") {
		verdict := "false_positive"
		if strings.HasPrefix(e.Labels["model_name"], "real") {
			verdict = "true_positive"
		}
		require.NoError(t, chromedp.Run(tab, chromedp.Navigate("http://"+s.page+"/alerts/"+e.ID)))
		_, err := chromedp.RunResponse(tab, chromedp.Click(`button[value="`+verdict+`"]`, chromedp.ByQuery))
		require.NoError(t, err)
	}
	eventually(t, "the metrics carry the suggestion", func() bool {
		return out.latest("alert.threshold.suggested", "alert.rule.name")["KVCacheNearlyFull"] > 0.9
	})
	eventually(t, "the metrics carry what else the verdicts tell", func() bool { return out.latest("alert.verdicts", "alert.verdict")["false_positive"] == 8 })
	assert.Equal(t, map[string]float64{"false_positive": 8, "true_positive": 2}, out.latest("alert.verdicts", "alert.verdict"))
	assert.InDelta(t, 0.8, out.latest("alert.false_positive.ratio", "alert.rule.name")["KVCacheNearlyFull"], 1e-9)
	suggested := out.latest("alert.threshold.suggested", "alert.rule.name")["KVCacheNearlyFull"]

	calibrate := func(args ...string) string {
		var said bytes.Buffer
		cmd := exec.Command(alertctl, append(append([]string{"calibrate", "--from", "http://" + s.page}, args...), s.rules)...)
		cmd.Stdout, cmd.Stderr = &said, &said
		require.NoError(t, cmd.Run(), said.String())
		return said.String()
	}
	shown := calibrate()
	assert.Contains(t, shown, "8 of 10 pages in 30 days would have gone, all 2 incidents kept")
	assert.Contains(t, shown, "nothing is written")
	text, err := os.ReadFile(s.rules)
	require.NoError(t, err)
	require.Equal(t, noisyRule, string(text))
	calibrate("--write", "--yes", "--note", "too noisy")
	text, err = os.ReadFile(s.rules)
	require.NoError(t, err)
	require.Equal(t, strings.Replace(noisyRule, "{above: 0.90, clear: 0.85}", fmt.Sprintf("{above: %g, clear: %g}", suggested, suggested-0.05), 1), string(text))

	eventually(t, "the change is an event", func() bool { return out.events()["alert.threshold_changed"] == 1 })
	eventually(t, "the running processor has the changed rule", func() bool {
		return strings.Contains(c.log.String(), "A rule file has changed and is in force")
	})
	again := play()
	assert.Equal(t, 2, again, "the same data")
	eventually(t, "the metrics show it", func() bool {
		return out.latest("alert.threshold.current", "alert.rule.name")["KVCacheNearlyFull"] == suggested && out.latest("alert.episodes", "alert.outcome")["notified"] >= 12
	})
	r := s.rule(t, "KVCacheNearlyFull")
	require.Len(t, r.Thresholds, 1)
	require.Len(t, r.Thresholds[0].Moved, 1, "marked once")
	assert.Equal(t, suggested, r.Thresholds[0].Moved[0].To)
	assert.Equal(t, "too noisy", r.Thresholds[0].Moved[0].Note)
	figures("the calibration loop: 10 pages before, %d after, threshold 0.9 → %g, both real ones kept", again, suggested)
}

// quality is what the API says of a rule.
type quality struct {
	Thresholds []struct {
		Current   float64
		Suggested *float64
		Sentence  string
		Moved     []struct {
			From, To float64
			By, Note string
		}
	}
}

func (s *settings) rule(t testing.TB, name string) (r quality) {
	t.Helper()
	resp, err := http.Get("http://" + s.page + "/api/v1/rules/" + name)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	require.NoError(t, json.Unmarshal(body, &r), string(body))
	return r
}
