package thresholdprocessor

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
)

const (
	// saveTimeout is how long a batch waits for the storage, and how fast a write must be to end a failure.
	saveTimeout = time.Second
	// writeTimeout is for storages that heed it, closeTimeout how long Shutdown waits for one that does not.
	writeTimeout = 10 * time.Second
	closeTimeout = 15 * time.Second
	// snapshotEvery is how often everything that is not stored at once is stored, in parts of so many shards: one about
	// every second.
	snapshotEvery = 30 * time.Second
	snapshotPart  = 8
	// aliveEvery is how often it is written down that we are there: what lies between that and a start is downtime.
	aliveEvery = 5 * time.Second
)

// Keys in the storage. The version is that of the format.
const metaKey = "v1/meta"

func firingKey(shard int) string { return "v1/firing/" + strconv.Itoa(shard) }
func quietKey(shard int) string  { return "v1/quiet/" + strconv.Itoa(shard) }

// meta says when the stored state was last known to be the present one.
type meta struct {
	AsOf time.Time `json:"as_of"`
}

// stateStore keeps the evaluator's state in a storage extension. One goroutine writes, so that what several batches
// changed shares a write, and so that a storage that hangs holds nobody up for longer than saveTimeout.
type stateStore struct {
	client    storage.Client
	evaluator *evaluate.Evaluator
	host      component.Host
	logger    *zap.Logger
	tell      *telemetry

	mu      sync.Mutex
	dirty   map[int]struct{}        // shards of what fires, to be stored
	quiet   map[int][]byte          // shards of the snapshot, to be stored
	written [evaluate.Shards]uint64 // checksum of each shard of the snapshot as it is stored; 0 where that is not known
	waiting []chan struct{}
	failing bool

	kick    chan struct{}
	stopped chan struct{} // closed when the writing goroutine ends

	lastMeta time.Time // of the writing goroutine
}

func openStates(ctx context.Context, host component.Host, storageID, id component.ID, e *evaluate.Evaluator, logger *zap.Logger, tell *telemetry) (*stateStore, error) {
	found, ok := host.GetExtensions()[storageID]
	if !ok {
		return nil, fmt.Errorf("storage: extension %q is not there: name it under service.extensions", storageID)
	}
	extension, ok := found.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: extension %q is not a storage", storageID)
	}
	client, err := extension.GetClient(ctx, component.KindProcessor, id, "")
	if err != nil {
		return nil, fmt.Errorf("storage: extension %q: %w", storageID, err)
	}
	return &stateStore{
		client: client, evaluator: e, host: host, logger: logger, tell: tell,
		dirty: map[int]struct{}{}, quiet: map[int][]byte{}, kick: make(chan struct{}, 1), stopped: make(chan struct{}),
	}, nil
}

// restore loads what was stored. What cannot be read is logged and passed over: then recoveries are announced, as
// after a start without storage, which is better than not to start.
func (s *stateStore) restore(ctx context.Context, now time.Time) {
	ops := []*storage.Operation{storage.GetOperation(metaKey)}
	for i := range evaluate.Shards {
		ops = append(ops, storage.GetOperation(firingKey(i)), storage.GetOperation(quietKey(i)))
	}
	if err := s.client.Batch(ctx, ops...); err != nil {
		s.failed(fmt.Errorf("stored state cannot be read: %w", err))
		return
	}
	var m meta
	whole := json.Unmarshal(ops[0].Value, &m) == nil
	firing, quiet := make([][]byte, evaluate.Shards), make([][]byte, evaluate.Shards)
	for i := range evaluate.Shards {
		firing[i], quiet[i] = ops[1+2*i].Value, ops[2+2*i].Value
		s.written[i] = xxhash.Sum64(quiet[i])
		whole = whole && readable(firing[i]) && readable(quiet[i])
	}
	if err := s.evaluator.Restore(firing, quiet, whole, m.AsOf, now); err != nil {
		s.logger.Error("Some of the stored state cannot be read and is passed over.", zap.Error(err))
	}
}

func readable(part []byte) bool { return len(part) == 0 || json.Valid(part) }

// save stores what fires in some shards, and returns when that is done, or when it takes too long: then the shards stay
// to be stored, and the batch goes on. While the storage fails nobody waits for it.
func (s *stateStore) save(shards []int) {
	s.mu.Lock()
	for _, shard := range shards {
		s.dirty[shard] = struct{}{}
	}
	if s.failing {
		s.mu.Unlock()
		return
	}
	done := make(chan struct{})
	s.waiting = append(s.waiting, done)
	s.mu.Unlock()
	s.wake()
	timer := time.NewTimer(saveTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-s.stopped: // close stores it
	case <-timer.C:
		s.failed(fmt.Errorf("the storage took longer than %s", saveTimeout))
	}
}

