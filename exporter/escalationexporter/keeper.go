package escalationexporter

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
)

// What the storage holds: each transition under its number, as the metrics that it came in, and the two numbers
// between which they are.
const (
	keyItem   = "v1/journal/"
	keyOldest = "v1/journal_oldest"
	keyNext   = "v1/journal_next"
)

// keeper stores the journal, so that a kill while the ledger is away loses nothing. Its one goroutine writes whatever
// has come and gone since it last wrote: the longer the storage takes, the more shares one write.
type keeper struct {
	client  storage.Client
	journal *journal
	logger  *zap.Logger
	failure func()

	mu      sync.Mutex
	stored  uint64 // every item before this number has been stored
	deleted uint64 // every item before this number has been deleted
	kept    uint64 // no item from this number on is in the storage
	failed  bool   // the last write failed or takes too long: nobody waits for the next
	// progress is closed and replaced after each write.
	progress chan struct{}

	ended chan struct{} // closed when the goroutine has gone
}

// openKeeper finds the storage.
func openKeeper(ctx context.Context, host component.Host, storageID, id component.ID, j *journal, logger *zap.Logger, failure func()) (*keeper, error) {
	found, ok := host.GetExtensions()[storageID]
	if !ok {
		return nil, fmt.Errorf("storage: there is no extension %q: configure it, and list it under service.extensions", storageID)
	}
	extension, ok := found.(storage.Extension)
	if !ok {
		return nil, fmt.Errorf("storage: the extension %q is no storage: name one of the type file_storage", storageID)
	}
	client, err := extension.GetClient(ctx, component.KindExporter, id, "journal")
	if err != nil {
		return nil, fmt.Errorf("storage: extension %q: %w", storageID, err)
	}
	return &keeper{
		client: client, journal: j, logger: logger, failure: failure,
		progress: make(chan struct{}), ended: make(chan struct{}),
	}, nil
}

// restore puts what an earlier run has left into the journal, and returns it. An item that cannot be read is passed
// over: it must not hold up the others for ever.
func (k *keeper) restore(ctx context.Context) ([]alert.Alert, error) {
	oldest, err := k.number(ctx, keyOldest)
	if err != nil {
		return nil, err
	}
	next, err := k.number(ctx, keyNext)
	if err != nil {
		return nil, err
	}
	if next < oldest {
		next = oldest
	}
	var left []alert.Alert
	damaged := 0
	for n := oldest; n < next; n++ {
		raw, err := k.client.Get(ctx, itemKey(n))
		if err != nil {
			return nil, fmt.Errorf("storage: read the journal: %w", err)
		}
		a, err := decodeItem(raw)
		if err != nil {
			damaged++
			continue
		}
		left = append(left, a)
	}
	k.stored, k.deleted, k.kept = next, oldest, next
	if damaged > 0 {
		k.logger.Error("Transitions in the storage cannot be read; they are given up.", zap.Int("transitions", damaged), zap.Int("readable", len(left)))
		k.stored = oldest // all are written anew, closed up, and in one transaction
		if len(left) == 0 {
			oldest, k.stored = next, next
		}
	}
	k.journal.restore(oldest, left)
	return left, nil
}

func (k *keeper) number(ctx context.Context, key string) (uint64, error) {
	raw, err := k.client.Get(ctx, key)
	if err != nil {
		return 0, fmt.Errorf("storage: read the journal: %w", err)
	}
	if len(raw) != 8 {
		return 0, nil // a new storage
	}
	return binary.BigEndian.Uint64(raw), nil
}

// run stores and deletes until ctx ends.
func (k *keeper) run(ctx context.Context) {
	defer close(k.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.journal.changed:
		}
		for k.write(ctx) != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(ledgerRetry):
			}
		}
	}
}

