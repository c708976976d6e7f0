package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// cluster is a ledger on a server whose clock differs from that of the machines that use it.
type cluster struct {
	ledger.Ledger
	ahead time.Duration

	mu      sync.Mutex
	leader  *rig
	commits map[*rig]int64
}

// seat is the ledger as one exporter has it.
type seat struct {
	*cluster
	of *rig
}

func (s seat) Standing() ledger.Standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	standing := ledger.Standing{Shared: true, Leads: s.leader == s.of}
	for r, n := range s.commits {
		if r != s.of {
			standing.Others += n
		}
	}
	return standing
}

func (s seat) Update(ctx context.Context, _ time.Time, fn func(ledger.Tx) error) error {
	err := s.Ledger.Update(ctx, time.Now().Add(s.ahead), fn)
	if err == nil {
		s.mu.Lock()
		s.commits[s.of]++
		s.mu.Unlock()
	}
	return err
}

func (s seat) View(ctx context.Context, _ time.Time, fn func(ledger.Tx) error) error {
	return s.Ledger.View(ctx, time.Now().Add(s.ahead), fn)
}

// Observe tells nobody: what an exporter observes stays in its own memory.
func (s seat) Observe(map[string]ledger.Observation) {}

// newCluster starts two exporters, of which the first leads.
func newCluster(t *testing.T, ahead time.Duration, change ...func(*Config)) (c *cluster, one, two *rig) {
	c = &cluster{Ledger: ledgertest.New(t), ahead: ahead, commits: map[*rig]int64{}}
	one, two = newRig(t, c.Ledger), newRig(t, c.Ledger)
	two.people = one.people
	c.leader = one
	for _, r := range []*rig{one, two} {
		r.ledger.Ledger = seat{c, r}
		for _, f := range change {
			r.change = f
		}
		r.begin()
		t.Cleanup(r.finish)
	}
	return c, one, two
}

// lead has another exporter lead.
func (c *cluster) lead(r *rig) {
	c.mu.Lock()
	c.leader = r
	c.mu.Unlock()
	r.x.rouse()
	r.settle()
}

// tell is a judgement that one of two exporters hears, newer than all before.
func tell(one, two, to *rig, id string, state alert.State, severity alert.Severity) {
	n := max(one.judged, two.judged)
	one.judged, two.judged = n, n
	to.consume(to.judge(id, state, severity))
}

// Two exporters on one ledger that both hear everything: each page goes out once.
func TestReplicasPageOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := newCluster(t, 0)
		for range 31 {
			tell(one, two, two, "a", alert.Firing, alert.Critical)
			tell(one, two, one, "a", alert.Firing, alert.Critical)
			one.after(time.Minute)
		}
		tell(one, two, two, "a", alert.Inactive, alert.Critical)
		tell(one, two, one, "a", alert.Inactive, alert.Critical)
		one.expect("0s oncall/webhook[0] a critical firing", "15m0s lead/webhook[0] a critical firing",
			"30m0s lead/webhook[0] a critical firing", "31m0s lead/webhook[0] a critical resolved", "31m0s oncall/webhook[0] a critical resolved")
	})
}

// The one that leads is killed while it sends: the other sends at once, under the same key, also what nobody had heard of.
func TestLeaderKilledWhileItSends(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, one, two := newCluster(t, 0)
		var key string
		one.people.answers("oncall/webhook[0]", func(ctx context.Context, m notify.Message) error {
			if key == "" {
				key = m.Key
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		})
		tell(one, two, one, "a", alert.Firing, alert.Critical)
		tell(one, two, two, "b", alert.Firing, alert.High)
		one.kill()
		one.expect()
		c.lead(two)
		sent := two.people.take()
		require.Len(t, sent, 1)
		assert.Equal(t, key, sent[0].Key)
		two.after(15 * time.Minute)
		require.NotEmpty(t, two.people.take(), "its window")
	})
}

