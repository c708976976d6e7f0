package rule

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

func TestSelectors(t *testing.T) {
	type read struct {
		name          string
		before, after time.Duration
		fixed         bool
	}
	const lookback = 5 * time.Minute
	for expr, want := range map[string][]read{
		`m`:                       {{"m", lookback, 0, false}},
		`{job="a"}`:               {{"", lookback, 0, false}},
		`rate(m[1h])`:             {{"m", time.Hour, 0, false}},
		`m offset 1h`:             {{"m", time.Hour + lookback, 0, false}},
		`rate(m[1h] offset 1d)`:   {{"m", 25 * time.Hour, 0, false}},
		`m offset -1m`:            {{"m", 4 * time.Minute, time.Minute, false}},
		`m offset -1h`:            {{"m", 0, time.Hour, false}},
		`max_over_time(m[1h:1m])`: {{"m", time.Hour + lookback, 0, false}},
		`max_over_time(rate(m[10m])[1h:] offset 1h)`:              {{"m", 130 * time.Minute, 0, false}},
		`max_over_time(rate(m[10m] offset -20m)[1h:] offset -1h)`: {{"m", 0, 80 * time.Minute, false}},
		`max_over_time(max_over_time(m[1h:])[1d:])`:               {{"m", 25*time.Hour + lookback, 0, false}},
		`m @ 1700000000`:                                         {{"m", lookback, 0, true}},
		`m @ start()`:                                            {{"m", lookback, 0, false}},
		`rate(m[1h] @ end() offset 1h)`:                          {{"m", 2 * time.Hour, 0, false}},
		`max_over_time(m[1d:] @ 1700000000)`:                     {{"m", 24*time.Hour + lookback, 0, true}},
		`max_over_time((m @ end())[1d:] @ 1700000000)`:           {{"m", lookback, 0, false}},
		`sum(rate(a[5m])) / sum(rate(b[10m])) > 0.1 and on () c`: {{"a", 5 * time.Minute, 0, false}, {"b", 10 * time.Minute, 0, false}, {"c", lookback, 0, false}},
	} {
		var got []read
		for _, s := range plain(t, expr).Query.Selectors {
			got = append(got, read{s.Name(), s.Before, s.After, s.Fixed})
		}
		assert.Equal(t, want, got, expr)
	}
	groups, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{record: r, expr: m}]}]"), Defaults{Lookback: time.Minute})
	require.NoError(t, err)
	assert.Equal(t, time.Minute, groups[0].Rules[0].Query.Selectors[0].Before)
}

// one loads a group of one rule, given as a flow mapping.
func one(t *testing.T, rule string) *Rule {
	t.Helper()
	groups, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{"+rule+"}]}]"), Defaults{})
	require.NoError(t, err, rule)
	return groups[0].Rules[0]
}

func TestFilters(t *testing.T) {
	for expr, want := range map[string]bool{
		`m`: false, `sum(rate(m[5m]))`: false, `a / b`: false, `m > bool 5`: false, `a or b`: false, `sum(m > 5)`: false,
		`histogram_quantile(0.9, sum by (le) (rate(b[5m])))`: false, `absent(m > 5)`: false, `vector(scalar(m > 5))`: false,
		`sum(a) / (sum(b) > 0)`: true, `m > 5`: true, `a and b`: true, `a unless b`: true, `-(m > 5)`: true, `abs(m > 5)`: true,
		`(a > 5) or b`: true, `max_over_time((m > 5)[10m:])`: true, `topk(3, m)`: true, `1 < m`: true,
	} {
		r := one(t, "alert: A, expr: '"+expr+"', tiers: {high: {above: 5}}")
		assert.Equal(t, want, r.Query.Filters, expr)
		assert.False(t, r.Query.Plain || r.Query.Split, expr)
		assert.Equal(t, expr, r.Query.Signal)
	}
}

