package rule

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzLoadFile holds for any bytes: no panic, every error with a position and a message, and what loads can be
// combined, reviewed, hashed and expanded.
func FuzzLoadFile(f *testing.F) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(f, err)
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(f, err)
		f.Add(content)
	}
	f.Add([]byte("groups: &a [*a]"))
	f.Add([]byte("a: &a\n  b: {<<: *a}\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		groups, err := LoadFile("f.yaml", content, Defaults{})
		if err != nil {
			var errs Errors
			if !errors.As(err, &errs) || len(errs) == 0 || groups != nil {
				t.Fatalf("%T, %d groups: %v", err, len(groups), err)
			}
			for _, e := range errs {
				if e.File != "f.yaml" || e.Line < 1 || e.Column < 1 || e.Msg == "" || !utf8.ValidString(e.Error()) {
					t.Fatalf("%+v", e)
				}
			}
			return
		}
		set, err := Combine(groups)
		if err != nil {
			t.Fatalf("one file alone must combine: %v", err)
		}
		for _, w := range set.Warnings() {
			if w.Line < 1 || w.Msg == "" {
				t.Fatalf("%+v", w)
			}
		}
		for _, r := range set.Rules() {
			if r.Group == "" || (r.Metric == "") == (r.Query == nil) || (r.Query != nil && r.Expr == "") {
				t.Fatalf("%+v", r)
			}
			if r.Record != "" {
				continue
			}
			if r.Name == "" || r.Owner == "" || len(r.Tiers) == 0 || r.NoData.HoldFor <= 0 {
				t.Fatalf("%+v", r)
			}
			if silent := r.Explored(); silent != nil {
				for i := range silent.Tiers {
					if !silent.Tiers[i].covers(&r.Tiers[i].Threshold) || silent.Tiers[i].ClearLow > silent.Tiers[i].ClearHigh {
						t.Fatalf("%s beside %s", &silent.Tiers[i].Threshold, &r.Tiers[i].Threshold)
					}
				}
			}
			labels, annotations := r.Expand(map[string]string{"a": "b"}, 1, nil, now)
			for _, texts := range []map[string]string{labels, annotations} {
				for name, text := range texts {
					if len(text) > maxExpanded || !utf8.ValidString(text) {
						t.Fatalf("%s: %q", name, text)
					}
				}
			}
		}
	})
}

// FuzzExpr holds for any PromQL: no panic, what is split reads back, and selectors that look somewhere.
func FuzzExpr(f *testing.F) {
	for _, seed := range []string{
		`m > 5`, `5 < m`, `(m > bool 5) == 1`, `m > 5 and on (i) n`, `absent(m)`, `count(m) < 1`, `{__name__=~"a|b"} > 5`,
		`histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m]))) > 1`, `m @ 5 offset -5m`, `max_over_time(m[1h:1m] @ end()) > -Inf`,
		`sum(rate(m{a="b"}[5m])) / sum(rate(m[5m])) > 5`, `a / clamp_min(rate(b[5m]), 1)`, `topk(1, m) >= 2 ^ 3`, `x_ratio * 100 > 90`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		rule := map[string]any{"alert": "A", "expr": expr}
		groups, err := Inline("groups", []any{map[string]any{"name": "g", "interval": "1m", "rules": []any{rule}}}, Defaults{})
		if err != nil {
			return
		}
		r := groups[0].Rules[0]
		if r.Query.Split == (r.Tiers[0].Op == Always) || (r.Query.Split && r.Query.Unsplit != "") || len(r.Tiers) != 1 {
			t.Fatalf("%+v %+v", r.Query, r.Tiers)
		}
		if _, err := newParser().ParseExpr(r.Query.Signal); err != nil {
			t.Fatalf("%q from %q: %v", r.Query.Signal, expr, err)
		}
		for _, s := range r.Query.Selectors {
			if s.Before < 0 || s.After < 0 || s.Before+s.After == 0 {
				t.Fatalf("%+v", s)
			}
		}
		rule["tiers"] = map[string]any{"high": map[string]any{"above": 1}}
		if _, err := Inline("groups", []any{map[string]any{"name": "g", "rules": []any{rule}}}, Defaults{}); err != nil {
			t.Fatalf("with tiers: %v", err)
		}
	})
}
