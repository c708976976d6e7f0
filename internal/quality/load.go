package quality

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Load is how much an owner is paged, beside what the owner has agreed to.
type Load struct {
	Owner string
	escalate.Budget
	// Paged are the pages of the last Within.
	Paged int64
}

// Used is the part of the budget that is used: more than 1 where there were more pages.
func (l Load) Used() float64 { return float64(l.Paged) / float64(l.Pages) }

// Loads returns the owners that have a budget, by name, as the exporter has published them.
func Loads(tx ledger.Tx) ([]Load, error) {
	text, err := tx.Setting(ledger.SettingBudgets)
	if err != nil || text == "" {
		return nil, err
	}
	var budgets map[string]escalate.Budget
	if err := json.Unmarshal([]byte(text), &budgets); err != nil {
		return nil, fmt.Errorf("alert budgets in the ledger: %w", err)
	}
	var all []Load
	for _, owner := range slices.Sorted(maps.Keys(budgets)) {
		l := Load{Owner: owner, Budget: budgets[owner]}
		if l.Pages < 1 || l.Within <= 0 {
			continue
		}
		if l.Paged, err = tx.Paged(owner, tx.Now().Add(-l.Within)); err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}