func TestPointwise(t *testing.T) {
	for expr, want := range map[string]bool{
		`m`: true, `m > 5`: true, `5 < m * 100`: true, `a / on (i) b > 0.9`: true, `-(m offset 1m)`: true, `abs(m) > 5 and n > 2`: true,
		`label_replace(m, "a", "$1", "b", "(.*)") > 5`: true, `round(m, 5) > 5`: true, `time() - m > 60`: true,
		`sum(m) > 5`: false, `rate(m[5m]) > 5`: false, `m > scalar(n)`: false, `m > 5 and sum(n) > 2`: false, `abs(avg_over_time(m[5m])) > 5`: false,
		`max_over_time(m[5m:1m])`: false, `absent(m)`: false, `topk(3, m)`: false,
	} {
		assert.Equal(t, want, plain(t, expr).Query.Pointwise, expr)
		assert.Equal(t, want, one(t, "alert: A, expr: '"+expr+"', tiers: {high: {above: 5}}").Query.Pointwise, expr)
	}
}

func TestAbsent(t *testing.T) {
	for expr, want := range map[string]bool{
		`absent(m)`: true, `absent_over_time(m[5m])`: true, `sum(absent(m)) > 0`: true, `m unless on () absent(n)`: true, `m`: false, `absent_minutes`: false,
	} {
		assert.Equal(t, want, plain(t, expr).Query.Absent, expr)
	}
}

func TestSource(t *testing.T) {
	for expr, want := range map[string]string{
		`m`: "m", `rate(m[5m]) / m`: "m", `a / b`: "a", `{job="x"}`: "", `{__name__=~"a|b"}`: "", `vector(1)`: "",
	} {
		assert.Equal(t, want, plain(t, expr).Query.Source(), expr)
	}
}

func TestPlainRule(t *testing.T) {
	r := one(t, "alert: A, expr: m > 5, for: 10m, labels: {severity: page}")
	assert.Equal(t, []Tier{{Severity: alert.Critical, Threshold: r.Tiers[0].Threshold}}, r.Tiers)
	assert.Equal(t, 10*time.Minute, r.Tiers[0].For)
	r = one(t, "alert: A, expr: absent(m), labels: {severity: warning}")
	assert.Equal(t, alert.Medium, r.Tiers[0].Severity)
	r = one(t, "record: 'a:b', expr: sum(m), labels: {a: b}")
	assert.Equal(t, "a:b", r.Record)
	assert.Equal(t, "sum(m)", r.Query.Signal)
	assert.Empty(t, r.Tiers)
	assert.False(t, r.Query.Plain)
}

// TestTemplateQueries: what templates ask is kept like what rules ask.
func TestTemplateQueries(t *testing.T) {
	ask := func(template string) ([]string, []string) {
		groups, err := LoadFile("f.yaml", []byte("groups:\n- name: g\n  labels: {a: '{{ query `group` }}'}\n  rules:\n  - alert: A\n    expr: m\n    owner: o\n    annotations:\n      summary: |-\n        "+template), Defaults{})
		require.NoError(t, err, template)
		set, err := Combine(groups)
		require.NoError(t, err)
		var names, warnings []string
		for _, s := range set.Rules()[0].Query.Selectors[2:] {
			names = append(names, s.Name()+" "+s.Before.String())
		}
		for _, w := range set.Warnings() {
			if strings.Contains(w.Path, "annotations") {
				warnings = append(warnings, w.String())
			}
		}
		assert.Equal(t, "group", set.Rules()[0].Query.Selectors[1].Name())
		return names, warnings
	}
	const unknown = "f.yaml:9:16: groups[0].rules[0].annotations.summary: what its query asks is put together only when the alert goes out: it finds what some rule's expr selects, and nothing else, for nothing else is kept"
	for template, want := range map[string]struct{ names, warnings []string }{
		"{{ $labels.query }}": {},
		"{{ query `up` }}":    {names: []string{"up 5m0s"}},
		"{{ with query `sum(rate(x[1h])) / y` }}{{ . | first | value }}{{ end }}":    {names: []string{"x 1h0m0s", "y 5m0s"}},
		"{{ range query (`up`) }}{{ end }}":                                          {names: []string{"up 5m0s"}},
		"{{ `up` | query | first | value }}":                                         {names: []string{"up 5m0s"}},
		"{{ if true }}{{ else }}{{ query `up` }}{{ end }}":                           {names: []string{"up 5m0s"}},
		"{{ define `x` }}{{ query `up` }}{{ end }}{{ template `x` (query `down`) }}": {names: []string{"down 5m0s", "up 5m0s"}},
		"{{ (query `up` | first).Value }}":                                           {names: []string{"up 5m0s"}},
		"{{ query (printf `up{i=%q}` $labels.i) }}":                                  {warnings: []string{unknown}},
		"{{ printf `up{i=%q}` $labels.i | query }}":                                  {warnings: []string{unknown}},
		"{{ $q := `up` }}{{ query $q }}":                                             {warnings: []string{unknown}},
		"{{ query `up ==` }}":                                                        {warnings: []string{"f.yaml:9:16: groups[0].rules[0].annotations.summary: its query cannot be read as PromQL, so the text will say so: 1:6: parse error: unexpected end of input"}},
	} {
		names, warnings := ask(template)
		assert.ElementsMatch(t, want.names, names, template)
		assert.Equal(t, want.warnings, warnings, template)
	}
}

