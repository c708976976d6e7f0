package sqlstore

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Settings of the store's own; the prefix keeps them apart from those of its users.
const (
	settingCountersSince = "ledger.counters_since"
	settingProbe         = "ledger.probe"
)

var (
	putSetting = upsert("settings", []string{"name"}, "name, value")
	putCursor  = upsert("cursors", []string{"name"}, "name, position")
)

func (t *tx) Setting(name string) (string, error) {
	value, err := one(t, scanText, "SELECT value FROM settings WHERE name = ?", name)
	if errors.Is(err, ledger.ErrNotFound) {
		return "", nil
	}
	return value, err
}

func (t *tx) PutSetting(name, value string) error { return t.write(putSetting, name, value) }

func (t *tx) Cursor(name string) (int64, error) {
	position, err := one(t, scanInt, "SELECT position FROM cursors WHERE name = ?", name)
	if errors.Is(err, ledger.ErrNotFound) {
		return 0, nil
	}
	return position, err
}

func (t *tx) PutCursor(name string, position int64) error { return t.write(putCursor, name, position) }

func (t *tx) CountersSince() (time.Time, error) {
	text, err := t.Setting(settingCountersSince)
	if err != nil {
		return time.Time{}, err
	}
	since, err := time.Parse(time.RFC3339Nano, text)
	return since, t.fail(err)
}
