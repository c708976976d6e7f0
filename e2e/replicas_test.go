package e2e

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
)

// replica is a gateway that shares its ledger and its pager with others.
type replica struct {
	*settings
	*collector
}

func launchReplicas(t *testing.T, server *pgtest.Server) (one, two replica, people *pager, out *sink) {
	s, people, out := prepare(t, kvRule)
	s.ledger = onPostgres(server)
	all := []*replica{&one, &two}
	for _, r := range all {
		r.settings = newSettings(t)
		r.sink, r.pager, r.rules, r.ledger = s.sink, s.pager, s.rules, s.ledger
		config := replace(r.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
		r.collector = launch(t, r.settings.dir, r.settings.health, config)
	}
	return one, two, people, out
}

// Two gateways on one PostgreSQL database, of which one is killed at a random moment while an alert fires, again and again:
// the other pages it.
func TestFaultReplicaKilled(t *testing.T) {
	rounds := length(8, 100)
	one, two, people, _ := launchReplicas(t, pgtest.Start(t, "fsync=on"))
	draw := dice(t)
	repeats, longest := 0, time.Duration(0)
	all := []replica{one, two} // the first has led for longer
	for i := range rounds {
		model := fmt.Sprint("model-", i)
		accepted := make(chan bool, 1)
		to := all[draw.IntN(2)]
		go func() { accepted <- to.try(gauge("kv", model, 0.99)) }()
		time.Sleep(time.Duration(draw.Int64N(int64(20 * time.Millisecond)))) // the moment
		all[0].kill()
		killed := time.Now()
		if !<-accepted {
			all[1].sendHTTP(t, gauge("kv", model, 0.99))
		}
		eventually(t, model+" is paged", func() bool { return len(firing(people, model)) > 0 })
		longest = max(longest, time.Since(killed))
		all[0].start()
		all[0], all[1] = all[1], all[0]
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
	require.Len(t, one.alerts(t, "?open=true"), rounds, "of either page")
	require.Len(t, two.alerts(t, "?open=true"), rounds)
	figures("fault one of two gateways on PostgreSQL killed: %d kills, pages lost 0, false resolves 0, repeated under their key %d, kill to page at most %d ms",
		rounds, repeats, longest.Milliseconds())
}

// The gateway that leads is frozen: the other leads after a while, and pages what fires. When the first one goes on it does not
// page again.
func TestFaultReplicaFrozen(t *testing.T) {
	one, two, people, _ := launchReplicas(t, pgtest.Start(t))
	two.sendHTTP(t, gauge("kv", "before", 0.99))
	eventually(t, "paged by the one that leads", func() bool { return len(firing(people, "before")) == 1 })
	eventually(t, "which is written down", func() bool { return !two.alerts(t, "?open=true")[0].NotifiedAt.IsZero() })
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGSTOP))
	frozen := time.Now()
	two.sendHTTP(t, gauge("kv", "frozen", 0.99))
	eventually(t, "paged by the other", func() bool { return len(firing(people, "frozen")) == 1 })
	took := time.Since(frozen)
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGCONT))
	one.sendHTTP(t, gauge("kv", "after", 0.99))
	eventually(t, "paged by the other", func() bool { return len(firing(people, "after")) == 1 })
	for _, model := range []string{"before", "frozen"} {
		two.sendHTTP(t, gauge("kv", model, 0.5))
	}
	one.sendHTTP(t, gauge("kv", "after", 0.5))
	eventually(t, "all have ended", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 3 })
	for _, model := range []string{"before", "frozen", "after"} {
		assert.Len(t, firing(people, model), 1, model)
	}
	figures("fault the leading gateway of two frozen: the other pages after %.1f s, each page once", took.Seconds())
}

// Two gateways do as one: an alert that both hear of is paged once and ends once, what a person does at either page holds, and one
// of them emits the calibration metrics.
func TestReplicas(t *testing.T) {
	one, two, people, out := launchReplicas(t, pgtest.Start(t))
	for _, r := range []replica{one, two, one} {
		r.sendHTTP(t, gauge("kv", "llama", 0.99))
	}
	eventually(t, "it is paged", func() bool { return len(firing(people, "llama")) == 1 })
	open := two.alerts(t, "?open=true")
	require.Len(t, open, 1)
	require.Equal(t, 200, two.post(t, "/api/v1/alerts/"+open[0].ID+"/acknowledge", `{"by": "anna"}`))
	assert.Equal(t, "anna", one.alerts(t, "?open=true")[0].AcknowledgedBy)
	require.Equal(t, 200, two.post(t, "/api/v1/alerts/"+open[0].ID+"/verdict", `{"by": "anna", "verdict": "true_positive"}`))
	for _, r := range []replica{one, two} {
		r.sendHTTP(t, gauge("kv", "llama", 0.5))
	}
	eventually(t, "it has ended", func() bool { return len(one.alerts(t, "?open=true")) == 0 })
	eventually(t, "the end is told", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 1 })
	eventually(t, "it is counted", func() bool { return out.latest("alert.episodes", "alert.outcome")["notified"] == 1 })
	assert.Len(t, firing(people, "llama"), 1, "one page")
	assert.Len(t, two.alerts(t, ""), 1, "one episode")
	eventually(t, "the last event is exported", func() bool { return out.events()["alert.resolved"] > 0 })
	events := out.events()
	for _, name := range []string{"alert.fired", "alert.acknowledged", "alert.verdict", "alert.resolved"} {
		assert.Equal(t, 1, events[name], "%s is exported once", name)
	}
}