// TestTwins: Prometheus runs rules of one name side by side; their alerts are told apart by the expression.
func TestTwins(t *testing.T) {
	load := func(path string, exprs ...string) []*Group {
		content := "groups:\n- name: g\n  rules:\n"
		for _, expr := range exprs {
			content += "  - {alert: A, " + expr + "}\n"
		}
		groups, err := LoadFile(path, []byte(content), Defaults{})
		require.NoError(t, err)
		return groups
	}
	twinsOf := func(groups ...*Group) []string {
		set, err := Combine(groups)
		require.NoError(t, err)
		hashes := map[uint64]bool{}
		var twins []string
		for _, r := range set.Rules() {
			twins = append(twins, r.Twin)
			assert.False(t, hashes[r.Hash()], "each has its own state")
			hashes[r.Hash()] = true
		}
		return twins
	}
	one := load("a.yaml", "expr: m > 5", "expr: m > 9", "expr: m > 5, labels: {zone: b}", "expr: n")
	assert.Equal(t, []string{"", "m > 9", "", "n"}, twinsOf(one...))
	other := load("b.yaml", "expr: k")
	before := other[0].Rules[0].Hash()
	assert.Equal(t, []string{"", "m > 9", "", "n", "k"}, twinsOf(append(one, other...)...))
	assert.Equal(t, before, other[0].Rules[0].Hash(), "groups that are in use are not changed")
	assert.Empty(t, other[0].Rules[0].Twin)
}

// TestTooMuchPromQL: what would take the parser long is refused before it is parsed.
func TestTooMuchPromQL(t *testing.T) {
	load := func(n int, expr string) error {
		var b strings.Builder
		b.WriteString("groups:\n- name: g\n  rules:\n")
		for i := range n {
			b.WriteString("  - {record: r" + strconv.Itoa(i) + ", expr: '" + expr + "'}\n")
		}
		_, err := LoadFile("f.yaml", []byte(b.String()), Defaults{})
		return err
	}
	long := "m # " + strings.Repeat("-", maxExpr-4)
	require.NoError(t, load(maxExprs/maxExpr, long))
	require.ErrorContains(t, load(maxExprs/maxExpr+1, long), "must not be longer than 524288 bytes: split the file (got 540672 up to here)")
	require.NoError(t, load(1, strings.Repeat("m+", maxTokens/2-1)+"m"))
	require.ErrorContains(t, load(1, strings.Repeat("m+", maxTokens/2)+"m"), "must not have more than 2000 operators, names and brackets: record parts of it (got more)")
	wide := "sum(" + strings.Repeat("{a=\"b\"} or ", 165) + "m)"
	require.ErrorContains(t, load(maxAllTokens/tokens(wide)+1, wide), "must not have more than 100000 operators, names and brackets: split the file")
}