// What only the other exporter hears of is not given up; when nobody hears of it any more, it is, half of valid_for later than
// alone. That the server's clock is an hour off matters to nobody.
func TestSignsOfLife(t *testing.T) {
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, one, two := newCluster(t, ahead)
				for range 300 {
					tell(one, two, two, "a", alert.Firing, alert.Low)
					one.after(time.Minute)
					require.Equal(t, alert.ReasonThreshold, one.episode("a").Reason)
				}
				last := time.Now().Add(-time.Minute)
				for one.episode("a").LostAt.IsZero() {
					one.after(time.Second)
					require.Less(t, time.Since(last), 10*time.Minute)
				}
				took := time.Since(last)
				assert.GreaterOrEqual(t, took, 3*time.Minute, "valid_for")
				assert.LessOrEqual(t, took, 6*time.Minute)
				one.after(59 * time.Minute)
				require.True(t, one.episode("a").Open())
				one.after(2 * time.Minute)
				assert.Equal(t, alert.ReasonSeriesGone, one.episode("a").Reason)
				require.Empty(t, two.x.view.entries, "the other knows, too")
			})
		})
	}
}

// An alert that comes back at the other exporter is no longer lost.
func TestReplicaHearsOfALostAlert(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, one, two := newCluster(t, time.Hour)
		tell(one, two, one, "a", alert.Firing, alert.Low)
		one.after(10 * time.Minute)
		require.False(t, one.episode("a").LostAt.IsZero())
		tell(one, two, two, "a", alert.Firing, alert.Low)
		require.True(t, one.episode("a").LostAt.IsZero())
		one.after(2 * time.Minute)
		require.True(t, one.episode("a").LostAt.IsZero())
	})
}

// Whoever of two hears of a judgement, and whoever leads: the messages are those of one exporter that hears everything, at the
// same times.
func TestReplicasAreAsOne(t *testing.T) {
	histories := 20
	for seed := range histories {
		if alone, shared := chronicle(t, uint64(seed), false), chronicle(t, uint64(seed), true); !assert.Equal(t, alone, shared, "seed %d", seed) {
			return
		}
	}
}

func chronicle(t *testing.T, seed uint64, shared bool) (lines []string) {
	synctest.Test(t, func(t *testing.T) {
		draw := rand.New(rand.NewPCG(seed, 7))
		c, one, two := newCluster(t, 17*time.Minute)
		start := time.Now()
		for range 40 {
			id, op, severity := fmt.Sprint("alert-", draw.IntN(3)), draw.IntN(10), alert.Severity(1+draw.IntN(4))
			to, leader, minutes := []*rig{one, two}[draw.IntN(2)], []*rig{one, two}[draw.IntN(2)], 1+draw.IntN(20)
			if !shared {
				to, leader = one, one
			}
			switch {
			case op < 4:
				tell(one, two, to, id, alert.Firing, severity)
			case op < 6:
				tell(one, two, to, id, alert.Inactive, alert.Low)
			case op == 6:
				c.lead(leader)
			default:
				// Whoever heard of an alert last goes on hearing of it.
				for range minutes {
					one.after(time.Minute)
					for _, r := range []*rig{one, two} {
						for _, en := range held(r.x.view) {
							if shared || r == one {
								tell(one, two, r, en.alertID, alert.Firing, en.severity)
							}
						}
						if !shared {
							break
						}
					}
				}
			}
		}
		for _, m := range one.people.take() {
			lines = append(lines, m.describe(start))
		}
		slices.Sort(lines)
	})
	return lines
}

func held(v *view) (all []entry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, en := range v.entries {
		if en.open {
			all = append(all, *en)
		}
	}
	slices.SortFunc(all, func(a, b entry) int { return strings.Compare(a.alertID, b.alertID) })
	return all
}

// A ledger that fails at the moment of the change is asked again.
func TestLeadsWhenTheLedgerIsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, one, two := newCluster(t, 0)
		tell(one, two, one, "a", alert.Firing, alert.High)
		one.kill()
		two.ledger.set(errors.New("away"))
		c.lead(two)
		two.after(time.Minute)
		two.ledger.set(nil)
		two.after(15 * time.Minute)
		require.Len(t, two.people.take(), 1)
	})
}
