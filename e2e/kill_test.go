package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// Killed at any moment between the arrival of a breach and some time after its page, again and again: no page is lost,
// none is repeated without its key, none more than once a kill, and nothing is called resolved.
func TestKilledAtAnyMoment(t *testing.T) {
	const rounds = 25
	s, people, _ := prepare(t, kvRule)
	c := launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	draw := rand.New(rand.NewPCG(seed, 0))
	refused := 0
	for i := range rounds {
		model := fmt.Sprint("model-", i)
		accepted := make(chan bool, 1)
		go func() { accepted <- s.try(gauge("kv", model, 0.99)) }()
		time.Sleep(time.Duration(draw.Int64N(int64(20 * time.Millisecond)))) // the moment
		c.kill()
		c.start()
		if !<-accepted {
			refused++
			s.sendHTTP(t, gauge("kv", model, 0.99)) // as a sender does that has no answer
		}
		eventually(t, model+" is paged", func() bool { return len(firing(people, model)) > 0 })
	}
	repeats := 0
	for i := range rounds {
		keys := firing(people, fmt.Sprint("model-", i))
		for _, key := range keys {
			assert.Equal(t, keys[0], key, "a repeat has its page's key")
		}
		repeats += len(keys) - 1
	}
	assert.LessOrEqual(t, repeats, rounds, "at most one a kill")
	assert.Zero(t, people.told("KVCacheNearlyFull", "resolved"))
	require.Len(t, s.alerts(t, "?open=true"), rounds)
	require.Len(t, s.alerts(t, ""), rounds)
	figures("killed %d times within 20 ms of a breach: %d senders had no answer, 0 pages lost, %d repeated under their key", rounds, refused, repeats)
}

// try sends and reports whether it was accepted.
func (s *settings) try(md pmetric.Metrics) bool {
	body, err := pmetricotlp.NewExportRequestFromMetrics(md).MarshalProto()
	if err != nil {
		return false
	}
	resp, err := http.Post("http://"+s.http+"/v1/metrics", "application/x-protobuf", bytes.NewReader(body))
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK
}

// firing returns the keys of the pages that told of a model's alert.
func firing(people *pager, model string) (keys []string) {
	for _, p := range people.all() {
		for _, a := range p.Alerts {
			if a.Labels["model_name"] == model && a.Status == "firing" {
				keys = append(keys, p.GroupKey)
			}
		}
	}
	return keys
}
