package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// smallDisk mounts a file system of some kilobytes, where the test may.
func smallDisk(t *testing.T) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=4m"); err != nil {
		t.Skip("mounting a small disk needs privileges: ", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// The disk runs full while many write: who was told that it is durable is right, everybody else is told what is wrong,
// reading goes on, health says so, and it goes on by itself when there is space again.
func TestDiskFull(t *testing.T) {
	dir := smallDisk(t)
	ballast := filepath.Join(dir, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 2<<20), 0o600))
	path := filepath.Join(dir, "alerts.db")
	var failedCommits int
	l, err := sqlstore.Open(context.Background(), ledgertest.Epoch, sqlstore.Options{
		Driver: sqlstore.SQLite, DataSource: path,
		OnCommit: func(int) func(error) {
			return func(err error) {
				if err != nil {
					failedCommits++
				}
			}
		},
	})
	require.NoError(t, err)

	put := func(id string) error {
		return l.Update(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			return errors.Join(
				tx.PutEpisode(&ledger.Episode{ID: id, AlertID: id, Note: strings.Repeat("x", 4000)}),
				tx.Count(ledger.CounterKey{Metric: "n"}, 1))
		})
	}
	var mu sync.Mutex
	durable, refused := map[string]bool{}, map[string]bool{}
	var work sync.WaitGroup
	for w := range 8 {
		work.Go(func() {
			for i := range 100 {
				id := fmt.Sprintf("%d-%d", w, i)
				err := put(id)
				mu.Lock()
				if err == nil {
					durable[id] = true
				} else {
					refused[id] = true
					assert.ErrorContains(t, err, "the disk is full: free space on it")
				}
				mu.Unlock()
			}
		})
	}
	work.Wait()
	require.NotEmpty(t, refused, "the disk was not full")
	require.NotEmpty(t, durable)
	assert.NotZero(t, failedCommits)
	for i := 0; ; i++ { // the last of them may have found some room that a checkpoint gave back
		id := fmt.Sprintf("last-%d", i)
		if put(id) != nil {
			refused[id] = true
			break
		}
		durable[id] = true
	}
	assert.ErrorContains(t, l.Healthy(context.Background()), "the disk is full")

	check := func() {
		t.Helper()
		require.NoError(t, l.View(context.Background(), ledgertest.Epoch, func(tx ledger.Tx) error {
			all, err := tx.Episodes(ledger.Query{Limit: 10000})
			require.NoError(t, err)
			for _, e := range all {
				assert.True(t, durable[e.ID], "%s is there although its update failed", e.ID)
			}
			assert.Len(t, all, len(durable), "durable updates are lost")
			counters, err := tx.Counters()
			require.NoError(t, err)
			assert.EqualValues(t, len(durable), counters[0].N)
			return nil
		}))
		assert.Equal(t, len(durable), l.OpenEpisodes())
	}
	check()
	require.NoError(t, os.Remove(ballast))
	assert.NoError(t, l.Healthy(context.Background()))
	again := 0
	for id := range refused {
		require.NoError(t, put(id))
		durable[id] = true
		if again++; again == 10 {
			break
		}
	}
	check()
	require.NoError(t, l.Close())
	l = open(t, path)
	check()
	require.NoError(t, l.Close())
}

// A file system that turns read-only, as Linux does after an error of the disk.
func TestDiskTurnsReadOnly(t *testing.T) {
	dir := smallDisk(t)
	path := filepath.Join(dir, "alerts.db")
	l := open(t, path)
	fill(t, l, 1)
	require.NoError(t, l.Close())
	remount := func(flags uintptr) {
		require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""))
	}
	remount(syscall.MS_RDONLY)
	err := tryOpen(sqlstore.SQLite, path)
	assert.ErrorContains(t, err, "the Collector's user")
	err = tryOpen(sqlstore.SQLite, filepath.Join(dir, "new.db"))
	assert.ErrorContains(t, err, "read-only")
	remount(0)
	l = open(t, path)
	assert.Equal(t, 1, l.OpenEpisodes())
	require.NoError(t, l.Close())
}
