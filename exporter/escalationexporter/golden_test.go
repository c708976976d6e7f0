package escalationexporter

import (
	"cmp"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/pkg/golden"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

var update = flag.Bool("update", false, "write the golden outputs")

// The processor's output files are the exporter's input files. For each file in testdata/pages the output of the case
// with its name is played in its own time, and twenty minutes longer; the file says what is sent.
func TestPagesOfWhatTheProcessorEmits(t *testing.T) {
	cases, err := filepath.Glob(filepath.Join("testdata", "pages", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, cases)
	for _, want := range cases {
		name := strings.TrimSuffix(filepath.Base(want), ".yaml")
		input := filepath.Join("..", "..", "processor", "thresholdprocessor", "testdata", name, "output.yaml")
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				md, err := golden.ReadMetrics(input)
				require.NoError(t, err)
				r := newRig(t, ledgertest.New(t))
				r.change = func(c *Config) {
					c.Owners["inference-platform"] = escalate.OwnerSpec{
						RespondWithin: 30 * time.Minute, Steps: c.Owners["inference"].Steps,
					}
				}
				r.begin()
				t.Cleanup(r.finish)
				for _, rm := range md.ResourceMetrics().All() {
					part := pmetric.NewMetrics()
					rm.CopyTo(part.ResourceMetrics().AppendEmpty())
					alert.Read(part, func(a alert.Alert) { r.after(time.Until(a.Time)) }, func(p alert.Problem) { t.Errorf("rejected: %s", p) })
					require.NoError(t, r.x.consume(t.Context(), part))
					r.settle()
				}
				r.after(20 * time.Minute)
				got := pages(r.people.take(), r.start)
				if *update {
					require.NoError(t, os.WriteFile(want, []byte(got), 0o600))
				}
				expected, err := os.ReadFile(want)
				require.NoError(t, err)
				require.Equal(t, string(expected), got)
			})
		})
	}
}

// pages writes messages for people to read. Episodes are numbered, because their names are random.
func pages(sent []message, start time.Time) string {
	type shownAlert struct {
		Labels, Annotations map[string]string
		StartsAt            string `yaml:"startsAt"`
		EndsAt              string `yaml:"endsAt,omitempty"`
	}
	type shown struct {
		At, To, Key string
		GroupLabels map[string]string `yaml:"groupLabels"`
		Alerts      []shownAlert
	}
	all := []shown{}
	slices.SortStableFunc(sent, func(a, b message) int { // what goes out at the same time does so in any order
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.destination, b.destination),
			cmp.Compare(escalate.GroupKey(a.GroupLabels), escalate.GroupKey(b.GroupLabels)))
	})
	var names []string
	for _, m := range sent {
		page := shown{At: m.at.Sub(start).String(), To: m.destination, Key: m.Key, GroupLabels: m.GroupLabels}
		for _, a := range m.Alerts {
			if id := a.Labels[alert.LabelEpisodeID]; !slices.Contains(names, id) {
				names = append(names, id)
			}
			one := shownAlert{Labels: a.Labels, Annotations: a.Annotations, StartsAt: a.StartsAt.Sub(start).String()}
			if !a.EndsAt.IsZero() {
				one.EndsAt = a.EndsAt.Sub(start).String()
			}
			page.Alerts = append(page.Alerts, one)
		}
		all = append(all, page)
	}
	text, err := yaml.Marshal(all)
	if err != nil {
		panic(err)
	}
	out := string(text)
	for i, id := range names {
		out = strings.ReplaceAll(out, id, "EPISODE-"+string(rune('A'+i)))
	}
	return out
}
