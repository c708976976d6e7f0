package thresholdprocessor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
)

// saveTimeout bounds how long a batch waits for the storage, snapshotEvery how often all of the rest is stored, and
// aliveEvery how often it is written down that we are there: what lies between that and a start is downtime.
const (
	saveTimeout   = time.Second
	snapshotEvery = 30 * time.Second
	aliveEvery    = 5 * time.Second
)

// Keys in the storage. The version is that of the format.
const metaKey = "v1/meta"

func firingKey(shard int) string { return "v1/firing/" + strconv.Itoa(shard) }
func quietKey(shard int) string  { return "v1/quiet/" + strconv.Itoa(shard) }

// meta says when the stored state was last known to be the present one.
type meta struct {
	AsOf time.Time `json:"as_of"`
}

// stateStore keeps the evaluator's state in a storage extension. One goroutine writes, so that batches that wait at the
// same time share a write, and so that a storage that hangs holds nobody up for longer than saveTimeout.
type stateStore struct {
	client    storage.Client
	evaluator *evaluate.Evaluator
	host      component.Host
	logger    *zap.Logger
	tell      *telemetry

	mu      sync.Mutex
	dirty   map[int]struct{}
	waiting []chan struct{}
	kick    chan struct{}
	failing bool

	// Of the writing goroutine.
	written  [evaluate.Shards]uint64 // hash of each stored quiet shard
	next     int                     // quiet shard of the rolling snapshot
	lastMeta time.Time
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
		dirty: map[int]struct{}{}, kick: make(chan struct{}, 1),
	}, nil
}

// restore loads what was stored. A state that cannot be read is logged and passed over: alerts start anew, which is
// better than not to start.
func (s *stateStore) restore(ctx context.Context, now time.Time) error {
	ops := []*storage.Operation{storage.GetOperation(metaKey)}
	for i := range evaluate.Shards {
		ops = append(ops, storage.GetOperation(firingKey(i)), storage.GetOperation(quietKey(i)))
	}
	if err := s.client.Batch(ctx, ops...); err != nil {
		return fmt.Errorf("storage: stored state cannot be read: %w", err)
	}
	var m meta
	loaded := len(ops[0].Value) > 0
	if loaded {
		if err := json.Unmarshal(ops[0].Value, &m); err != nil {
			s.logger.Error("The stored state's date cannot be read.", zap.Error(err))
		}
	}
	var firing, quiet [][]byte
	for i := range evaluate.Shards {
		firing = append(firing, ops[1+2*i].Value)
		quiet = append(quiet, ops[2+2*i].Value)
		s.written[i] = xxhash.Sum64(ops[2+2*i].Value)
	}
	if err := s.evaluator.Restore(firing, quiet, loaded, m.AsOf, now); err != nil {
		s.logger.Error("Some of the stored state cannot be read and is passed over.", zap.Error(err))
	}
	return nil
}

// save stores what fires in some shards, and returns when that is done, or when it takes too long: then the shards stay
// to be stored, and the batch goes on.
func (s *stateStore) save(ctx context.Context, shards []int) {
	done := make(chan struct{})
	s.mu.Lock()
	for _, shard := range shards {
		s.dirty[shard] = struct{}{}
	}
	s.waiting = append(s.waiting, done)
	s.mu.Unlock()
	s.wake()
	timer := time.NewTimer(saveTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
		s.failed(errors.New("the storage takes too long"))
	case <-ctx.Done():
	}
}

func (s *stateStore) wake() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *stateStore) run(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
			s.write(nil)
		case <-ticker.C:
			s.write(s.roll(time.Now()))
		}
	}
}

// roll returns the operations of the rolling snapshot for one tick: a part of the quiet shards, as far as they changed.
func (s *stateStore) roll(now time.Time) []*storage.Operation {
	var ops []*storage.Operation
	for range (evaluate.Shards + int(snapshotEvery/tickInterval) - 1) / int(snapshotEvery/tickInterval) {
		ops = s.appendQuiet(ops, s.next)
		s.next = (s.next + 1) % evaluate.Shards
	}
	if len(ops) > 0 || now.Sub(s.lastMeta) >= aliveEvery {
		s.lastMeta = now
		ops = appendMeta(ops, now)
	}
	return ops
}

func (s *stateStore) appendQuiet(ops []*storage.Operation, shard int) []*storage.Operation {
	content := s.evaluator.QuietShard(shard)
	sum := xxhash.Sum64(content)
	if s.written[shard] == sum {
		return ops
	}
	s.written[shard] = sum
	return append(ops, put(quietKey(shard), content))
}

func appendMeta(ops []*storage.Operation, now time.Time) []*storage.Operation {
	content, err := json.Marshal(meta{AsOf: now.UTC()})
	if err != nil {
		return ops
	}
	return append(ops, storage.SetOperation(metaKey, content))
}

func put(key string, content []byte) *storage.Operation {
	if len(content) == 0 {
		return storage.DeleteOperation(key)
	}
	return storage.SetOperation(key, content)
}

// write stores what waits, with the given operations, in one batch.
func (s *stateStore) write(ops []*storage.Operation) {
	s.mu.Lock()
	shards := make([]int, 0, len(s.dirty))
	for shard := range s.dirty {
		shards = append(shards, shard)
	}
	waiting := s.waiting
	clear(s.dirty)
	s.waiting = nil
	s.mu.Unlock()
	defer func() {
		for _, done := range waiting {
			close(done)
		}
	}()
	slices.Sort(shards)
	for _, shard := range shards {
		ops = append(ops, put(firingKey(shard), s.evaluator.FiringShard(shard)))
	}
	if len(ops) == 0 {
		return
	}
	if err := s.client.Batch(context.Background(), ops...); err != nil {
		s.mu.Lock()
		for _, shard := range shards {
			s.dirty[shard] = struct{}{}
		}
		s.mu.Unlock()
		s.written = [evaluate.Shards]uint64{}
		s.failed(err)
		return
	}
	s.recovered()
}

func (s *stateStore) failed(err error) {
	s.tell.storageFailed()
	s.mu.Lock()
	first := !s.failing
	s.failing = true
	s.mu.Unlock()
	if first {
		s.logger.Error("State cannot be stored; alerts go on, but a restart now would forget changes.", zap.Error(err))
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

// close stores everything; the writing goroutine has stopped.
func (s *stateStore) close(ctx context.Context, now time.Time) error {
	var ops []*storage.Operation
	for shard := range evaluate.Shards {
		ops = s.appendQuiet(ops, shard)
	}
	s.write(appendMeta(ops, now))
	return s.client.Close(ctx)
}
