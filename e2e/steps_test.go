package e2e

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nobody acknowledges: the owner's next step is taken, and its last is repeated. Somebody does: no more, until the end,
// which everybody is told who was paged.
func TestStepsUntilAcknowledged(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	s.tiers = `{critical: {window: 0s, repeat_interval: 2s}}`
	s.owners = `{platform: {steps: [{receivers: [oncall]}, {after: 2s, receivers: [lead]}]}, unowned: {steps: [{receivers: [oncall]}]}}`
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))

	to := func(path, status string) (pages []page) {
		for _, p := range people.all() {
			if p.path == path && p.Status == status {
				pages = append(pages, p)
			}
		}
		return pages
	}
	eventually(t, "the last step is repeated", func() bool { return len(to("/lead", "firing")) == 2 })
	require.Len(t, to("/oncall", "firing"), 1)
	first, second := to("/oncall", "firing")[0], to("/lead", "firing")[0]
	assert.Equal(t, "1", first.Alerts[0].Annotations["step"])
	assert.Equal(t, "2", second.Alerts[0].Annotations["step"])
	assert.Equal(t, first.GroupKey, second.GroupKey)
	assert.GreaterOrEqual(t, second.at.Sub(first.at), 1900*time.Millisecond, "not before its time")

	open := s.alerts(t, "?open=true")
	require.Len(t, open, 1)
	require.Equal(t, 2, s.post(t, "/api/v1/alerts/"+open[0].ID+"/acknowledge", `{"by": "ada"}`)/100)
	told := len(people.all())
	steadily(t, "nobody is paged any more", 3*time.Second, func() bool { return len(people.all()) == told })
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "both are told of the end", func() bool {
		return len(to("/oncall", "resolved")) == 1 && len(to("/lead", "resolved")) == 1
	})
}
