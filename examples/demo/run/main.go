// Command run is the demo: it starts the model server, the pager and the collector, shows what they say, and ends them
// together.
//
//	go run ./examples/demo/run COLLECTOR
//
// It is started in the repository's root, as `make run` does. With MODEL_SERVER=host:port it scrapes that server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends us at once
	ctx = underGoRun(ctx)
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

// Where the demo's files are, from the repository's root.
const (
	demoDir    = "examples/demo"
	scratchDir = ".run"
)

func run(ctx context.Context, args []string) error {
	s, err := read(args, os.Getenv)
	if err != nil {
		return err
	}
	if _, err := os.Stat(demoDir); err != nil {
		return fmt.Errorf("start it in the repository's root: %w", err)
	}
	if err := s.free(ctx); err != nil {
		return err
	}
	if err := os.MkdirAll(scratchDir, 0o755); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(scratchDir, "demo-")
	if err != nil {
		return err
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	// `go run` would stand between us and the programs, and not pass signals on.
	pager, err := build(ctx, dir, "pager")
	if err != nil {
		return err
	}
	server := ""
	if !s.foreign {
		if server, err = build(ctx, dir, "modelserver"); err != nil {
			return err
		}
	}
	defer func() { // what is worth keeping is the ledger and the log
		_ = os.Remove(pager)
		_ = os.Remove(server)
	}()
	return s.start(ctx, dir, pager, server)
}

// build makes one of the demo's programs.
func build(ctx context.Context, dir, name string) (string, error) {
	program := filepath.Join(dir, name)
	// As the collector is built, so that what they share is not compiled a second time.
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program, "./"+demoDir+"/"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", errors.New("interrupted")
		}
		return "", fmt.Errorf("building the %s: %w", name, err)
	}
	return program, nil
}

// start starts everything and waits for the end. server is the model server's program, "" for somebody else's.
func (s *settings) start(ctx context.Context, dir, pager, server string) error {
	screen := newScreen(os.Stdout, s.colour)
	logPath := filepath.Join(dir, "collector.log")
	log, err := os.Create(logPath)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()

	screen.say("the page: http://%s", s.page)
	screen.say("the collector's log: %s", logPath)
	all := []process{{name: "pager", path: pager, args: []string{"-listen", s.pager}, env: s.pagerEnv()}}
	if server != "" {
		all = append(all, process{name: "server", path: server, args: append([]string{"-listen", s.target}, s.serverArgs...)})
	} else {
		screen.say("scraping %s, judging by %s", s.target, s.rules)
	}
	all = append(all, process{
		name: "collector", path: s.collector, args: []string{"--config", filepath.Join(demoDir, "config.yaml")}, env: s.collectorEnv(dir), log: log,
	})
	if err := supervise(ctx, screen, all); err != nil {
		return err
	}
	screen.say("ended; what the ledger holds stays in %s", dir)
	return nil
}
