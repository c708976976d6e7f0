package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// alertmanager is a real one.
type alertmanager struct {
	t       *testing.T
	address string
	cmd     *exec.Cmd
	args    []string
	log     *syncBuffer
	exited  chan struct{}
}

// cluster starts Alertmanagers that know each other.
func cluster(t *testing.T, n int) (peers []*alertmanager) {
	return clusterWith(t, n, "route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
}

func clusterWith(t *testing.T, n int, document string) (peers []*alertmanager) {
	path := ""
	for _, name := range []string{"alertmanager", "prometheus-alertmanager"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		lacking(t, "Alertmanager is not installed")
	}
	s := newSettings(t)
	config := s.write(t, "alertmanager.yaml", document)
	ports := freePorts(t, 2*n)
	for i := range n {
		a := &alertmanager{t: t, address: ports[2*i], log: &syncBuffer{}}
		a.args = []string{
			path, "--config.file=" + config, fmt.Sprintf("--storage.path=%s/am%d", s.dir, i), "--web.listen-address=" + a.address,
			"--cluster.listen-address=" + ports[2*i+1], "--cluster.peer=" + ports[1], "--cluster.settle-timeout=1s",
		}
		a.start()
		peers = append(peers, a)
		t.Cleanup(a.kill)
	}
	return peers
}

func (a *alertmanager) start() {
	a.t.Helper()
	a.cmd = exec.Command(a.args[0], a.args[1:]...)
	a.cmd.Stdout, a.cmd.Stderr = a.log, a.log
	a.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(a.t, a.cmd.Start())
	exited, cmd := make(chan struct{}), a.cmd
	go func() { _ = cmd.Wait(); close(exited) }()
	a.exited = exited
	eventually(a.t, "Alertmanager is ready", func() bool { return healthy(a.address + "/-/ready") })
}

func (a *alertmanager) kill() {
	_ = a.cmd.Process.Kill()
	<-a.exited
}

// firing are the alerts that it holds for firing, as "alertname/severity/model".
func (a *alertmanager) firing() []string {
	resp, err := http.Get("http://" + a.address + "/api/v2/alerts")
	if err != nil {
		return []string{err.Error()}
	}
	defer resp.Body.Close()
	var alerts []struct {
		Labels map[string]string `json:"labels"`
		EndsAt time.Time         `json:"endsAt"`
	}
	require.NoError(a.t, json.NewDecoder(resp.Body).Decode(&alerts))
	all := []string{}
	for _, one := range alerts {
		if one.EndsAt.After(time.Now()) {
			all = append(all, one.Labels["alertname"]+"/"+one.Labels["severity"]+"/"+one.Labels["model_name"]+"/"+one.Labels["owner"])
		}
	}
	slices.Sort(all)
	return all
}

// A cluster of two real Alertmanagers is told of alerts, of a rise, and of their ends; one that was killed meanwhile
// learns of what it has missed.
func TestAlertmanagers(t *testing.T) {
	peers := cluster(t, 2)
	s, _, _ := prepare(t, `
groups:
  - name: g
    rules:
      - alert: Full
        metric: kv
        tiers: {critical: {above: 0.95}, high: {above: 0.9}}
        owner: platform
`)
	s.exporter = []string{fmt.Sprintf("alertmanagers: [http://%s, {endpoint: http://%s}]", peers[0].address, peers[1].address)}
	c := launch(t, s.dir, s.health, s.whole())
	both := func(what string, want ...string) {
		t.Helper()
		if want == nil {
			want = []string{}
		}
		for _, p := range peers {
			eventually(t, what, func() bool { return slices.Equal(want, p.firing()) })
		}
	}
	began := time.Now()
	s.sendHTTP(t, gauge("kv", "llama", 0.91))
	both("both hold it", "Full/high/llama/platform")
	took := time.Since(began)
	s.sendHTTP(t, gauge("kv", "mixtral", 0.99))
	both("and another one", "Full/critical/mixtral/platform", "Full/high/llama/platform")
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	both("a rise ends the one with the lower tier", "Full/critical/llama/platform", "Full/critical/mixtral/platform")

	peers[1].kill()
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "the other peer is told all the same", func() bool {
		return assert.ObjectsAreEqual([]string{"Full/critical/mixtral/platform"}, peers[0].firing())
	})
	peers[1].start()
	both("who was away is told", "Full/critical/mixtral/platform")

	c.kill()
	c.start()
	s.sendHTTP(t, gauge("kv", "mixtral", 0.5))
	both("after a restart, too, the end is told")
	figures("alertmanagers: two in a cluster, an alert held by both %v after it was sent; one killed and back", took.Round(time.Millisecond))
}
