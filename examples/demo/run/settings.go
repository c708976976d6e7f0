package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
)

// settings are what the command line and the environment say.
type settings struct {
	collector string
	// target is the model server, ours or, when foreign, somebody else's.
	target  string
	foreign bool
	rules   string
	// Addresses of the demo's own servers.
	page, pager, metrics, self string
	// serverArgs are for our model server.
	serverArgs []string
	colour     bool
}

const usage = "usage: run COLLECTOR (the binary that `make build` puts into bin/)"

// Environment variables, with what holds without them.
const (
	envServer   = "MODEL_SERVER"
	envPage     = "DEMO_PAGE"
	envPager    = "DEMO_PAGER"
	envMetrics  = "DEMO_METRICS"
	envSelfPort = "DEMO_SELF_PORT"
	envTarget   = "DEMO_TARGET"
	envRules    = "DEMO_RULES"
	envDir      = "DEMO_DIR"
	envIncident = "DEMO_INCIDENT_EVERY"
)

func read(args []string, env func(string) string) (*settings, error) {
	if len(args) != 1 || strings.HasPrefix(args[0], "-") {
		return nil, errors.New(usage)
	}
	collector, err := filepath.Abs(args[0])
	if err != nil {
		return nil, err
	}
	switch info, err := os.Stat(collector); {
	case err != nil:
		return nil, fmt.Errorf("there is no collector; `make build` makes it: %w", err)
	case info.IsDir() || info.Mode()&0o111 == 0:
		return nil, fmt.Errorf("%s is not a program", collector)
	}
	or := func(name, otherwise string) string {
		if v := env(name); v != "" {
			return v
		}
		return otherwise
	}
	s := &settings{
		collector: collector,
		page:      or(envPage, "localhost:9195"), pager: or(envPager, "localhost:9463"), metrics: or(envMetrics, "localhost:9464"),
		self:   net.JoinHostPort("localhost", or(envSelfPort, "9465")),
		target: or(envTarget, "localhost:8000"), rules: or(envRules, filepath.Join(demoDir, "rules.yaml")),
		colour: env("NO_COLOR") == "" && env("TERM") != "dumb" && terminal(os.Stdout),
	}
	if v := env(envIncident); v != "" {
		s.serverArgs = []string{"-incident-every", v}
	}
	if v := env(envServer); v != "" {
		s.target, s.foreign = v, true
		s.rules = or(envRules, filepath.Join(demoDir, "servers.yaml"))
	}
	for _, a := range []struct{ name, address string }{
		{envServer, s.target}, {envPage, s.page}, {envPager, s.pager}, {envMetrics, s.metrics}, {envSelfPort, s.self},
	} {
		if host, port, err := net.SplitHostPort(a.address); err != nil || host == "" || port == "" {
			return nil, fmt.Errorf("%s: must be host:port (got %q)", a.name, a.address)
		}
	}
	return s, nil
}

func terminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// free finds the addresses that something else listens on, before a process dies of it.
func (s *settings) free(ctx context.Context) error {
	type claim struct{ address, what, change string }
	claims := []claim{
		{s.page, "the page", envPage + "=host:port"},
		{s.pager, "the pager", envPager + "=host:port"},
		{s.metrics, "the metrics that come out", envMetrics + "=host:port"},
		{s.self, "the collector's own metrics", envSelfPort + "=port"},
	}
	if !s.foreign {
		claims = append(claims, claim{s.target, "the model server", envTarget + "=host:port"})
	}
	var errs []error
	var listen net.ListenConfig
	for _, c := range claims {
		l, err := listen.Listen(ctx, "tcp", c.address)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s is needed for %s: %w: end what listens there, or set %s", c.address, c.what, err, c.change))
			continue
		}
		_ = l.Close()
	}
	return errors.Join(errs...)
}

func (s *settings) collectorEnv(dir string) []string {
	_, selfPort, _ := net.SplitHostPort(s.self) // read has looked at it
	return []string{
		envDir + "=" + dir, envTarget + "=" + s.target, envRules + "=" + s.rules,
		envPage + "=" + s.page, envPager + "=" + s.pager, envMetrics + "=" + s.metrics, envSelfPort + "=" + selfPort,
	}
}

// pagerEnv tells the pager, which writes into a pipe, what is at its end.
func (s *settings) pagerEnv() []string {
	if s.colour {
		return []string{"CLICOLOR_FORCE=1"}
	}
	return []string{"NO_COLOR=1"}
}
