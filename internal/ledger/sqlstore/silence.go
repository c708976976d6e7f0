package sqlstore

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const silenceColumns = "id, matchers, starts_at, ends_at, updated_at, created_by, comment"

var (
	putSilence    = upsert("silences", []string{"id"}, silenceColumns)
	selectSilence = "SELECT " + silenceColumns + " FROM silences "
)

func (t *tx) PutSilence(s *ledger.Silence) error {
	return t.write(putSilence, s.ID, document[[]ledger.Matcher]{s.Matchers}, nanos(s.StartsAt), nanos(s.EndsAt),
		nanos(s.UpdatedAt), s.CreatedBy, s.Comment)
}

func scanSilence(r row) (*ledger.Silence, error) {
	s := &ledger.Silence{}
	err := r.Scan(&s.ID, documentAt[[]ledger.Matcher]{&s.Matchers}, timeAt{&s.StartsAt}, timeAt{&s.EndsAt},
		timeAt{&s.UpdatedAt}, &s.CreatedBy, &s.Comment)
	return s, err
}

func (t *tx) Silence(id string) (*ledger.Silence, error) {
	return one(t, scanSilence, selectSilence+"WHERE id = ?", id)
}

func (t *tx) Silences(endsAfter time.Time) ([]*ledger.Silence, error) {
	return list(t, scanSilence, selectSilence+"WHERE ends_at > ? ORDER BY starts_at, id", nanos(endsAfter))
}
