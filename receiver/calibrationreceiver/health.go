package calibrationreceiver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"
)

// health tells, once per change, which of the receiver's activities do not work.
type health struct {
	logger *zap.Logger
	report func(*componentstatus.Event)

	mu      sync.Mutex
	trouble map[string]error
}

// set records how an activity went. The first failure and the first success after it are logged; while any activity
// fails the receiver's status is a recoverable error.
func (h *health) set(activity string, err error) {
	event := h.change(activity, err)
	if event == nil {
		return
	}
	if err != nil {
		h.logger.Warn(activity+" does not work; it is tried again", zap.Error(err))
	} else {
		h.logger.Info(activity + " works again")
	}
	h.report(event)
}

// change returns the status to report, nil where nothing changed.
func (h *health) change(activity string, err error) *componentstatus.Event {
	h.mu.Lock()
	defer h.mu.Unlock()
	if (h.trouble[activity] != nil) == (err != nil) {
		return nil
	}
	if err == nil {
		delete(h.trouble, activity)
	} else {
		if h.trouble == nil {
			h.trouble = map[string]error{}
		}
		h.trouble[activity] = err
	}
	if len(h.trouble) == 0 {
		return componentstatus.NewEvent(componentstatus.StatusOK)
	}
	var all []error
	for _, name := range slices.Sorted(maps.Keys(h.trouble)) {
		all = append(all, fmt.Errorf("%s: %w", name, h.trouble[name]))
	}
	return componentstatus.NewRecoverableErrorEvent(errors.Join(all...))
}
