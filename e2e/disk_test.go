package e2e

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver of the ledger

	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
)

// smallDisk mounts a file system of 8 MB, where the test may.
func smallDisk(t testing.TB) string {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		lacking(t, "mounting a small disk needs privileges: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

// fill fills a disk to the last byte with a file, and returns how to make room again.
func fill(t testing.TB, dir string) (free func()) {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	require.NoError(t, err)
	for size := 64 << 10; size > 0; {
		if _, err := file.Write(make([]byte, size)); err != nil {
			size /= 2
		}
	}
	require.NoError(t, file.Close())
	return func() { require.NoError(t, os.Remove(path)) }
}

// outage is a test with the ledger on a disk of its own.
type outage struct {
	*settings
	people *pager
	out    *sink
	disk   string
}

func newOutage(t *testing.T) *outage {
	s, people, out := prepare(t, kvRule)
	disk := smallDisk(t)
	s.ledger = fmt.Sprintf("{datasource: %q}", filepath.Join(disk, "alerts.db"))
	s.journal = "file_storage"
	return &outage{settings: s, people: people, out: out, disk: disk}
}

func (o *outage) config() string {
	return replace(o.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
}

func (o *outage) waiting(t testing.TB) int {
	return int(o.own(t, "otelcol_exporter_escalation_journal_size"))
}

// The ledger's disk is full, again and again: every batch passes, what fires and ends meanwhile is told in order when
// there is room, and the journal says that it waits. Killed in the middle, nothing is lost.
func TestFaultDiskFull(t *testing.T) {
	rounds := length(2, 25)
	o := newOutage(t)
	c := launch(t, o.dir, o.health, o.config())
	alerts, refused, slowest := 0, 0, time.Duration(0)
	for round := range rounds {
		first := alerts
		o.sendHTTP(t, gauge("kv", fmt.Sprint("model-", alerts), 0.99)) // ends during the outage
		alerts++
		eventually(t, "it is paged", func() bool { return len(firing(o.people, fmt.Sprint("model-", first))) > 0 })
		free := fill(t, o.disk)
		passed := o.passed()
		// Until the ledger's own file has no room left in it, commits may still succeed.
		eventually(t, "the ledger takes nothing any more", func() bool {
			o.sendHTTP(t, gauge("kv", fmt.Sprint("model-", alerts), 0.99))
			alerts++
			passed++
			return o.waiting(t) > 0
		})
		send := func(model int, v float64) {
			began := time.Now()
			if !o.try(gauge("kv", fmt.Sprint("model-", model), v)) {
				refused++
			}
			slowest = max(slowest, time.Since(began))
			passed++
		}
		last := alerts + 20
		for ; alerts < last; alerts++ {
			send(alerts, 0.99)
		}
		send(first, 0.5)
		for i := last - 10; i < last; i++ {
			send(i, 0.5)
		}
		waited := o.waiting(t)
		require.GreaterOrEqual(t, waited, 20, "they wait in the journal")
		require.GreaterOrEqual(t, o.passed(), passed, "every point went on to the next exporter")
		require.Zero(t, ends(o.people, fmt.Sprint("model-", first)))
		if round%2 == 1 {
			c.kill()
			free()
			c.start()
		} else {
			free()
		}
		eventually(t, "the journal is empty", func() bool { return o.waiting(t) == 0 })
		eventually(t, "the end is told", func() bool { return ends(o.people, fmt.Sprint("model-", first)) == 1 })
		for i := last - 20; i < last-10; i++ {
			eventually(t, "what fired is paged", func() bool { return len(firing(o.people, fmt.Sprint("model-", i))) > 0 })
		}
	}
	ended := rounds * 11
	eventually(t, "all states are what was said last", func() bool { return int(o.own(t, "otelcol_exporter_escalation_open_alerts")) == alerts-ended })
	assert.Zero(t, refused)
	for i := range alerts {
		model := fmt.Sprint("model-", i)
		if ends(o.people, model) > 0 {
			assert.NotEmpty(t, firing(o.people, model), "%s: an end without a page", model)
		}
	}
	figures("fault disk full: %d outages, %d of them with kill -9 in the middle: %d alerts, %d ends, lost 0, false resolves 0; batches refused %d, slowest %.0f ms",
		rounds, rounds/2, alerts, ended, refused, float64(slowest)/1e6)
}

// passed counts the points that have come out at the other exporter.
func (o *outage) passed() (n int) {
	o.out.mu.Lock()
	defer o.out.mu.Unlock()
	for _, md := range o.out.metrics {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					if m.Name() == "kv" {
						n += m.Gauge().DataPoints().Len()
					}
				}
			}
		}
	}
	return n
}

