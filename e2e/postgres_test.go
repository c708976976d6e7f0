package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
)

func onPostgres(server *pgtest.Server) string {
	return fmt.Sprintf("{driver: postgres, datasource: %q}", server.Database())
}

// The whole path with the ledger on PostgreSQL: paged, acknowledged, killed and started again, ended, and counted.
func TestPostgresLedger(t *testing.T) {
	s, people, out := prepare(t, kvRule)
	s.ledger = onPostgres(pgtest.Start(t))
	c := launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "it is paged", func() bool { return len(firing(people, "llama")) == 1 })
	open := s.alerts(t, "?open=true")
	require.Len(t, open, 1)
	require.Equal(t, 200, s.post(t, "/api/v1/alerts/"+open[0].ID+"/acknowledge", `{"by": "anna"}`))
	c.kill()
	c.start()
	again := s.alerts(t, "?open=true")
	require.Len(t, again, 1)
	assert.Equal(t, open[0].ID, again[0].ID)
	assert.Equal(t, "anna", again[0].AcknowledgedBy)
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "it has ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	eventually(t, "the end is told", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 1 })
	eventually(t, "it is counted", func() bool { return out.latest("alert.episodes", "alert.outcome")["notified"] == 1 })
	assert.Len(t, firing(people, "llama"), 1, "one page")
}

// Killed at any moment, with the ledger on PostgreSQL.
func TestFaultKilledOnPostgres(t *testing.T) {
	rounds := length(8, 100)
	s, people, _ := prepare(t, kvRule)
	s.ledger = onPostgres(pgtest.Start(t, "fsync=on"))
	c := launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	draw := dice(t)
	repeats := 0
	for i := range rounds {
		model := fmt.Sprint("model-", i)
		accepted := make(chan bool, 1)
		go func() { accepted <- s.try(gauge("kv", model, 0.99)) }()
		time.Sleep(time.Duration(draw.Int64N(int64(20 * time.Millisecond)))) // the moment
		c.kill()
		c.start()
		if !<-accepted {
			s.sendHTTP(t, gauge("kv", model, 0.99))
		}
		eventually(t, model+" is paged", func() bool { return len(firing(people, model)) > 0 })
	}
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
	figures("fault kill -9 on PostgreSQL: %d kills, pages lost 0, false resolves 0, repeated under their key %d", rounds, repeats)
}

// The server is gone while alerts fire, end and fire: batches are taken all the same, and when it is back everything is told in
// order.
func TestFaultPostgresGone(t *testing.T) {
	gone := length(3*time.Second, time.Minute)
	s, people, _ := prepare(t, kvRule)
	server := pgtest.Start(t, "fsync=on")
	s.ledger = onPostgres(server)
	launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	s.sendHTTP(t, gauge("kv", "before", 0.99))
	eventually(t, "it is paged", func() bool { return len(firing(people, "before")) == 1 })
	server.Kill()
	slowest := time.Duration(0)
	for i, began := 0, time.Now(); time.Since(began) < gone; i++ {
		sent := time.Now()
		require.True(t, s.try(gauge("kv", "during", 0.99)), "a batch is refused")
		require.True(t, s.try(gauge("kv", "before", 0.5)))
		slowest = max(slowest, time.Since(sent))
		time.Sleep(100 * time.Millisecond)
	}
	require.Empty(t, firing(people, "during"), "nothing is told that is not durable")
	server.Run()
	back := time.Now()
	eventually(t, "what fired meanwhile is paged", func() bool { return len(firing(people, "during")) == 1 })
	took := time.Since(back)
	eventually(t, "what ended meanwhile is told", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 1 })
	open := s.alerts(t, "?open=true")
	require.Len(t, open, 1)
	assert.Equal(t, "during", open[0].Labels["model_name"])
	figures("fault PostgreSQL gone for %s: batches refused 0, slowest two batches %d ms, transitions lost 0, paged %d ms after it was back", gone, slowest.Milliseconds(), took.Milliseconds())
}
