package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/filestorage"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

var storageID = component.MustNewID("file_storage")

// shelf is a storage extension that outlives the exporters that use it, and fails or hangs as told.
type shelf struct {
	component.StartFunc
	component.ShutdownFunc

	mu   sync.Mutex
	kept map[string][]byte
	err  error
	hang chan struct{} // what is written meanwhile waits until it is closed
}

func newShelf() *shelf { return &shelf{kept: map[string][]byte{}} }

func (s *shelf) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return s, nil
}

func (s *shelf) set(err error, hang chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.hang = err, hang
}

func (s *shelf) Batch(_ context.Context, ops ...*storage.Operation) error {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		<-hang
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = s.kept[op.Key]
		case storage.Set:
			s.kept[op.Key] = op.Value
		case storage.Delete:
			delete(s.kept, op.Key)
		}
	}
	return nil
}

func (s *shelf) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	err := s.Batch(ctx, op)
	return op.Value, err
}

func (s *shelf) Set(ctx context.Context, key string, value []byte) error {
	return s.Batch(ctx, storage.SetOperation(key, value))
}

func (s *shelf) Delete(ctx context.Context, key string) error {
	return s.Batch(ctx, storage.DeleteOperation(key))
}

func (s *shelf) Close(context.Context) error { return nil }

// items counts the transitions that are stored.
func (s *shelf) items() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for key := range s.kept {
		if len(key) > len(keyItem) && key[:len(keyItem)] == keyItem {
			n++
		}
	}
	return n
}

// playKept is play with a storage.
func playKept(t *testing.T, test func(t *testing.T, r *rig, s *shelf)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r, s := newRig(t, ledgertest.New(t)), newShelf()
		r.host.storage = s
		r.change = func(c *Config) { c.Storage = &storageID }
		r.begin()
		t.Cleanup(r.finish)
		test(t, r, s)
	})
}

// killKept stops the exporter as a crash would, with nothing more reaching the storage either.
func (r *rig) killKept(s *shelf) {
	r.t.Helper()
	s.set(errors.New("killed"), nil)
	r.kill()
	s.set(nil, nil)
}

// What came while the ledger was away is not lost with the process: what fired is paged, what recovered ends, and
// what the evaluator says after the restart is judged by it.
func TestKilledWhileTheLedgerIsAway(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		r.fires("before", alert.Critical)
		r.expect("0s oncall/webhook[0] before critical firing")
		require.Zero(t, s.items(), "nothing is stored while the ledger works")
		r.ledger.set(errors.New("the disk is full"))
		other := func(a *alert.Alert) { a.Rule = "GPUTooHot" }
		r.consume(r.judge("a", alert.Firing, alert.Critical, other), r.judge("b", alert.Firing, alert.Critical, other))
		r.recovers("b")
		r.recovers("before")
		require.Equal(t, 4, s.items())
		r.killKept(s)

		r.ledger.set(nil)
		r.begin()
		r.expect("0s oncall/webhook[0] a critical firing", "0s oncall/webhook[0] before critical resolved")
		require.True(t, r.episode("a").Open())
		require.False(t, r.episode("b").Open())
		require.False(t, r.episode("before").Open())
		require.Zero(t, s.items(), "what the ledger has is not kept twice")
		r.recovers("a")
		require.False(t, r.episode("a").Open())
	})
}

// The ledger is still away after the restart: what recovers meanwhile belongs behind what fired before.
func TestAnEndFollowsWhatWasStored(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		r.ledger.set(errors.New("the disk is full"))
		r.fires("a", alert.Critical)
		r.killKept(s)
		r.x = nil
		r.ledger = &shaky{Ledger: &unwritable{Ledger: r.ledger.Ledger, until: time.Now().Add(time.Minute)}}
		r.host.provider = provider{r.ledger}
		r.begin()
		require.Equal(t, 1, r.x.journal.size())
		r.recovers("a")
		require.Equal(t, 2, s.items(), "it is no end of something unknown")
		r.after(2 * time.Minute)
		require.False(t, r.episode("a").Open())
		require.Zero(t, s.items())
	})
}

