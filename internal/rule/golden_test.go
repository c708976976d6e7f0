package rule

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

// golden compares text with a file beside the input.
func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

// TestBadFiles reads every file of testdata/bad and compares its errors, all of them, with the .txt beside it.
func TestBadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			groups, err := ReadFile(file, Defaults{})
			require.Error(t, err)
			require.Nil(t, groups, "a bad file is refused whole")
			text := strings.ReplaceAll(err.Error(), filepath.ToSlash(file)+":", "")
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", text+"\n")
		})
	}
}

// TestGoodFiles reads every file of testdata/good and compares what was understood, and the warnings, with the .txt
// beside it.
func TestGoodFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/good/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			groups, err := ReadFile(file, Defaults{})
			require.NoError(t, err)
			set, err := Combine(groups)
			require.NoError(t, err)
			golden(t, strings.TrimSuffix(file, ".yaml")+".txt", describe(set))
		})
	}
}

// describe writes down everything that a set says.
func describe(set *Set) string {
	var b strings.Builder
	for _, g := range set.Groups {
		fmt.Fprintf(&b, "group %q interval=%s query_offset=%s limit=%d\n", g.Name, g.Interval, g.QueryOffset, g.Limit)
		for _, r := range g.Rules {
			fmt.Fprintf(&b, "%s\n  %s metric=%s where=%s\n", r.Position.short()+" "+r.Position.Path, r.Name, r.Metric, r.Where)
			if q := r.Query; q != nil {
				fmt.Fprintf(&b, "  record=%s signal=%s split=%t unsplit=%q plain=%t filters=%t absent=%t\n", r.Record, q.Signal, q.Split, q.Unsplit, q.Plain, q.Filters, q.Absent)
				fmt.Fprintf(&b, "  explore=%v twin=%q\n", r.Explore, r.Twin)
				for _, s := range q.Selectors {
					fmt.Fprintf(&b, "  reads %v from %s before to %s after\n", s.Matchers, s.Before, s.After)
				}
			}
			for i := range r.Tiers {
				fmt.Fprintf(&b, "  %s: %s, clear [%v, %v]\n", r.Tiers[i].Severity, &r.Tiers[i].Threshold, r.Tiers[i].ClearLow, r.Tiers[i].ClearHigh)
			}
			if r.Rollback != nil {
				fmt.Fprintf(&b, "  rollback: %s\n", r.Rollback)
			}
			if r.ManualIntervention != nil {
				fmt.Fprintf(&b, "  manual intervention: %s\n", r.ManualIntervention)
			}
			fmt.Fprintf(&b, "  owner=%s response=%q keep_firing_for=%s warm_up=%s\n", r.Owner, r.Response, r.KeepFiringFor, r.WarmUp)
			fmt.Fprintf(&b, "  no data: action=%d after=%s tier=%s hold_for=%s\n", r.NoData.Action, r.NoData.After, r.NoData.Tier, r.NoData.HoldFor)
			fmt.Fprintf(&b, "  labels=%v annotations=%v\n", r.Labels, r.Annotations)
		}
	}
	for _, w := range set.Warnings() {
		fmt.Fprintf(&b, "warning %d:%d: %s: %s\n", w.Line, w.Column, w.Path, w.Msg)
	}
	return b.String()
}
