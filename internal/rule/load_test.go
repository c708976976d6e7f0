package rule

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// ruleFile is a file with one group of rules with the given names, for what does not depend on more.
func ruleFile(group string, names ...string) string {
	content := "groups:\n- name: " + group + "\n  rules:\n"
	for _, name := range names {
		content += "  - {alert: " + name + ", metric: m, tiers: {low: {above: 1}}}\n"
	}
	return content
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b.yaml"), ruleFile("b", "B1", "B2"))
	write(t, filepath.Join(dir, "a.yaml"), ruleFile("a", "A1"))
	write(t, filepath.Join(dir, "empty.yaml"), "")
	write(t, filepath.Join(dir, "notes.txt"), "not a rule file")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "directory.yaml"), 0o700))
	inline := []any{map[string]any{"name": "i", "rules": []any{
		map[string]any{"alert": "I1", "metric": "m", "tiers": map[string]any{"low": map[string]any{"above": 1}}},
	}}}

	set, err := Load([]string{filepath.Join(dir, "b*.yaml"), filepath.Join(dir, "*.yaml")}, inline, Defaults{})
	require.NoError(t, err)
	var names []string
	for _, r := range set.Rules() {
		names = append(names, r.Name)
	}
	assert.Equal(t, []string{"B1", "B2", "A1", "I1"}, names, "each file once, in the order of the globs")
	assert.Equal(t, filepath.Join(dir, "b.yaml"), set.Groups[0].File)
	assert.Equal(t, Position{File: filepath.Join(dir, "a.yaml"), Line: 4, Column: 5, Path: "groups[0].rules[0]"}, set.Rules()[2].Position)
	assert.Equal(t, Position{Path: "groups[0].rules[0]"}, set.Rules()[3].Position)
}

func TestLoadReportsEverything(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, filepath.Join(dir, "bad.yaml"), "groups:\n- name: g\n  rules:\n  - {alert: A, metric: m, tiers: {low: {above: x}}}\n  - {alert: B, metric: m, tiers: {low: {above: y}}}\n")
	write(t, filepath.Join(dir, "good.yaml"), ruleFile("g", "A"))
	inline := []any{map[string]any{"name": "i", "interval": "-1s"}}

	set, err := Load([]string{filepath.Join(dir, "*.yaml"), filepath.Join(dir, "none*"), "[", filepath.Join(dir, "missing.yaml")}, inline, Defaults{})
	require.Nil(t, set)
	var errs Errors
	require.ErrorAs(t, err, &errs)
	text := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	assert.Equal(t, `no file matches "none*": correct the pattern or create the file
the rule file pattern "[" cannot be read: syntax error in pattern
no file matches "missing.yaml": correct the pattern or create the file
bad.yaml:4:48: groups[0].rules[0].tiers.low.above: must be a number (got "x")
bad.yaml:5:48: groups[0].rules[1].tiers.low.above: must be a number (got "y")
groups[0].interval: must not be negative (got -1s)`, strings.ReplaceAll(text, strings.Trim(quoteJSON(dir+string(filepath.Separator)), `"`), ""))
	assert.Equal(t, bad, errs[3].File)
	assert.Equal(t, 4, errs[3].Line)
	assert.Equal(t, 48, errs[3].Column)
	assert.Equal(t, "groups[0].rules[0].tiers.low.above", errs[3].Path)
}