// A storage that fails costs nobody anything while the process lives, and has everything once it is back.
func TestTheStorageFailsToo(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		r.ledger.set(errors.New("the disk is full"))
		s.set(errors.New("the disk is full"), nil)
		began := time.Now()
		r.fires("a", alert.Critical)
		r.fires("b", alert.Critical)
		require.Equal(t, began, time.Now(), "the data path does not wait")
		s.set(nil, nil)
		r.after(ledgerRetry)
		require.Equal(t, 2, s.items())
		r.ledger.set(nil)
		r.after(ledgerRetry)
		require.True(t, r.episode("a").Open())
		require.True(t, r.episode("b").Open())
		require.Zero(t, s.items())
	})
}

// A storage that does not answer holds up one batch, for ledger_timeout.
func TestTheStorageHangs(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		hang := make(chan struct{})
		r.ledger.set(errors.New("the disk is full"))
		s.set(nil, hang)
		began := time.Now()
		r.fires("a", alert.Critical)
		require.Equal(t, time.Second, time.Since(began))
		r.fires("b", alert.Critical)
		require.Equal(t, time.Second, time.Since(began), "only the first waits")
		s.set(nil, nil)
		close(hang)
		r.settle()
		require.Equal(t, 2, s.items())
		began = time.Now()
		r.fires("c", alert.Critical)
		require.Equal(t, 3, s.items())
		require.Equal(t, began, time.Now())
		r.ledger.set(nil)
		r.after(ledgerRetry)
		require.Zero(t, s.items())
	})
}

// What waits at a shutdown is there at the next start.
func TestShutdownKeepsTheJournal(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		r.ledger.set(errors.New("the disk is full"))
		s.set(errors.New("not now"), nil)
		r.fires("a", alert.Critical)
		s.set(nil, nil)
		r.finish()
		require.Equal(t, 1, s.items())
		r.ledger.set(nil)
		r.begin()
		require.True(t, r.episode("a").Open())
	})
}

// Damaged items are passed over, once, and the others keep their order.
func TestDamagedItemsArePassedOver(t *testing.T) {
	playKept(t, func(t *testing.T, r *rig, s *shelf) {
		r.ledger.set(errors.New("the disk is full"))
		for _, id := range []string{"a", "b", "c"} {
			r.fires(id, alert.Critical)
		}
		r.recovers("c")
		r.killKept(s)
		s.kept[itemKey(1)] = []byte("x")
		r.ledger.set(nil)
		r.begin()
		require.True(t, r.episode("a").Open())
		require.False(t, r.episode("c").Open())
		require.Zero(t, s.items())

		r.ledger.set(errors.New("the disk is full"))
		r.fires("d", alert.Critical)
		r.killKept(s)
		for key := range s.kept {
			if key != keyOldest && key != keyNext {
				s.kept[key] = nil
			}
		}
		r.ledger.set(nil)
		r.begin()
		require.Zero(t, r.x.journal.size())
		require.Zero(t, s.items(), "what cannot be read is not kept for ever")
	})
}

// Outages of the ledger and of the storage and kills, in any order: as long as the storage worked when it was killed,
// every alert ends in the state that was said last.
func TestNoOrderOfFaultsLosesATransition(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			playKept(t, func(t *testing.T, r *rig, s *shelf) {
				draw := rand.New(rand.NewPCG(seed, 1))
				said := map[string]alert.State{}
				away := false
				for range 60 {
					switch n := draw.IntN(10); {
					case n < 6:
						id, state := fmt.Sprint("alert-", draw.IntN(6)), alert.Firing
						if draw.IntN(2) == 0 {
							state = alert.Inactive
						}
						r.consume(r.judge(id, state, alert.Severity(1+draw.IntN(4))))
						said[id] = state
					case n < 8:
						if away = !away; away {
							r.ledger.set(errors.New("away"))
						} else {
							r.ledger.set(nil)
						}
					case n < 9:
						s.set(errors.New("away"), nil)
						r.after(time.Duration(draw.IntN(3)) * time.Second)
						s.set(nil, nil)
						r.after(2 * time.Second)
					default:
						r.killKept(s)
						away = false
						r.begin()
					}
					r.after(time.Duration(draw.IntN(1500)) * time.Millisecond)
				}
				r.ledger.set(nil)
				r.after(5 * time.Second)
				require.Zero(t, r.x.journal.size())
				require.Zero(t, s.items())
				for id, state := range said {
					if _, known := r.x.view.entries[id]; !known {
						require.NotEqual(t, alert.Firing, state, id)
						continue
					}
					require.Equal(t, state == alert.Firing, r.episode(id).Open(), id)
				}
			})
		})
	}
}

