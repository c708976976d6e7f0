package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// printed is the first block of YAML below a heading of a document.
func printed(t testing.TB, document, heading string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("..", "docs", document))
	require.NoError(t, err)
	_, section, found := strings.Cut(string(content), "\n"+heading+"\n")
	require.True(t, found, "%s has no %q", document, heading)
	block := regexp.MustCompile("(?s)```yaml\n(.*?)\n```").FindStringSubmatch(section)
	require.NotNil(t, block)
	return block[1]
}

// merged puts what a document prints over a configuration, as the Collector does with a second --config.
func merged(t testing.TB, config, over string) string {
	t.Helper()
	var a, b map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(config), &a))
	require.NoError(t, yaml.Unmarshal([]byte(over), &b))
	out, err := yaml.Marshal(merge(a, b))
	require.NoError(t, err)
	return string(out)
}

func merge(a, b map[string]any) map[string]any {
	for key, value := range b {
		if x, ok := a[key].(map[string]any); ok {
			if y, ok := value.(map[string]any); ok {
				a[key] = merge(x, y)
				continue
			}
		}
		a[key] = value
	}
	return a
}

// The configuration for Slack that docs/webhooks.md prints, run as it is printed (but for where it listens and where the address of Slack
// is): every button of the message that comes does, once pressed, what it says.
func TestSlackAsDocumented(t *testing.T) {
	s, _, _ := prepare(t, kvRule)
	slack, address := newProduct(t, http.StatusOK, "text/plain", "ok"), freePorts(t, 1)[0]
	file := s.write(t, "slack", slack.URL+"/services/T/B/x\n")
	document := printed(t, "webhooks.md", "## Slack")
	for old, now := range map[string]string{"/run/secrets/slack": file, "0.0.0.0:9196": address} {
		require.Contains(t, document, old)
		document = strings.Replace(document, old, now, 1)
	}
	t.Setenv("SLACK_SIGNING_SECRET", slackSecret)
	s.owners = `{platform: {steps: [{receivers: [inference-oncall]}]}, unowned: {steps: [{receivers: [inference-oncall]}]}}`
	launch(t, s.dir, s.health, merged(t, s.whole(), document))

	type button struct{ Type, Text, Name, Value string }
	var message struct {
		Channel     string
		Attachments []struct {
			CallbackID string `json:"callback_id"`
			Actions    []button
		}
	}
	press := func(text, reply string) {
		t.Helper()
		for _, b := range message.Attachments[0].Actions {
			if b.Text == text {
				code, answer, _ := hook(t, address, slackClick(b.Name, b.Value, "t-"+b.Name+b.Value, time.Now()))
				assert.Equal(t, http.StatusOK, code, "%s: %s", text, answer)
				assert.JSONEq(t, `{"response_type": "ephemeral", "replace_original": false, "text": "`+reply+`"}`, answer)
				return
			}
		}
		t.Errorf("there is no button %q", text)
	}
	fires := func(messages int) (id string) {
		t.Helper()
		s.sendHTTP(t, gauge("kv", "llama", 0.99))
		eventually(t, "Slack has the message", func() bool { return slack.last(t, &message) == messages })
		require.Equal(t, "#inference", message.Channel)
		require.Len(t, message.Attachments, 1)
		require.NotEmpty(t, message.Attachments[0].CallbackID, "without it Slack shows no buttons")
		require.LessOrEqual(t, len(message.Attachments[0].Actions), 5, "more than Slack shows")
		for _, b := range message.Attachments[0].Actions {
			require.Equal(t, "button", b.Type)
			require.Equal(t, s.only(t), b.Value)
		}
		return s.only(t)
	}
	id := fires(1)
	press("Acknowledge", "Acknowledged: the steps have stopped.")
	press("Snooze 1h", "Snoozed for 1h.")
	press("False alarm", "Your verdict is recorded: false positive.")
	press("Real", "Your verdict is recorded: true positive.")
	_, events := s.story(t, id)
	for _, want := range []string{"alert.acknowledged ada (Slack)", "alert.snoozed ada (Slack)", "alert.verdict slack/U1"} {
		assert.Contains(t, events, want)
	}
	e, _ := s.story(t, id)
	assert.Equal(t, "true_positive", e.Verdict, "the last one counts")
	press("Resolve", "Resolved.")
	assert.Empty(t, s.alerts(t, "?open=true"))

	eventually(t, "Slack is told of the end", func() bool { return slack.last(t, &message) == 2 })
	code, answer, _ := hook(t, address, slackClick("resolve", id, "later", time.Now()))
	assert.Equal(t, http.StatusAccepted, code)
	assert.Contains(t, answer, "the alert has ended")
	stale := slackClick("acknowledge", id, "stale", time.Now().Add(-6*time.Minute))
	code, _, _ = hook(t, address, stale)
	assert.Equal(t, http.StatusUnauthorized, code)
}

// Every test that docs/security.md names is there, in one of the packages that it names.
func TestSecurityNamesItsTests(t *testing.T) {
	content, err := os.ReadFile(filepath.Join("..", "docs", "security.md"))
	require.NoError(t, err)
	rows := 0
	for line := range strings.Lines(string(content)) {
		cells := strings.Split(strings.TrimSpace(line), " | ")
		if !strings.HasPrefix(line, "| ") || !strings.Contains(line, "`Test") {
			continue
		}
		rows++
		quoted := regexp.MustCompile("`([^`]+)`")
		var sources string
		for _, pkg := range quoted.FindAllStringSubmatch(cells[len(cells)-2], -1) {
			files, err := filepath.Glob(filepath.Join("..", filepath.FromSlash(pkg[1]), "*_test.go"))
			require.NoError(t, err)
			require.NotEmpty(t, files, pkg[1])
			for _, file := range files {
				text, err := os.ReadFile(file)
				require.NoError(t, err)
				sources += string(text)
			}
		}
		for _, test := range quoted.FindAllStringSubmatch(cells[len(cells)-1], -1) {
			assert.Contains(t, sources, "\nfunc "+test[1]+"(", line)
		}
	}
	assert.Greater(t, rows, 20)
}
