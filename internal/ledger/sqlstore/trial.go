package sqlstore

import "github.com/otelcol-escalation/otelcol-escalation/internal/ledger"

const trialColumns = "id, receiver, requested_by, requested_at, done_at, error"

var (
	putTrial    = upsert("trials", []string{"id"}, trialColumns)
	selectTrial = "SELECT " + trialColumns + " FROM trials "
)

func (t *tx) PutTrial(p *ledger.Trial) error {
	return t.write(putTrial, p.ID, p.Receiver, p.RequestedBy, nanos(p.RequestedAt), nanos(p.DoneAt), p.Error)
}

func scanTrial(r row) (*ledger.Trial, error) {
	p := &ledger.Trial{}
	err := r.Scan(&p.ID, &p.Receiver, &p.RequestedBy, timeAt{&p.RequestedAt}, timeAt{&p.DoneAt}, &p.Error)
	return p, err
}

func (t *tx) Trial(id string) (*ledger.Trial, error) {
	return one(t, scanTrial, selectTrial+"WHERE id = ?", id)
}

func (t *tx) Trials() ([]*ledger.Trial, error) {
	return list(t, scanTrial, selectTrial+"WHERE done_at = 0 ORDER BY requested_at, id")
}
