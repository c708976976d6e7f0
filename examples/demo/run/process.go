package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// patience is how long a process may take to end before it is killed.
const patience = 5 * time.Second

// process is one program of the demo.
type process struct {
	name, path string
	args, env  []string
	// log takes what the process says; only warnings and worse are shown. Nil shows everything.
	log io.Writer
}

// started is a process that runs.
type started struct {
	process
	cmd  *exec.Cmd
	tail tail
	done chan struct{} // closed when it has ended and everything it said was read
	err  error         // of its end; to be read after done
}

// supervise runs all processes until ctx ends or one of them does. Then it ends the others, the last one started first:
// the collector, which sends to the pager. It returns when none is left, and an error if one ended by itself.
func supervise(ctx context.Context, to *screen, all []process) error {
	var running []*started
	ended := make(chan *started, len(all))
	stop := func() {
		for i := len(running) - 1; i >= 0; i-- {
			running[i].stop(to)
		}
	}
	for _, p := range all {
		s, err := p.start(to)
		if err != nil {
			stop()
			return err
		}
		running = append(running, s)
		go func() {
			<-s.done
			ended <- s
		}()
	}
	var first *started
	select {
	case <-ctx.Done():
	case first = <-ended:
	}
	asked := ctx.Err() != nil // a signal may reach a process before it reaches us
	stop()
	if asked {
		return nil //nolint:nilerr // to be asked to end is no failure
	}
	return first.failure()
}

func (p process) start(to *screen) (*started, error) {
	s := &started{process: p, cmd: exec.Command(p.path, p.args...), done: make(chan struct{})} //nolint:noctx // it is ended with a signal
	s.cmd.Env = append(os.Environ(), p.env...)
	s.cmd.SysProcAttr = attributes()
	began := make(chan error)
	go s.live(to, began)
	if err := <-began; err != nil {
		return nil, fmt.Errorf("starting the %s: %w", p.name, err)
	}
	return s, nil
}

// live starts the process and stays until its end. It keeps its thread: Linux ends a process with the thread that
// started it (attributes), not with the program.
func (s *started) live(to *screen, began chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Our own pipe, not StdoutPipe: Wait closes that one before everything has been read.
	in, out, err := os.Pipe()
	if err != nil {
		began <- err
		return
	}
	defer func() { _ = in.Close() }()
	s.cmd.Stdout, s.cmd.Stderr = out, out
	err = s.cmd.Start()
	_ = out.Close()
	began <- err
	if err != nil {
		return
	}
	var read sync.WaitGroup
	read.Go(func() {
		lines(in, func(line string) { s.show(to, line) })
	})
	s.err = s.cmd.Wait()
	// What a child of the process still holds open is not waited for.
	_ = in.SetReadDeadline(time.Now().Add(time.Second))
	read.Wait()
	close(s.done)
}

func (s *started) show(to *screen, line string) {
	s.tail.add(line)
	if s.log != nil {
		_, _ = fmt.Fprintln(s.log, line)
		if !troubling(line) {
			return
		}
	}
	to.line(s.name, line)
}

// stop asks a process to end, and kills it when it does not.
func (s *started) stop(to *screen) {
	select {
	case <-s.done:
		return
	default:
	}
	terminate(s.cmd.Process)
	patient := time.NewTimer(patience)
	defer patient.Stop()
	select {
	case <-s.done:
	case <-patient.C:
		to.say("the %s does not end within %s and is killed", s.name, patience)
		kill(s.cmd.Process)
		<-s.done
	}
}

func (s *started) failure() error {
	err := fmt.Errorf("the %s ended by itself: %w", s.name, orEnded(s.err))
	if s.log != nil {
		err = fmt.Errorf("%w; its last lines:\n%s", err, &s.tail)
	}
	return err
}

func orEnded(err error) error {
	if err == nil {
		return errors.New("exit status 0")
	}
	return err
}
