package unittest

import (
	"fmt"
	"path/filepath"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// ruleFiles are the files that the globs name, each once. A glob that names none is a warning: promtool goes on.
func (f *File) ruleFiles(r *Result) ([]string, error) {
	var files []string
	for _, glob := range f.RuleFiles {
		pattern := glob.Value
		if pattern != "" && !filepath.IsAbs(pattern) {
			pattern = filepath.Join(filepath.Dir(f.Path), pattern)
		}
		matches, err := filepath.Glob(pattern)
		if err != nil {
			return nil, rule.Errors{{Position: glob.Position, Msg: fmt.Sprintf("cannot be read as a pattern of file names: %v (got %q)", err, glob.Value)}}
		}
		if len(matches) == 0 {
			r.Warnings = append(r.Warnings, rule.Warning{Position: glob.Position, Msg: fmt.Sprintf("no file matches, so there are no rules from here (got %q)", pattern)})
		}
		for _, file := range matches {
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
		}
	}
	return files, nil
}

// loadRules reads the rule files as the processor does. The error is of type rule.Errors.
func loadRules(files []string, d rule.Defaults) (*rule.Set, error) {
	var errs rule.Errors
	var groups []*rule.Group
	for _, file := range files {
		read, err := rule.ReadFile(file, d)
		errs = append(errs, errorsOf(err)...)
		groups = append(groups, read...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return rule.Combine(groups)
}

func errorsOf(err error) rule.Errors {
	switch e := err.(type) { //nolint:errorlint // the loader's errors are not wrapped
	case nil:
		return nil
	case rule.Errors:
		return e
	default:
		return rule.Errors{{Msg: err.Error()}}
	}
}

// orderGroups brings the groups into the order of evaluation.
func (f *File) orderGroups(set *rule.Set) {
	place := map[string]int{}
	for i, name := range f.GroupOrder {
		place[name.Value] = i
	}
	slices.SortStableFunc(set.Groups, func(a, b *rule.Group) int { return place[a.Name] - place[b.Name] })
}

// only returns the set with only the rules that keep wants.
func only(set *rule.Set, keep func(*rule.Rule) bool) *rule.Set {
	kept := &rule.Set{}
	for _, g := range set.Groups {
		group := *g
		group.Rules = slices.DeleteFunc(slices.Clone(g.Rules), func(r *rule.Rule) bool { return !keep(r) })
		if len(group.Rules) > 0 {
			kept.Groups = append(kept.Groups, &group)
		}
	}
	return kept
}