// write brings the storage to the journal's present state, in one transaction.
func (k *keeper) write(ctx context.Context) error {
	k.mu.Lock()
	stored, deleted, kept := k.stored, k.deleted, k.kept
	k.mu.Unlock()
	number, items, oldest := k.journal.from(stored)
	next := number + uint64(len(items))
	var ops []*storage.Operation
	for i := range items {
		raw, err := encodeItem(&items[i])
		if err != nil {
			return k.wrote(stored, deleted, kept, err)
		}
		ops = append(ops, storage.SetOperation(itemKey(number+uint64(i)), raw))
	}
	for n := deleted; n < min(oldest, kept); n++ {
		ops = append(ops, storage.DeleteOperation(itemKey(n)))
	}
	for n := next; n < kept; n++ { // what was closed up
		ops = append(ops, storage.DeleteOperation(itemKey(n)))
	}
	if len(ops) == 0 {
		return k.wrote(next, oldest, kept, nil) // what has come since has gone again
	}
	ops = append(ops,
		storage.SetOperation(keyOldest, binary.BigEndian.AppendUint64(nil, oldest)),
		storage.SetOperation(keyNext, binary.BigEndian.AppendUint64(nil, next)))
	failpoint.Reach(failpoint.BeforeJournal)
	err := k.client.Batch(ctx, ops...)
	failpoint.Reach(failpoint.AfterJournal)
	if err != nil {
		return k.wrote(stored, deleted, kept, err)
	}
	return k.wrote(next, oldest, next, nil)
}

// wrote notes how far the storage has come, and tells who waits.
func (k *keeper) wrote(stored, deleted, kept uint64, err error) error {
	k.mu.Lock()
	before := k.failed
	k.stored, k.deleted, k.kept, k.failed = stored, deleted, kept, err != nil
	close(k.progress)
	k.progress = make(chan struct{})
	k.mu.Unlock()
	switch {
	case err != nil:
		k.failure()
		if !before {
			k.logger.Error("The storage does not take the journal; transitions wait for the ledger in memory alone.", zap.Error(err))
		}
	case before:
		k.logger.Info("The storage takes the journal again.")
	}
	return err
}

// await waits until every item before a number is stored, or need not be any more. A storage that fails or takes longer
// than the timeout does not hold up the data path: then the items wait in memory alone, and are stored when it is back.
func (k *keeper) await(until uint64, timeout time.Duration) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for {
		k.mu.Lock()
		done, progress := k.failed || k.stored >= until, k.progress
		k.mu.Unlock()
		if done {
			return
		}
		select {
		case <-progress:
		case <-timer.C:
			k.mu.Lock()
			before := k.failed
			k.failed = true
			k.mu.Unlock()
			if !before {
				k.failure()
				k.logger.Error("The storage takes too long; transitions wait for the ledger in memory alone.", zap.Duration("timeout", timeout))
			}
			return
		}
	}
}

// close writes what is left, and reports whether the storage has all of it. A storage that hangs is left alone.
func (k *keeper) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, persistTimeout)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		<-k.ended
		done <- errors.Join(k.write(ctx), k.client.Close(ctx))
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func itemKey(n uint64) string { return keyItem + strconv.FormatUint(n, 10) }

// encodeItem writes a transition as what it came in: any version that understands alert.state understands it.
func encodeItem(a *alert.Alert) ([]byte, error) {
	md := pmetric.NewMetrics()
	alert.NewWriter(md).Append(a)
	return (&pmetric.ProtoMarshaler{}).MarshalMetrics(md)
}

func decodeItem(raw []byte) (alert.Alert, error) {
	md, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics(raw)
	if err != nil {
		return alert.Alert{}, err
	}
	var found []alert.Alert
	alert.Read(md, func(a alert.Alert) { found = append(found, a) }, func(p alert.Problem) { err = errors.New(string(p)) })
	if err == nil && len(found) != 1 {
		err = fmt.Errorf("%d transitions where one is expected", len(found))
	}
	if err != nil {
		return alert.Alert{}, err
	}
	return found[0], nil
}
