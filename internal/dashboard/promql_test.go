package dashboard

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// TestWhatQueriesAnswer runs the queries that do more than select and fold, on Prometheus' engine. Grafana's variables have the
// values of a view of 10 minutes in steps of one.
func TestWhatQueriesAnswer(t *testing.T) {
	n, err := newNames("")
	require.NoError(t, err)
	a := n.is(alert.AttrRule, "A")
	at := func(query string) string {
		return strings.NewReplacer(rangeVariable, "10m", stepVariable, "1m", "$__rate_interval", "75s").Replace(query)
	}
	episodes := n.of(alert.MetricEpisodes, a)
	script := `
load 1m
  alert_episodes_total{alert_rule_name="A", alert_outcome="notified", alert_owner_name="x"} 5x10 6x10
  alert_episodes_total{alert_rule_name="A", alert_outcome="notified", alert_owner_name="y"} _x13 1x7
  alert_episodes_total{alert_rule_name="A", alert_outcome="batched", alert_owner_name="x"}  _x15 2x5
  alert_time_to_notify_seconds{alert_rule_name="A"} {{schema:0 count:4 sum:4 buckets:[4]}}x10 {{schema:0 count:5 sum:20 buckets:[4 0 0 0 1]}}x10
  alert_time_to_notify_seconds{alert_rule_name="B"} _x15 {{schema:0 count:1 sum:2 buckets:[0 1]}}x5
  alert_threshold_current{alert_rule_name="A", alert_severity="high"}     0.9x10 0.8x10
  alert_threshold_current{alert_rule_name="A", alert_severity="critical"} 0.95x20
  alert_state{alert_rule_name="A", alert_id="1"} 1x5 2x3 0x12
  alert_state{alert_rule_name="A", alert_id="2"} 1x20

# one by the series that was there, and one that began with its first: what increase() would not count
eval instant at 20m ` + at(grown(episodes, n.by(alert.AttrOutcome), rangeVariable)) + `
  {alert_outcome="notified"} 2
  {alert_outcome="batched"}  2

# nothing in the last minute
eval instant at 20m ` + at(grown(episodes, "", stepVariable)) + `
  {} 0

eval instant at 15m ` + at(grown(episodes, "", stepVariable)) + `
  {} 2

# of the four that were told before, nothing is left: the one of these ten minutes took between 8 and 16 s
eval instant at 20m ` + at(quantile(0.5, n.of(alert.MetricTimeToNotify, a), "", rangeVariable)) + `
  {} 11.313708498984761

eval instant at 20m ` + at(quantile(1, n.of(alert.MetricTimeToNotify), n.by(alert.AttrRule), rangeVariable)) + `
  {alert_rule_name="A"} 16
  {alert_rule_name="B"} 2

eval range from 9m to 13m step 1m ` + at("group("+n.changed(a)+")") + `
  {} _ _ 1 _ _

eval range from 4m to 12m step 1m ` + at("group("+n.fired(a)+")") + `
  {} _ _ 1 1 1 1 1 _ _
`
	engine := promqltest.NewTestEngineWithOpts(t, promql.EngineOpts{
		MaxSamples: 10_000, Timeout: time.Minute, EnableAtModifier: true, EnableNegativeOffset: true, Parser: parser.NewParser(parser.Options{}),
	})
	promqltest.RunTest(t, script, engine)
}
