package escalationexporter

import (
	"sync"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// silences are those that the ledger has, compiled. They change rarely and are asked for by every decision.
type silences struct {
	mu       sync.Mutex
	read     bool
	revision string
	compiled []escalate.Silence
}

func (s *silences) all() []escalate.Silence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.compiled
}

// refreshSilences reads the silences anew where one has changed. It returns the groups that must be decided again: those of
// which an episode matches a silence, or did.
func (x *escalation) refreshSilences(tx ledger.Tx) (affected []string, err error) {
	s := &x.silences
	revision, err := tx.Setting(ledger.SettingSilences)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	same, first := s.read && s.revision == revision, !s.read
	s.mu.Unlock()
	if same {
		return nil, nil
	}
	stored, err := tx.Silences(tx.Now())
	if err != nil {
		return nil, err
	}
	var compiled []escalate.Silence
	for _, one := range stored {
		c, err := escalate.CompileSilence(one)
		if err != nil { // the API has compiled it before: another version has written it
			x.logger.Error("A silence cannot be used.", zap.Error(err))
			continue
		}
		compiled = append(compiled, c)
	}
	if !first {
		if affected, err = groupsOf(tx, compiled); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	s.read, s.revision, s.compiled = true, revision, compiled
	s.mu.Unlock()
	return affected, nil
}

// groupsOf returns the groups with an open episode that is silenced, or that one of the silences is about.
func groupsOf(tx ledger.Tx, silences []escalate.Silence) (ids []string, err error) {
	open, seen := true, map[string]bool{}
	for q := (ledger.Query{Open: &open, Limit: episodesPerPage}); ; {
		page, err := tx.Episodes(q)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			about := e.Held == ledger.SuppressedSilenced
			for i := 0; i < len(silences) && !about; i++ {
				about = silences[i].Matches(e)
			}
			if about && e.GroupID != "" && !seen[e.GroupID] {
				seen[e.GroupID] = true
				ids = append(ids, e.GroupID)
			}
		}
		if len(page) < episodesPerPage {
			return ids, nil
		}
		q.After = page[len(page)-1]
	}
}

// sources are the open episodes that may inhibit others, as this exporter knows them.
type sources struct {
	mu   sync.Mutex
	byID map[string]*ledger.Episode
}

// learn takes over an episode.
func (s *sources) learn(p *escalate.Policy, e *ledger.Episode) {
	inhibits := e.Open() && p.Inhibits(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case inhibits && s.byID == nil:
		s.byID = map[string]*ledger.Episode{e.ID: e}
	case inhibits:
		s.byID[e.ID] = e
	default:
		delete(s.byID, e.ID)
	}
}

func (s *sources) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, id)
}

func (s *sources) all() []*ledger.Episode {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*ledger.Episode, 0, len(s.byID))
	for _, e := range s.byID {
		all = append(all, e)
	}
	return all
}

// circumstances are what decisions of a transaction go by. What this exporter remembers of inhibiting episodes only says
// which ones to ask the ledger for: a person may have ended one.
func (x *escalation) circumstances(tx ledger.Tx, opened []*ledger.Episode) escalate.Circumstances {
	around := escalate.Circumstances{Silences: x.silences.all()}
	known := append(x.sources.all(), opened...)
	if len(known) == 0 {
		return around
	}
	around.Inhibited = func(e *ledger.Episode) bool {
		for {
			source := x.policy.Inhibited(e, known)
			if source == nil {
				return false
			}
			now, err := tx.Episode(source.ID)
			if err == nil && now.Open() && x.policy.Inhibited(e, []*ledger.Episode{now}) != nil {
				return true
			}
			x.sources.forget(source.ID)
			rest := make([]*ledger.Episode, 0, len(known))
			for _, other := range known {
				if other.ID != source.ID {
					rest = append(rest, other)
				}
			}
			known = rest
		}
	}
	return around
}
