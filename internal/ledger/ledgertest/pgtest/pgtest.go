// Package pgtest runs a PostgreSQL server for tests: a cluster of its own in a temporary directory, reached by a socket in
// it, stopped with the test. Where PostgreSQL is not installed the test is skipped, loudly; in continuous integration that
// is a failure.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/stretchr/testify/require"
)

// Server is one cluster.
type Server struct {
	t         testing.TB
	bin, dir  string
	credence  *syscall.Credential
	cmd       *exec.Cmd
	exited    chan struct{}
	databases atomic.Int64
	settings  []string
}

// Start makes a cluster and starts its server. settings are the server's, such as "fsync=on": off is the default here, for
// most tests do not cut the power.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	bin := ""
	if len(found) > 0 {
		slices.Sort(found)
		bin = filepath.Dir(found[len(found)-1])
	} else if path, err := exec.LookPath("initdb"); err == nil {
		bin = filepath.Dir(path)
	} else {
		text := "PostgreSQL is not installed (no initdb)"
		if os.Getenv("CI") == "true" {
			t.Fatal(text)
		}
		fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: %s\n\n", t.Name(), text)
		t.Skip(text)
	}
	dir, err := os.MkdirTemp("", "pg") // short: a socket's path may have 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	s := &Server{t: t, bin: bin, dir: dir, settings: settings}
	if os.Geteuid() == 0 { // PostgreSQL refuses to run as root
		s.become("postgres")
	}
	out, err := s.command("initdb", "--pgdata="+s.data(), "--username=ledger", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C").CombinedOutput()
	require.NoError(t, err, string(out))
	s.Run()
	t.Cleanup(s.Stop)
	return s
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// become has the server run as a user without rights.
func (s *Server) become(name string) {
	u, err := user.Lookup(name)
	if err != nil {
		u, err = user.Lookup("nobody")
	}
	require.NoError(s.t, err)
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	require.NoError(s.t, err)
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	require.NoError(s.t, err)
	s.credence = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	require.NoError(s.t, os.Chown(s.dir, int(uid), int(gid)))
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...) // ended by the test
	cmd.Dir = s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.credence, Pdeathsig: syscall.SIGQUIT}
	return cmd
}

// Run starts the server again after Stop or Kill, and waits until it answers.
func (s *Server) Run() {
	s.t.Helper()
	args := []string{"-D", s.data(), "-k", s.dir, "-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=100"}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	s.launch(args)
	db, err := sql.Open("pgx", s.source("postgres"))
	require.NoError(s.t, err)
	defer db.Close()
	for deadline := time.Now().Add(30 * time.Second); db.PingContext(context.Background()) != nil; time.Sleep(10 * time.Millisecond) {
		select {
		case <-s.exited: // after a kill the last processes of the old server may still hold its memory
			s.launch(args)
		default:
		}
		if time.Now().After(deadline) {
			text, _ := os.ReadFile(filepath.Join(s.dir, "log"))
			require.FailNow(s.t, "the server does not answer", string(text))
		}
	}
}

func (s *Server) launch(args []string) {
	s.t.Helper()
	s.cmd = s.command("postgres", args...)
	log, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(s.t, err)
	s.cmd.Stdout, s.cmd.Stderr = log, log
	require.NoError(s.t, s.cmd.Start())
	require.NoError(s.t, log.Close())
	exited := make(chan struct{})
	cmd := s.cmd
	go func() { _ = cmd.Wait(); close(exited) }()
	s.exited = exited
}

// Stop ends the server at once, with its connections, but in order.
func (s *Server) Stop() { s.end(syscall.SIGINT) }

// Kill is kill -9 of the server's first process; the others follow.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(signal syscall.Signal) {
	_ = s.cmd.Process.Signal(signal)
	<-s.exited
}

func (s *Server) source(database string) string {
	return fmt.Sprintf("host=%s user=ledger dbname=%s", s.dir, database)
}

// Database makes an empty database and returns its connection string.
func (s *Server) Database() string {
	s.t.Helper()
	name := "d" + strconv.FormatInt(s.databases.Add(1), 10)
	s.Exec("postgres", "CREATE DATABASE "+name)
	return s.source(name)
}

// Exec runs a statement in a database, named or by its connection string.
func (s *Server) Exec(database, statement string) {
	s.t.Helper()
	source := database
	if !strings.Contains(database, "=") {
		source = s.source(database)
	}
	db, err := sql.Open("pgx", source)
	require.NoError(s.t, err)
	defer db.Close()
	_, err = db.ExecContext(context.Background(), statement)
	require.NoError(s.t, err)
}

// Tool runs one of PostgreSQL's programs, such as pg_dump, on this server and returns what it prints.
func (s *Server) Tool(name string, args ...string) string {
	s.t.Helper()
	cmd := s.command(name, append([]string{"--host=" + s.dir, "--username=ledger"}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(s.t, err, "%s: %s", name, out)
	return string(out)
}

// Name is the name of a database in its connection string.
func Name(source string) string {
	_, name, _ := strings.Cut(source, "dbname=")
	return name
}

// Dir is a directory that the server's programs can write to.
func (s *Server) Dir() string { return s.dir }