// Whatever an alert says comes back from the storage as it was.
func TestStoredTransitionsComeBackWhole(t *testing.T) {
	r := &rig{t: t, start: time.Now()}
	nan := math.NaN()
	for _, a := range []alert.Alert{
		r.judge("a", alert.Firing, alert.Critical),
		r.judge("b", alert.Inactive, alert.Low),
		r.judge("c", alert.Firing, alert.High, func(a *alert.Alert) { a.Value = nil; a.Reason = alert.ReasonNoData }),
		r.judge("d", alert.Firing, alert.High, func(a *alert.Alert) { a.Actions = []alert.Action{alert.ActionRollback} }),
	} {
		raw, err := encodeItem(&a)
		require.NoError(t, err)
		back, err := decodeItem(raw)
		require.NoError(t, err)
		a.Start, a.Time, a.ObservedAt = a.Start.UTC().Round(0), a.Time.UTC().Round(0), a.ObservedAt.UTC().Round(0)
		require.Equal(t, a, back)
	}
	a := r.judge("e", alert.Firing, alert.Critical, func(a *alert.Alert) { a.Value = &nan })
	raw, err := encodeItem(&a)
	require.NoError(t, err)
	back, err := decodeItem(raw)
	require.NoError(t, err)
	require.True(t, math.IsNaN(*back.Value))
}

func TestStorageMustBeOne(t *testing.T) {
	host := &host{Host: componenttest.NewNopHost()}
	open := func(id component.ID) error {
		_, err := openKeeper(t.Context(), host, id, component.MustNewID("escalation"), newJournal(1), zap.NewNop(), func() {})
		return err
	}
	require.EqualError(t, open(storageID), `storage: there is no extension "file_storage": configure it, and list it under service.extensions`)
	require.EqualError(t, open(component.MustNewID("alert_ledger")), `storage: the extension "alert_ledger" is no storage: name one of the type file_storage`)
}

// With the storage that people use.
func TestFileStorage(t *testing.T) {
	dir := t.TempDir()
	open := func() (component.Component, func()) {
		factory := filestorage.NewFactory()
		config := factory.CreateDefaultConfig().(*filestorage.Config)
		config.Directory, config.FSync = dir, true
		x, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), config)
		require.NoError(t, err)
		require.NoError(t, x.Start(t.Context(), componenttest.NewNopHost()))
		return x, func() { require.NoError(t, x.Shutdown(t.Context())) }
	}
	r := &rig{t: t, start: time.Now()}
	host := &host{Host: componenttest.NewNopHost()}
	run := func(use func(k *keeper, left []alert.Alert)) {
		x, end := open()
		defer end()
		host.storage = x
		k, err := openKeeper(t.Context(), host, storageID, component.MustNewID("escalation"), newJournal(10), zap.NewNop(), t.FailNow)
		require.NoError(t, err)
		left, err := k.restore(t.Context())
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		go k.run(ctx)
		use(k, left)
		cancel()
		require.NoError(t, k.close(t.Context()))
	}
	run(func(k *keeper, left []alert.Alert) {
		require.Empty(t, left)
		for _, id := range []string{"a", "b", "c"} {
			until, taken := k.journal.add([]alert.Alert{r.judge(id, alert.Firing, alert.Critical)})
			require.True(t, taken)
			k.await(until, time.Minute)
		}
		k.journal.remove(1)
	})
	run(func(k *keeper, left []alert.Alert) {
		require.Len(t, left, 2)
		require.Equal(t, "b", left[0].ID)
		require.Equal(t, "c", left[1].ID)
		k.journal.remove(2)
	})
	run(func(_ *keeper, left []alert.Alert) { require.Empty(t, left) })
}

// unwritable can be read, and written from a time on.
type unwritable struct {
	ledger.Ledger
	until time.Time
}

func (u *unwritable) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	if now.Before(u.until) {
		return errors.New("read-only")
	}
	return u.Ledger.Update(ctx, now, fn)
}

func (u *unwritable) Healthy(context.Context) error {
	if time.Now().Before(u.until) {
		return errors.New("read-only")
	}
	return nil
}
