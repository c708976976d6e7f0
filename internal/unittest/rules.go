package unittest

import (
	"errors"
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
		var wrong rule.Errors
		if errors.As(err, &wrong) {
			errs = append(errs, wrong...)
		} else if err != nil {
			return nil, err
		}
		groups = append(groups, read...)
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return rule.Combine(groups)
}

// orderGroups brings the groups into the order of evaluation.
func (f *File) orderGroups(set *rule.Set) {
	place := map[string]int{}
	for i, name := range f.GroupOrder {
		place[name.Value] = i
	}
	slices.SortStableFunc(set.Groups, func(a, b *rule.Group) int { return place[a.Name] - place[b.Name] })
}

// review finds names that are no rule's and no group's: what is misspelt never fires, and is never out of order.
func (f *File) review(set *rule.Set, t *Test) []rule.Warning {
	var all []rule.Warning
	for _, name := range f.GroupOrder {
		if !slices.ContainsFunc(set.Groups, func(g *rule.Group) bool { return g.Name == name.Value }) {
			all = append(all, rule.Warning{Position: name.Position, Msg: fmt.Sprintf("no rule file has a group of this name (got %q)", name.Value)})
		}
	}
	rules := set.Rules()
	for i := range t.Alerts {
		a := &t.Alerts[i]
		if !slices.ContainsFunc(rules, func(r *rule.Rule) bool { return r.Name == a.Alertname }) {
			all = append(all, rule.Warning{Position: a.Position, Msg: fmt.Sprintf("no rule file has an alert of this name, so there never is one (got %q)", a.Alertname)})
		}
	}
	return all
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
