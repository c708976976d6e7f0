package thresholdprocessor

import (
	"crypto/sha256"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// reloadTicks is how many ticks lie between two looks at the rule files: a change is seen well within 5 s.
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
}

// ruleFile is one file: what it held when last read, and the groups of its last good version.
type ruleFile struct {
	sum    [sha256.Size]byte
	groups []*rule.Group
	good   bool
}

func newRuleSource(cfg *Config, logger *zap.Logger, tell *telemetry) (*ruleSource, *rule.Set, error) {
	s := &ruleSource{globs: cfg.RuleFiles, defaults: cfg.defaults(), logger: logger, tell: tell, files: map[string]*ruleFile{}}
	names, err := rule.Files(cfg.RuleFiles)
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		content, err := os.ReadFile(name)
		if err != nil {
			return nil, nil, err
		}
		groups, err := rule.LoadFile(name, content, s.defaults)
		if err != nil {
			return nil, nil, err
		}
		s.files[name] = &ruleFile{sum: sha256.Sum256(content), groups: groups, good: true}
	}
	if s.inline, err = rule.Inline("groups", cfg.inline(), s.defaults); err != nil {
		return nil, nil, err
	}
	set, err := rule.Combine(s.groups(s.files))
	return s, set, err
}

// groups are those of all files and of the configuration, in a fixed order.
func (s *ruleSource) groups(files map[string]*ruleFile) []*rule.Group {
	var all []*rule.Group
	for _, name := range s.names(files) {
		all = append(all, files[name].groups...)
	}
	return append(all, s.inline...)
}

// names are those of the files in the order of the globs, then of their names.
func (s *ruleSource) names(files map[string]*ruleFile) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	position := func(name string) int {
		return slices.IndexFunc(s.globs, func(glob string) bool { ok, _ := filepath.Match(glob, name); return ok || glob == name })
	}
	slices.SortFunc(names, func(a, b string) int {
		if d := position(a) - position(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return names
}

// poll returns the rules when they have changed, nil otherwise. A file that turned bad is refused whole: its last good
// version goes on, while the others follow.
func (s *ruleSource) poll() *rule.Set {
	var current *rule.Set
	found := map[string]bool{}
	for _, glob := range s.globs {
		names, _ := filepath.Glob(glob) // the pattern was good at the start
		for _, name := range names {
			if !found[name] {
				found[name] = true
				if set := s.refresh(name); set != nil {
					current = set
				}
			}
		}
	}
	for name := range s.files {
		if found[name] {
			continue
		}
		if set := s.try(name, nil); set != nil {
			s.logger.Info("A rule file is gone; its rules are no longer judged.", zap.String("file", name))
			current = set
		}
	}
	return current
}

// refresh looks at one file and returns the rules when they have changed with it.
func (s *ruleSource) refresh(name string) *rule.Set {
	content, err := os.ReadFile(name)
	if err != nil {
		if os.IsNotExist(err) {
			return nil // went between the listing and now
		}
		content = []byte("\x00" + err.Error()) // reported once, like a bad content
	}
	known := s.files[name]
	sum := sha256.Sum256(content)
	if known != nil && known.sum == sum {
		return nil
	}
	next := &ruleFile{sum: sum, good: true}
	if err == nil {
		next.groups, err = rule.LoadFile(name, content, s.defaults)
	}
	if err != nil {
		s.refuse(name, sum, err)
		return nil
	}
	set := s.try(name, next)
	if set != nil {
		s.tell.reloaded(true)
		s.logger.Info("A rule file changed and was taken.", zap.String("file", name), zap.Int("rules", len(set.Rules())))
	}
	return set
}

// try combines the rules with one file replaced, or without it where next is nil.
func (s *ruleSource) try(name string, next *ruleFile) *rule.Set {
	files := make(map[string]*ruleFile, len(s.files)+1)
	for n, f := range s.files {
		files[n] = f
	}
	delete(files, name)
	if next != nil {
		files[name] = next
	}
	set, err := rule.Combine(s.groups(files))
	if err != nil {
		if next != nil {
			s.refuse(name, next.sum, err)
		}
		return nil
	}
	s.files = files
	return set
}

// refuse keeps a file's last good version and remembers what was refused, so that it is said once.
func (s *ruleSource) refuse(name string, sum [sha256.Size]byte, err error) {
	kept := &ruleFile{sum: sum}
	if known := s.files[name]; known != nil {
		kept.groups, kept.good = known.groups, known.good
	}
	s.files[name] = kept
	s.tell.reloaded(false)
	s.logger.Error("A rule file was refused; the rules before it go on.", zap.String("file", name), zap.Error(err))
}