// wake has a write start as soon as it can.
func (s *stateStore) wake() {
	select {
	case s.kick <- struct{}{}:
	default: // one is due already
	}
}

// run is the writing goroutine.
func (s *stateStore) run(ctx context.Context) {
	defer close(s.stopped)
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		case <-ticker.C: // what could not be written is tried again
		}
		s.write()
	}
}

// roll is the goroutine of the snapshot: not the writing one, which somebody may be waiting for.
func (s *stateStore) roll(ctx context.Context) {
	ticker := time.NewTicker(snapshotEvery * snapshotPart / evaluate.Shards)
	defer ticker.Stop()
	for first := 0; ; first = (first + snapshotPart) % evaluate.Shards {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.snap(first, snapshotPart)
		}
	}
}

// snap has n shards of the snapshot written with the next write, as far as they have changed.
func (s *stateStore) snap(first, n int) {
	for i, content := range s.evaluator.QuietShards(first, n) {
		sum := xxhash.Sum64(content)
		s.mu.Lock()
		if s.written[first+i] != sum {
			s.written[first+i] = sum
			s.quiet[first+i] = content
		}
		s.mu.Unlock()
	}
}

func put(key string, content []byte) *storage.Operation {
	if len(content) == 0 {
		return storage.DeleteOperation(key)
	}
	return storage.SetOperation(key, content)
}

// write stores what waits in one batch.
func (s *stateStore) write() {
	due := s.due()
	defer func() {
		for _, done := range due.waiting {
			close(done)
		}
	}()
	var ops []*storage.Operation
	for _, shard := range slices.Sorted(maps.Keys(due.dirty)) {
		ops = append(ops, put(firingKey(shard), s.evaluator.FiringShard(shard)))
	}
	for _, shard := range slices.Sorted(maps.Keys(due.quiet)) {
		ops = append(ops, put(quietKey(shard), due.quiet[shard]))
	}
	now := time.Now()
	if len(ops) == 0 && now.Sub(s.lastMeta) < aliveEvery {
		return
	}
	asOf, err := json.Marshal(meta{AsOf: now.UTC()})
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), writeTimeout)
		failpoint.Reach(failpoint.BeforeSnapshot)
		err = s.client.Batch(ctx, append(ops, storage.SetOperation(metaKey, asOf))...)
		failpoint.Reach(failpoint.AfterSnapshot)
		cancel()
	}
	switch {
	case err != nil:
		s.again(due)
		s.failed(err)
	case time.Since(now) < saveTimeout:
		s.lastMeta = now
		s.recovered()
	}
}

// batch is what one write stores, and who waits for it.
type batch struct {
	dirty   map[int]struct{}
	quiet   map[int][]byte
	waiting []chan struct{}
}

// due hands over what is to be written.
func (s *stateStore) due() batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := batch{dirty: s.dirty, quiet: s.quiet, waiting: s.waiting}
	s.dirty, s.quiet, s.waiting = map[int]struct{}{}, map[int][]byte{}, nil
	return b
}

// again has what could not be stored written another time: what fires with the next write, the snapshot in its turn.
func (s *stateStore) again(b batch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.dirty, b.dirty)
	for shard := range b.quiet {
		s.written[shard] = 0
	}
}

func (s *stateStore) failed(err error) {
	s.tell.storageFailed()
	s.mu.Lock()
	first := !s.failing
	s.failing = true
	s.mu.Unlock()
	if first {
		s.logger.Error("State cannot be stored. Alerts go on, but a restart now would forget what has changed.", zap.Error(err))
		componentstatus.ReportStatus(s.host, componentstatus.NewRecoverableErrorEvent(err))
	}
}

func (s *stateStore) recovered() {
	s.mu.Lock()
	was := s.failing
	s.failing = false
	s.mu.Unlock()
	if was {
		s.logger.Info("State is stored again.")
		componentstatus.ReportStatus(s.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// close stores everything. The writing goroutine has ended.
func (s *stateStore) close(ctx context.Context) error {
	err := within(ctx, closeTimeout, func() {
		s.snap(0, evaluate.Shards)
		s.lastMeta = time.Time{}
		s.write()
	})
	if err != nil {
		return fmt.Errorf("storage: does not answer, so that the last changes are not stored: %w", err)
	}
	return s.client.Close(ctx)
}

// within waits for so long for what may hang.
func within(ctx context.Context, wait time.Duration, do func()) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
