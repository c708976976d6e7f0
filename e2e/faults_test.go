package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
)

// full reports whether the faults are wanted at full length: `make faults`.
func full() bool { return os.Getenv("FAULTS") == "full" }

// length is how often, how long or how many: few under `make test`, all under `make faults`.
func length[T any](few, all T) T {
	if full() {
		return all
	}
	return few
}

// failing returns the collector with failpoints.
func failing(t testing.TB) string {
	return built(t, "OTELCOL_FAILPOINTS_BIN", "otelcol-escalation-failpoints")
}

// dice are random and print their seed when the test fails.
func dice(t testing.TB) *rand.Rand {
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// fragile is a collector that is started armed with a failpoint whenever it has died of the last one.
type fragile struct {
	*collector
	arm   func() string // the failpoint of the next process; "": none
	kills int
}

// fall starts a collector that dies at failpoints.
func fall(t testing.TB, s *settings, config string, arm func() string) *fragile {
	t.Helper()
	bin := failing(t)
	file := filepath.Join(s.dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	f := &fragile{collector: &collector{t: t, config: file, health: s.health, binary: bin, log: &syncBuffer{}}, arm: arm}
	t.Cleanup(func() {
		if f.exited != nil {
			f.kill()
		}
		if t.Failed() {
			t.Logf("the log of the collector with %s:\n%s", config, tail(f.log.String(), 60))
		}
	})
	f.rise()
	return f
}

// rise starts the process anew. One that dies before it is ready is started again.
func (f *fragile) rise() {
	f.t.Helper()
	for {
		f.env = nil
		if point := f.arm(); point != "" {
			f.env = []string{failpoint.Variable + "=" + point}
		}
		exited := f.begin()
		ready := false
		eventually(f.t, "the collector is ready or dead", func() bool {
			select {
			case <-exited:
				return true
			default:
			}
			ready = healthy(f.health)
			return ready
		})
		if ready {
			return
		}
		f.died()
	}
}

// died counts a death, which must have been by a failpoint.
func (f *fragile) died() {
	f.t.Helper()
	require.EqualError(f.t, f.err, "signal: killed", "nothing but a failpoint ends it")
	require.NotEmpty(f.t, f.env, "no failpoint was armed")
	f.kills++
}

// revive starts the process anew if it has died.
func (f *fragile) revive() {
	f.t.Helper()
	select {
	case <-f.exited:
		f.died()
		f.rise()
	default:
	}
}

// until waits for a condition, and starts the process anew whenever it has died meanwhile.
func (f *fragile) until(what string, condition func() bool) {
	f.t.Helper()
	eventually(f.t, what, func() bool {
		f.revive()
		return condition()
	})
}

// deliver sends until it is accepted, as a sender does that retries.
func (f *fragile) deliver(s *settings, metric, model string, v float64) {
	f.t.Helper()
	f.until("a batch is accepted", func() bool { return s.try(gauge(metric, model, v)) })
}

// Killed around every commit, page and write of state, and within them: no transition is lost, nothing is called
// resolved that is not, nothing stays open, and what is repeated is repeated under its key, once a kill at most.
func TestFaultKilledAtFailpoints(t *testing.T) {
	rounds := length(2, 100)
	for _, point := range []struct {
		name   failpoint.Name
		within time.Duration // killed up to so long after it
	}{
		{name: failpoint.BeforeCommit}, {failpoint.BeforeCommit, 3 * time.Millisecond}, {name: failpoint.AfterCommit},
		{name: failpoint.BeforeSend}, {failpoint.BeforeSend, 2 * time.Millisecond}, {name: failpoint.AfterSend},
		{name: failpoint.BeforeSnapshot}, {failpoint.BeforeSnapshot, 3 * time.Millisecond}, {name: failpoint.AfterSnapshot},
	} {
		name := string(point.name)
		if point.within > 0 {
			name = "within " + point.within.String() + " of " + name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, people, _ := prepare(t, kvRule)
			draw := dice(t)
			armed := 0
			config := replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
			f := fall(t, s, config, func() string {
				if armed == rounds {
					return ""
				}
				armed++
				text := fmt.Sprintf("%s:%d", point.name, 1+draw.IntN(4))
				if point.within > 0 {
					text += "+" + (time.Microsecond + time.Duration(draw.Int64N(int64(point.within)))).String()
				}
				return text
			})
			began, models := time.Now(), 0
			for ; f.kills < rounds; models++ {
				model := fmt.Sprint("model-", models)
				f.deliver(s, "kv", model, 0.99)
				f.until(model+" is paged", func() bool { return len(firing(people, model)) > 0 })
				require.Zero(t, ends(people, model), "nothing was said of an end")
				f.deliver(s, "kv", model, 0.5)
				f.until("the end of "+model+" is told", func() bool { return ends(people, model) > 0 })
			}
			f.until("nothing is left open", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
			require.Len(t, s.alerts(t, "?limit=1000"), models, "one episode of each alert")
			repeats := 0
			for i := range models {
				model := fmt.Sprint("model-", i)
				keys := firing(people, model)
				for _, key := range keys {
					assert.Equal(t, keys[0], key, "a repeat has its page's key")
				}
				repeats += len(keys) - 1 + ends(people, model) - 1
			}
			assert.LessOrEqual(t, repeats, f.kills, "at most one a kill")
			figures("fault kill -9 %s: %d kills, %d alerts, %d transitions, lost 0, false resolves 0, stuck open 0, repeats %d, all under their key (%.0f s)",
				name, f.kills, models, 2*models, repeats, time.Since(began).Seconds())
		})
	}
}

// ends counts the messages that called a model's alert resolved.
func ends(people *pager, model string) (n int) {
	for _, p := range people.all() {
		for _, a := range p.Alerts {
			if a.Labels["model_name"] == model && a.Status == "resolved" {
				n++
			}
		}
	}
	return n
}

// Killed while the ledger is made: the next start makes it whole.
func TestFaultKilledWithinTheMigration(t *testing.T) {
	rounds := length(3, 100)
	s, people, _ := prepare(t, kvRule)
	draw := dice(t)
	config := replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
	kills := 0
	for i := range rounds {
		for _, leftover := range []string{"alerts.db", "alerts.db-wal", "alerts.db-shm"} {
			require.NoError(t, os.RemoveAll(filepath.Join(s.dir, leftover)))
		}
		points := []string{
			string(failpoint.BeforeMigration), string(failpoint.AfterMigration),
			fmt.Sprintf("%s:1+%dus", failpoint.BeforeMigration, 1+draw.IntN(12_000)),
		}
		armed := 0
		f := fall(t, s, config, func() string {
			armed++
			switch {
			case armed == 1:
				return points[2*min(i%3, 1)] // most of them within
			case armed == 2 && i%3 == 0:
				return points[1]
			}
			return ""
		})
		f.until("it is ready, unarmed", func() bool { return len(f.env) == 0 })
		model := fmt.Sprint("model-", i)
		f.deliver(s, "kv", model, 0.99)
		f.until(model+" is paged", func() bool { return len(firing(people, model)) > 0 })
		kills += f.kills
		f.kill()
	}
	figures("fault kill -9 around and within the migration: %d kills of %d new ledgers, all of them whole at the next start", kills, rounds)
}
