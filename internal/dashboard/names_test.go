package dashboard

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// The names that people find in their Prometheus.
func TestNames(t *testing.T) {
	for _, c := range []struct{ strategy, episodes, ratio, lower, age, state, label string }{
		{"", "alert_episodes_total", "alert_false_positive_ratio", "alert_false_positive_lower_ratio", "alert_open_age_seconds", "alert_state", "alert_rule_name"},
		{"UnderscoreEscapingWithoutSuffixes", "alert_episodes", "alert_false_positive_ratio", "alert_false_positive_lower", "alert_open_age", "alert_state", "alert_rule_name"},
		{"NoUTF8EscapingWithSuffixes", "alert.episodes_total", "alert.false_positive_ratio", "alert.false_positive.lower_ratio", "alert.open.age_seconds", "alert.state", "alert.rule.name"},
		{"NoTranslation", "alert.episodes", "alert.false_positive.ratio", "alert.false_positive.lower", "alert.open.age", "alert.state", "alert.rule.name"},
	} {
		n, err := newNames(c.strategy)
		require.NoError(t, err)
		assert.Equal(t, c.episodes, n.metrics[alert.MetricEpisodes])
		assert.Equal(t, c.ratio, n.metrics[alert.MetricFalsePositiveRatio])
		assert.Equal(t, c.lower, n.metrics[alert.MetricFalsePositiveLower])
		assert.Equal(t, c.age, n.metrics[alert.MetricOpenAge])
		assert.Equal(t, c.state, n.metrics[alert.MetricState])
		assert.Equal(t, c.label, n.labels[alert.AttrRule])
	}
}

func TestCandidates(t *testing.T) {
	one, seconds, annotation := "1", "s", "{request}"
	for _, c := range []struct {
		metric, strategy string
		unit             *string
		want             []string
	}{
		{"vllm:kv_cache_usage_perc", "", &one, []string{"vllm:kv_cache_usage_perc", "vllm:kv_cache_usage_perc_ratio"}},
		{"queue.time", "", &seconds, []string{"queue_time_seconds"}},
		{"queue_seconds", "", &seconds, []string{"queue_seconds"}},
		{"queue", "", &annotation, []string{"queue"}},
		{"queue.time", "NoTranslation", nil, []string{"queue.time"}},
		{"queue.time", "UnderscoreEscapingWithoutSuffixes", nil, []string{"queue_time"}},
		{"queue.time", "NoUTF8EscapingWithSuffixes", &seconds, []string{"queue.time_seconds"}},
	} {
		n, err := newNames(c.strategy)
		require.NoError(t, err)
		got, err := n.candidates(c.metric, c.unit)
		require.NoError(t, err)
		assert.Equal(t, c.want, got, c.metric)
	}
	n, err := newNames("")
	require.NoError(t, err)
	got, err := n.candidates("vllm:kv_cache_usage_perc", nil)
	require.NoError(t, err)
	assert.Equal(t, "vllm:kv_cache_usage_perc", got[0], "what a scrape gives is first")
	for _, name := range []string{"vllm:kv_cache_usage_perc_ratio", "vllm:kv_cache_usage_perc_seconds", "vllm:kv_cache_usage_perc_bytes", "vllm:kv_cache_usage_perc_percent"} {
		assert.Contains(t, got, name)
	}
}

func TestUID(t *testing.T) {
	assert.Equal(t, uid("Alerts: vllm"), uid("Alerts: vllm"))
	assert.NotEqual(t, uid("Alerts: vllm"), uid("Alerts: VLLM"), "titles that read alike are two")
	for _, title := range []string{"", "♥", "a title that is much longer than what Grafana takes as the identity of a dashboard"} {
		assert.Regexp(t, `^[a-z0-9][a-z0-9-]{0,39}$`, uid(title))
	}
}