// Killed around and within the writes of the journal, while the ledger's disk is full.
func TestFaultKilledAroundTheJournal(t *testing.T) {
	rounds := length(2, 100)
	o := newOutage(t)
	draw := dice(t)
	points := []failpoint.Name{failpoint.BeforeJournal, failpoint.AfterJournal}
	var free func()
	f := fall(t, o.settings, o.config(), func() string {
		if free != nil { // it has died: the next start finds room
			free()
			free = nil
			return ""
		}
		text := fmt.Sprintf("%s:%d", points[draw.IntN(2)], 1+draw.IntN(3))
		if draw.IntN(2) == 0 {
			text += fmt.Sprintf("+%dus", 1+draw.IntN(3000))
		}
		return text
	})
	alerts := 0
	for round := range rounds {
		if round > 0 {
			f.stop() // unarmed since its death
			f.rise()
		}
		first := alerts
		free = fill(t, o.disk)
		for f.kills == round {
			f.deliver(o.settings, "kv", fmt.Sprint("model-", alerts), 0.99)
			alerts++
			if alerts-first > 200 {
				t.Fatal("the failpoint is not reached")
			}
		}
		for i := first; i < alerts; i++ {
			f.until("what was accepted is paged", func() bool { return len(firing(o.people, fmt.Sprint("model-", i))) > 0 })
		}
	}
	require.EqualValues(t, alerts, o.own(t, "otelcol_exporter_escalation_open_alerts"))
	repeats := 0
	for i := range alerts {
		repeats += len(firing(o.people, fmt.Sprint("model-", i))) - 1
	}
	assert.LessOrEqual(t, repeats, f.kills)
	figures("fault kill -9 around and within writes of the journal, the ledger's disk full: %d kills, %d alerts, lost 0, repeats %d", f.kills, alerts, repeats)
}

// Another process holds the ledger's write lock: the ledger can be read and takes nothing, as on a file system that has
// become read-only.
func TestFaultLedgerTakesNothing(t *testing.T) {
	alerts := length(20, 200)
	o := newOutage(t)
	c := launch(t, o.dir, o.health, o.config())
	db, err := sql.Open("sqlite", filepath.Join(o.disk, "alerts.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	o.sendHTTP(t, gauge("kv", "before", 0.99))
	eventually(t, "it is paged", func() bool { return len(firing(o.people, "before")) == 1 })
	eventually(t, "the lock is ours", func() bool {
		_, err := db.Exec("BEGIN IMMEDIATE")
		return err == nil
	})
	refused, slowest := 0, time.Duration(0)
	send := func(model string, v float64) {
		began := time.Now()
		if !o.try(gauge("kv", model, v)) {
			refused++
		}
		slowest = max(slowest, time.Since(began))
	}
	for i := range alerts {
		send(fmt.Sprint("model-", i), 0.99)
	}
	send("before", 0.5)
	require.GreaterOrEqual(t, o.waiting(t), alerts, "they wait in the journal")
	require.Empty(t, firing(o.people, "model-0"))
	_, err = db.Exec("ROLLBACK")
	require.NoError(t, err)
	eventually(t, "the journal is empty", func() bool { return o.waiting(t) == 0 })
	eventually(t, "everything is told", func() bool {
		return len(o.people.paged("KVCacheNearlyFull")) == alerts+1 && ends(o.people, "before") == 1
	})
	assert.Zero(t, refused)
	assert.Less(t, slowest, 3*time.Second, "ledger_timeout and the write of the journal")
	figures("fault ledger takes nothing: %d alerts and an end meanwhile, lost 0, batches refused %d, slowest %.0f ms (ledger_timeout 1 s)",
		alerts, refused, float64(slowest)/1e6)
	c.stop()
}
