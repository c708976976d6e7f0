package e2e

import (
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func host(address string) string { h, _, _ := net.SplitHostPort(address); return h }

func port(address string) string { _, p, _ := net.SplitHostPort(address); return p }

// own sums a metric of the collector's own over all series that have the labels, each written as name="value".
func (s *settings) own(t testing.TB, metric string, labels ...string) float64 {
	t.Helper()
	resp, err := http.Get("http://" + s.self + "/metrics")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	sum := 0.0
	for line := range strings.Lines(string(body)) {
		series, value, ok := cutLast(strings.TrimSpace(line))
		name, set, _ := strings.Cut(series, "{")
		if !ok || strings.TrimSuffix(name, "_total") != metric {
			continue
		}
		has := true
		for _, label := range labels {
			has = has && strings.Contains(set, label)
		}
		if has {
			v, err := strconv.ParseFloat(value, 64)
			require.NoError(t, err, line)
			sum += v
		}
	}
	return sum
}
