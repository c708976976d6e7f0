package calibrationreceiver

import (
	"context"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/receiver"
)

// instances are the receivers that one factory has made and that are not shut down, by their configuration: the
// Collector asks for each signal's receiver by itself, with the same configuration.
type instances struct {
	mu sync.Mutex
	of map[*Config]*instance
}

func (all *instances) get(set receiver.Settings, cfg *Config) (*instance, error) {
	all.mu.Lock()
	defer all.mu.Unlock()
	if i := all.of[cfg]; i != nil {
		return i, nil
	}
	r, err := newCalibration(set, cfg)
	if err != nil {
		return nil, err
	}
	i := &instance{calibration: r, release: func() {
		all.mu.Lock()
		defer all.mu.Unlock()
		delete(all.of, cfg)
	}}
	all.of[cfg] = i
	return i, nil
}

// instance is one receiver behind the two that the Collector sees. It starts with the first of them to start, and stops
// with the first to stop: the Collector stops all receivers before anything else.
type instance struct {
	*calibration
	release func()

	start, stop       sync.Once
	startErr, stopErr error
	hosts             hosts
}

var (
	_ receiver.Metrics = (*instance)(nil)
	_ receiver.Logs    = (*instance)(nil)
)

func (i *instance) Start(ctx context.Context, host component.Host) error {
	i.hosts.add(host)
	i.start.Do(func() { i.startErr = i.calibration.start(ctx, host.GetExtensions(), i.hosts.report) })
	return i.startErr
}

func (i *instance) Shutdown(ctx context.Context) error {
	i.stop.Do(func() {
		i.release()
		i.stopErr = i.calibration.shutdown(ctx)
	})
	return i.stopErr
}

// hosts are the hosts of both receivers: each reports the status of its own.
type hosts struct {
	mu   sync.Mutex
	all  []component.Host
	last *componentstatus.Event
}

func (h *hosts) add(host component.Host) {
	h.mu.Lock()
	last := h.last
	h.all = append(h.all, host)
	h.mu.Unlock()
	if last != nil {
		componentstatus.ReportStatus(host, last)
	}
}

func (h *hosts) report(event *componentstatus.Event) {
	h.mu.Lock()
	h.last = event
	all := h.all
	h.mu.Unlock()
	for _, host := range all {
		componentstatus.ReportStatus(host, event)
	}
}
