package evaluate

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// settled is how long after a restart the last difference to a Prometheus that never stopped is gone: the look-back of
// an instant selector and the group's offset, both again for what is recorded, then `for` and `keep_firing_for` twice,
// since rules here look at the alerts of others.
const settled = 2*(5*time.Minute+30*time.Second) + 4*time.Minute

// TestRestartedRules restarts what evaluates, with an empty window and what was stored, beside a Prometheus that goes on:
// what fires there all the time fires here all the time, and as soon as the window has covered what rules look at, the
// same alerts are in the same states with the same values.
func TestRestartedRules(t *testing.T) {
	db := teststorage.New(t)
	base := time.Unix(1_700_000_000, 0).UTC()
	held, same := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		restart := len(s.steps) - 1
		tail := int(settled/scenarioStep) + rapid.IntRange(1, 12).Draw(rt, "tail")
		for len(s.steps) <= restart+tail {
			s.steps = append(s.steps, drawScenario(rt).steps...)
		}
		c := 0.0 // the parts of the tail count on
		for _, step := range s.steps {
			if _, ok := step[`c_total{i="0"}`]; ok {
				c += float64(len(step))
				step[`c_total{i="0"}`] = c
			}
		}
		base = base.Add(time.Duration(len(s.steps))*scenarioStep + time.Hour).Truncate(time.Minute)
		h, n := s.compareRestarted(rt, db, base, restart)
		held, same = held+h, same+n
	})
	require.Positive(t, held, "nothing fired through a restart")
	require.Positive(t, same)
	t.Logf("%d alerts fired through the restart and until the rules had settled; %d states compared after that", held, same)
}

func (s scenario) compareRestarted(rt *rapid.T, db storage.Storage, base time.Time, restart int) (held, same int) {
	groups, err := rule.LoadFile("drawn.yaml", []byte(s.file), rule.Defaults{Lookback: 5 * time.Minute})
	require.NoError(rt, err, s.file)
	set, err := rule.Combine(groups)
	require.NoError(rt, err)
	opts := testOptions()
	opts.Lookback, opts.EvaluationInterval, opts.WholeHistory = 5*time.Minute, time.Minute, true
	ours := New(set, opts, base)
	require.NoError(rt, ours.Restore(nil, nil, true, time.Time{}, base))
	theirs := prometheusGroup(rt, s.file, db)
	key := ours.Groups()[0].Key

	var through map[string]bool // what has fired there since before the restart
	for i, step := range s.steps {
		ts := base.Add(time.Duration(i) * scenarioStep)
		app := db.Appender(rt.Context())
		for _, name := range sortedNames(step) {
			ls, err := parser.NewParser(parser.Options{}).ParseMetric(name)
			require.NoError(rt, err)
			at := ts.Add(-5 * time.Second).UnixMilli()
			_, err = app.Append(0, ls, at, step[name])
			require.NoError(rt, err)
			require.NoError(rt, ours.Window().Append(ls, 0, at, step[name], nil, nil, ts.UnixMilli()))
		}
		require.NoError(rt, app.Commit())
		theirs.Eval(rt.Context(), ts)
		ours.EvaluateGroup(rt.Context(), key, ts, ts)
		ours.Take()
		switch {
		case i == restart:
			// What only keep_firing_for keeps ends by the clock, whatever came in and had not been looked at yet.
			through = firingOurs(ours, func(l *live) bool { return l.active != 0 })
			var stored [][]byte
			for shard := range Shards {
				stored = append(stored, ours.FiringShard(shard))
			}
			quiet := ours.QuietShards(0, Shards)
			opts.WholeHistory = false
			ours = New(set, opts, ts)
			require.NoError(rt, ours.Restore(stored, quiet, true, ts, ts))
		case i > restart:
			maps.DeleteFunc(through, func(a string, _ bool) bool { return !firingTheirs(theirs)[a] })
			mine := firingOurs(ours, func(*live) bool { return true })
			for a := range through {
				if !mine[a] {
					rt.Fatalf("%s fires on in Prometheus, and ended here %d steps after the restart behind step %d of\n%s%s", a, i-restart, restart, s.file, s.table(i))
				}
			}
			if time.Duration(i-restart)*scenarioStep <= settled {
				continue
			}
			held += len(through)
			want, got := timeless(describeTheirs(theirs)), timeless(describeOurs(ours))
			if want != got {
				rt.Fatalf("%d steps after a restart behind step %d of\n%s%s\nPrometheus has\n%sthis has\n%s", i-restart, restart, s.file, s.table(i), want, got)
			}
			same++
		}
	}
	return held, same
}

func firingTheirs(g *rules.Group) map[string]bool {
	all := map[string]bool{}
	for _, r := range g.AlertingRules() {
		for _, a := range r.ActiveAlerts() {
			if a.State == rules.StateFiring {
				ls := a.Labels.Map()
				delete(ls, "alertname")
				all[r.Name()+labels.FromMap(ls).String()] = true
			}
		}
	}
	return all
}

func firingOurs(e *Evaluator, counts func(*live) bool) map[string]bool {
	all := map[string]bool{}
	for _, r := range e.rules {
		for _, a := range r.alerts {
			if a.state == alert.Firing && counts(a.worst()) {
				ls, _ := e.expand(a, time.Time{})
				delete(ls, "alertname")
				all[r.rule.Name+labels.FromMap(ls).String()] = true
			}
		}
	}
	return all
}

// timeless takes the times out: what was pending or held over the restart may have begun later.
func timeless(lines string) string {
	var all []string
	for line := range strings.Lines(lines) {
		before, after, _ := strings.Cut(strings.TrimSpace(line), " since ")
		_, value, _ := strings.Cut(after, " at ")
		all = append(all, before+" "+value)
	}
	return joined(all)
}