func quoteJSON(s string) string { return strings.ReplaceAll(s, `\`, `\\`) }

func TestReadFileErrors(t *testing.T) {
	dir := t.TempDir()
	_, err := ReadFile(filepath.Join(dir, "missing.yaml"), Defaults{})
	require.ErrorContains(t, err, filepath.Join(dir, "missing.yaml")+": cannot be read: no such file or directory")
	_, err = ReadFile(dir, Defaults{})
	require.ErrorContains(t, err, dir+": cannot be read: is a directory")
	large := write(t, filepath.Join(dir, "large.yaml"), strings.Repeat("#", maxFileSize+1))
	_, err = ReadFile(large, Defaults{})
	require.ErrorContains(t, err, "large.yaml:1:1: must not be larger than 4194304 bytes")
}

func TestCombine(t *testing.T) {
	read := func(path, content string) []*Group {
		groups, err := LoadFile(path, []byte(content), Defaults{})
		require.NoError(t, err)
		return groups
	}
	t.Run("one group over two files", func(t *testing.T) {
		set, err := Combine(append(read("a.yaml", ruleFile("g", "A")), read("b.yaml", ruleFile("g", "B"))...))
		require.NoError(t, err)
		assert.Len(t, set.Rules(), 2)
	})
	t.Run("one rule in two files", func(t *testing.T) {
		set, err := Combine(append(read("a.yaml", ruleFile("g", "A")), read("b.yaml", ruleFile("g", "B", "A"))...))
		require.EqualError(t, err, `b.yaml:5:5: groups[0].rules[1].alert: its group, name and labels are those of the rule at a.yaml:4:5, so that their alerts could not be told apart: give one of them another name or a label (got "A" in group "g")`)
		assert.Nil(t, set)
	})
	t.Run("one name in two groups", func(t *testing.T) {
		_, err := Combine(append(read("a.yaml", ruleFile("g", "A")), read("b.yaml", ruleFile("h", "A"))...))
		require.NoError(t, err)
	})
	t.Run("apart by a label", func(t *testing.T) {
		labelled := strings.Replace(ruleFile("g", "A"), "metric: m", "metric: m, labels: {zone: b}", 1)
		_, err := Combine(append(read("a.yaml", ruleFile("g", "A")), read("b.yaml", labelled)...))
		require.NoError(t, err)
	})
	t.Run("inline and a file", func(t *testing.T) {
		inline, err := Inline("groups", []map[string]any{{"name": "g", "rules": []any{
			map[string]any{"alert": "A", "metric": "m", "tiers": map[string]any{"low": map[string]any{"above": 1}}},
		}}}, Defaults{})
		require.NoError(t, err)
		_, err = Combine(append(read("a.yaml", ruleFile("g", "A")), inline...))
		require.ErrorContains(t, err, "groups[0].rules[0].alert: its group, name and labels are those of the rule at a.yaml:4:5")
	})
	t.Run("nothing", func(t *testing.T) {
		set, err := Combine(nil)
		require.NoError(t, err)
		assert.Empty(t, set.Rules())
	})
}

// TestInlineIsTheSameSchema reads the good files once as files and once as the Collector's configuration would give
// them, and the bad ones too: apart from positions nothing may differ.
func TestInlineIsTheSameSchema(t *testing.T) {
	files, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(t, err)
	for _, file := range files {
		if strings.Contains(file, "prometheusrule") || strings.Contains(file, "aliases") || strings.Contains(file, "groups.yaml") {
			continue // what they are about does not exist in a configuration
		}
		t.Run(file, func(t *testing.T) {
			content, err := os.ReadFile(file)
			require.NoError(t, err)
			var document map[string]any
			if err := yaml.Unmarshal(content, &document); err != nil {
				t.Skip("duplicate keys are lost before a configuration has them:", err)
			}
			fromFile, fileErr := LoadFile(file, content, Defaults{})
			inline, inlineErr := Inline("groups", document["groups"], Defaults{})
			if fileErr != nil {
				require.Error(t, inlineErr)
				assert.ElementsMatch(t, paths(fileErr), paths(inlineErr))
				return
			}
			require.NoError(t, inlineErr)
			require.Len(t, inline, len(fromFile))
			for i := range inline {
				require.Len(t, inline[i].Rules, len(fromFile[i].Rules))
				for j, r := range inline[i].Rules {
					assert.Equal(t, fromFile[i].Rules[j].Hash(), r.Hash(), r.Name)
					assert.Equal(t, fromFile[i].Rules[j].Annotations, r.Annotations)
				}
			}
		})
	}
}

func paths(err error) []string {
	var errs Errors
	errors.As(err, &errs)
	var all []string
	for _, e := range errs {
		all = append(all, e.Path)
	}
	return all
}

func TestInline(t *testing.T) {
	groups, err := Inline("groups", nil, Defaults{})
	require.NoError(t, err)
	assert.Empty(t, groups)

	rule := func(above any) any {
		return []any{map[any]any{"name": "g", "rules": []any{map[string]any{
			"alert": "A", "metric": "m", "labels": map[string]string{"a": "b"},
			"tiers": map[string]any{"low": map[string]any{"above": above, "for": "5m"}},
		}}}}
	}
	for _, above := range []any{1, int64(1), uint8(1), float32(1), 1.0, 1e0} {
		groups, err := Inline("groups", rule(above), Defaults{})
		require.NoError(t, err)
		assert.InDelta(t, 1, groups[0].Rules[0].Tiers[0].High, 0)
		assert.Equal(t, 5*time.Minute, groups[0].Rules[0].Tiers[0].For)
	}
	for above, want := range map[any]string{
		"0.9":        `processors.threshold.groups[0].rules[0].tiers.low.above: must be a number (got "0.9")`,
		true:         `processors.threshold.groups[0].rules[0].tiers.low.above: must be a number (got true)`,
		math.Inf(-1): `processors.threshold.groups[0].rules[0].tiers.low.above: must be a finite number (got -.inf)`,
		math.NaN():   `processors.threshold.groups[0].rules[0].tiers.low.above: must be a finite number (got .nan)`,
	} {
		_, err := Inline("processors.threshold.groups", rule(above), Defaults{})
		require.EqualError(t, err, want)
	}
	_, err = Inline("groups", rule(make(chan int)), Defaults{})
	require.EqualError(t, err, "groups: must hold strings, numbers, lists and maps (got chan int)")
	_, err = Inline("groups", "text", Defaults{})
	require.EqualError(t, err, `groups: must be a list (got "text")`)
	cyclic := map[string]any{}
	cyclic["name"] = cyclic
	_, err = Inline("groups", []any{cyclic}, Defaults{})
	require.EqualError(t, err, "groups: must not be nested deeper than 32 levels")
}

func TestDefaults(t *testing.T) {
	d := Defaults{
		DefaultOwner: "everyone", DefaultSeverity: alert.Low, HoldFor: 2 * time.Hour, EvaluationInterval: 15 * time.Second,
		SeverityLabels: map[string]alert.Severity{"Sev0": alert.Critical, "warning": alert.Low},
	}
	groups, err := LoadFile("f.yaml", []byte(ruleFile("g", "A")), d)
	require.NoError(t, err)
	r := groups[0].Rules[0]
	assert.Equal(t, "everyone", r.Owner)
	assert.Equal(t, NoData{Action: NoDataHold, HoldFor: 2 * time.Hour}, r.NoData)
	assert.Equal(t, 15*time.Second, groups[0].Interval)

	for label, want := range map[string]alert.Severity{
		"sev0": alert.Critical, "SEV0": alert.Critical, "page": alert.Critical, "warning": alert.Low, "major": alert.High, "what": alert.Low, "": alert.Low,
	} {
		assert.Equal(t, want, newDecoder("", d).severity(map[string]string{"severity": label}), label)
	}
	assert.Equal(t, alert.Medium, newDecoder("", Defaults{}).severity(nil))
}

func TestOwner(t *testing.T) {
	for lines, want := range map[string]string{
		"owner: a\nlabels: {owner: b, team: c}": "a",
		"labels: {owner: b, team: c}":           "b",
		"labels: {team: c}":                     "c",
		"labels: {team: '{{ $labels.t }}'}":     "unowned",
		"labels: {team: ''}":                    "unowned",
		"response: x":                           "unowned",
	} {
		assert.Equal(t, want, load(t, lines).Owner, lines)
	}
}
