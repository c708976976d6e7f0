package thresholdprocessor

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// reloadTicks is how many ticks lie between two looks at the rule files. A change is taken when two looks have seen the
// same, so that no file is read half written, nor thought gone while an editor replaces it: within 4 s.
const reloadTicks = 2

// ruleSource follows rule files. It compares contents, not times, so that it sees a change behind a symbolic link, as
// Kubernetes makes one, and passes over a file that was only touched.
type ruleSource struct {
	globs    []string
	defaults rule.Defaults
	logger   *zap.Logger
	tell     *telemetry

	inline []*rule.Group
	files  map[string]*ruleFile
	// order is that of the files: of the globs, then of their names.
	order []string
}

type checksum [sha256.Size]byte

// ruleFile is one file that a glob names, or has named until now.
type ruleFile struct {
	// seen is what the last look found; decided what was last taken or refused.
	seen, decided checksum
	// missed is set when the last look did not find the file.
	missed bool
	// groups are those in force: of the last version that was taken.
	groups []*rule.Group
	// next is a version that is good in itself; nil for none. It waits where it does not go together with other files.
	next *[]*rule.Group
}

func newRuleSource(cfg *Config, logger *zap.Logger, tell *telemetry) (*ruleSource, *rule.Set, error) {
	s := &ruleSource{globs: cfg.RuleFiles, defaults: cfg.defaults(), logger: logger, tell: tell, files: map[string]*ruleFile{}}
	var err error
	if s.order, err = rule.Files(cfg.RuleFiles); err != nil {
		return nil, nil, err
	}
	for _, name := range s.order {
		content, sum, err := look(name)
		if err != nil {
			return nil, nil, err
		}
		groups, err := rule.LoadFile(name, content, s.defaults)
		if err != nil {
			return nil, nil, err
		}
		s.files[name] = &ruleFile{seen: sum, decided: sum, groups: groups}
	}
	if s.inline, err = rule.Inline("groups", cfg.inline(), s.defaults); err != nil {
		return nil, nil, err
	}
	set, err := rule.Combine(s.groups(nil))
	if err != nil {
		return nil, nil, err
	}
	s.remark(set, func(string) bool { return true })
	return s, set, nil
}

// look reads a file. The checksum is that of the content, or of the error: a new error is news, too.
func look(name string) ([]byte, checksum, error) {
	content, err := read(name)
	if err != nil {
		return nil, sha256.Sum256([]byte("\x00" + err.Error())), err
	}
	return content, sha256.Sum256(content), nil
}

func read(name string) ([]byte, error) {
	content, err := rule.Contents(name)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return content, nil
}

// groups are those in force, with the next versions of some files in their place, and then the configuration's own.
func (s *ruleSource) groups(next []string) []*rule.Group {
	var all []*rule.Group
	for _, name := range s.order {
		f := s.files[name]
		if f.next != nil && slices.Contains(next, name) {
			all = append(all, *f.next...)
		} else {
			all = append(all, f.groups...)
		}
	}
	return append(all, s.inline...)
}

// poll looks at the files and returns the rules when they have changed, nil otherwise. A file that turned bad is
// refused whole: its last good version goes on, while the others follow.
func (s *ruleSource) poll() *rule.Set {
	found, _ := rule.Files(s.globs) // a glob without files is no error any more: its rules have ended
	changed := s.removed(found)
	for _, name := range found {
		f := s.files[name]
		if f == nil {
			f = &ruleFile{}
			s.files[name] = f
		}
		if s.refresh(name, f) {
			changed = append(changed, name)
		}
	}
	s.order = slices.DeleteFunc(append(found, s.order...), s.listed())
	if len(changed) == 0 {
		return nil
	}
	return s.settle(changed)
}

// listed reports whether a name is to be left out of the order: it comes a second time, or is no file any more.
func (s *ruleSource) listed() func(string) bool {
	seen := map[string]bool{}
	return func(name string) bool {
		again := seen[name] || s.files[name] == nil
		seen[name] = true
		return again
	}
}

// removed lets go of files that two looks have not found, and returns those that had rules.
func (s *ruleSource) removed(found []string) []string {
	var gone []string
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		f := s.files[name]
		switch {
		case slices.Contains(found, name):
			f.missed = false
		case !f.missed:
			f.missed = true
		default:
			delete(s.files, name)
			s.tell.reloaded(reloadRemoved)
			s.logger.Info("A rule file is gone; its rules have ended.", zap.String("file", name))
			gone = append(gone, name)
		}
	}
	return gone
}

// refresh looks at one file and reports whether it has a new version that is good in itself.
func (s *ruleSource) refresh(name string, f *ruleFile) bool {
	content, sum, err := look(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false // it went between the listing and now; the next listing will not have it
	}
	settled := sum == f.seen
	f.seen = sum
	if !settled || sum == f.decided {
		return false
	}
	f.decided, f.next = sum, nil
	var groups []*rule.Group
	if err == nil {
		groups, err = rule.Read(name, bytes.NewReader(content), s.defaults)
	}
	if err != nil {
		s.refuse(name, err)
		return false
	}
	f.next = &groups
	return true
}

// settle takes the next versions that go together with the rest. Those that do not wait for a change that lets them.
func (s *ruleSource) settle(changed []string) *rule.Set {
	var ready []string
	for _, name := range s.order {
		if s.files[name].next != nil {
			ready = append(ready, name)
		}
	}
	if set, err := rule.Combine(s.groups(ready)); err == nil {
		s.take(set, ready)
		return set
	}
	var taken []string
	for _, name := range ready {
		if _, err := rule.Combine(s.groups(append(taken, name))); err == nil {
			taken = append(taken, name)
		} else if slices.Contains(changed, name) {
			s.refuse(name, err)
		}
	}
	set, err := rule.Combine(s.groups(taken))
	if err != nil {
		return nil // what is in force goes together, and so do those that were taken one by one
	}
	s.take(set, taken)
	return set
}

func (s *ruleSource) take(set *rule.Set, names []string) {
	for _, name := range names {
		f := s.files[name]
		before, now := count(f.groups), count(*f.next)
		f.groups, f.next = *f.next, nil
		s.tell.reloaded(reloadAccepted)
		level := zap.InfoLevel
		if now == 0 && before > 0 {
			level = zap.WarnLevel // a full disk empties files, too
		}
		s.logger.Log(level, "A rule file has changed and is in force.",
			zap.String("file", name), zap.Int("rules", now), zap.Int("rules_before", before))
	}
	s.remark(set, func(file string) bool { return slices.Contains(names, file) })
}

func count(groups []*rule.Group) (rules int) {
	for _, g := range groups {
		rules += len(g.Rules)
	}
	return rules
}

func (s *ruleSource) refuse(name string, err error) {
	s.tell.reloaded(reloadRefused)
	s.logger.Error("A rule file is refused; its last good version goes on.", zap.String("file", name), zap.Error(err))
}

// mostRemarks bounds what one reading of the rules writes to the log.
const mostRemarks = 20

// remark logs what a reviewer would say about the rules of some files.
func (s *ruleSource) remark(set *rule.Set, about func(file string) bool) {
	warnings := slices.DeleteFunc(set.Warnings(), func(w rule.Warning) bool { return !about(w.File) })
	for i, w := range warnings {
		if i == mostRemarks {
			s.logger.Info("There is more to say about the rules: see alertctl check.", zap.Int("remarks", len(warnings)-i))
			return
		}
		s.logger.Info("About a rule.", zap.String("remark", w.String()))
	}
}
