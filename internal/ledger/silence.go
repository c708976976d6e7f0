package ledger

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Silence keeps everything that matches from being paged for a time.
type Silence struct {
	ID       string
	Matchers []Matcher
	// StartsAt and EndsAt bound it: [StartsAt, EndsAt).
	StartsAt, EndsAt time.Time
	UpdatedAt        time.Time
	CreatedBy        string
	Comment          string
}

// Matcher is a condition on one label of a page, as Alertmanager has them. A label that is not there is empty.
type Matcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual bool   `json:"isEqual"`
}

// String is the matcher as PromQL writes it.
func (m Matcher) String() string {
	op := "!="
	switch {
	case m.IsEqual && m.IsRegex:
		op = "=~"
	case m.IsEqual:
		op = "="
	case m.IsRegex:
		op = "!~"
	}
	return m.Name + op + strconv.Quote(m.Value)
}

// Active reports whether the silence holds at a time.
func (s *Silence) Active(t time.Time) bool { return !t.Before(s.StartsAt) && t.Before(s.EndsAt) }

// Errors of silences that a person asks for.
var (
	ErrMatchers = errors.New("a silence needs a matcher that does not match the empty text")
	ErrSilence  = errors.New("invalid silence")
)

// SettingSilences holds a number that grows with every change of a silence, so that who has them in memory sees it.
const SettingSilences = "ledger.silences"

// maxMatcher bounds what a person may write into one matcher.
const maxMatcher = 4096

// Check reports what is wrong with a silence.
func (s *Silence) Check() error {
	if !s.EndsAt.After(s.StartsAt) {
		return fmt.Errorf("%w: it must end after it starts", ErrSilence)
	}
	wanted := false
	for _, m := range s.Matchers {
		if m.Name == "" || len(m.Name)+len(m.Value) > maxMatcher {
			return fmt.Errorf("%w: a matcher needs the name of a label and at most %d bytes", ErrSilence, maxMatcher)
		}
		empty := m.Value == ""
		if m.IsRegex {
			re, err := m.Regexp()
			if err != nil {
				return fmt.Errorf("%w: matcher %s: %w", ErrSilence, m, err)
			}
			empty = re.MatchString("")
		}
		wanted = wanted || empty != m.IsEqual
	}
	if !wanted {
		return ErrMatchers
	}
	return nil
}

// Regexp is the matcher's expression, which has to match the whole value.
func (m Matcher) Regexp() (*regexp.Regexp, error) { return regexp.Compile("^(?:" + m.Value + ")$") }

// Silent stores a new silence, or a changed one, whose id it keeps. What has begun keeps its start; what has ended stays
// ended: as in Alertmanager a changed silence that has ended, or whose matchers changed, becomes a new one.
func Silent(tx Tx, s *Silence) error {
	now := tx.Now()
	if s.StartsAt.Before(now) {
		s.StartsAt = now
	}
	if !s.EndsAt.After(now) {
		return ErrPast
	}
	if err := s.Check(); err != nil {
		return err
	}
	if s.ID != "" {
		before, err := tx.Silence(s.ID)
		switch {
		case err != nil:
			return err
		case !before.EndsAt.After(now) || !sameMatchers(before.Matchers, s.Matchers):
			if err := Expire(tx, s.ID); err != nil {
				return err
			}
			s.ID = ""
		case before.Active(now):
			s.StartsAt = before.StartsAt
		}
	}
	if s.ID == "" {
		s.ID = newID(now)
	}
	return putSilence(tx, s)
}

// Expire ends a silence now. Repeating it changes nothing.
func Expire(tx Tx, id string) error {
	s, err := tx.Silence(id)
	if err != nil || !s.EndsAt.After(tx.Now()) {
		return err
	}
	s.EndsAt = tx.Now()
	if s.StartsAt.After(s.EndsAt) {
		s.StartsAt = s.EndsAt
	}
	return putSilence(tx, s)
}

func putSilence(tx Tx, s *Silence) error {
	s.UpdatedAt = tx.Now()
	if err := tx.PutSilence(s); err != nil {
		return err
	}
	before, err := tx.Setting(SettingSilences)
	if err != nil {
		return err
	}
	n, _ := strconv.ParseInt(before, 10, 64)
	return tx.PutSetting(SettingSilences, strconv.FormatInt(n+1, 10))
}

func sameMatchers(a, b []Matcher) bool {
	text := func(all []Matcher) string {
		var b strings.Builder
		for _, m := range all {
			b.WriteString(m.String())
			b.WriteByte('\n')
		}
		return b.String()
	}
	return text(a) == text(b)
}
