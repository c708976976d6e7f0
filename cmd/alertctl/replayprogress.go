package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/otelcol-escalation/otelcol-escalation/internal/replay"
)

// progress draws a bar on a terminal: how much is read, how fast, and how long it will take.
type progress struct {
	replay.Progress
	to      io.Writer // nil: nothing is drawn
	started time.Time
	done    chan struct{}
	ended   sync.WaitGroup
	// mu keeps lines of the report and the bar apart; it is held while either writes.
	mu    sync.Mutex
	drawn bool
}

func newProgress(stderr io.Writer, off bool) *progress {
	p := &progress{done: make(chan struct{})}
	if f, ok := stderr.(*os.File); ok && !off && term.IsTerminal(int(f.Fd())) {
		p.to = stderr
	}
	return p
}

func (p *progress) start() {
	if p.to == nil {
		return
	}
	p.started = time.Now()
	p.ended.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-p.done:
				return
			case <-ticker.C:
				p.mu.Lock()
				fmt.Fprint(p.to, "\r\x1b[K", bar(p.Read.Load(), p.Total.Load(), p.Points.Load(), p.Progress.Episodes.Load(), time.Since(p.started)))
				p.drawn = true
				p.mu.Unlock()
			}
		}
	})
}

func (p *progress) stop() {
	close(p.done)
	p.ended.Wait()
	p.clear()
}

// clear takes the bar away; the caller holds mu or is alone.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.to, "\r\x1b[K")
		p.drawn = false
	}
}

// around writes something else.
func (p *progress) around(write func() error) error {
	if p.to == nil {
		return write()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	return write()
}

// bar is one line of at most 80 characters.
func bar(read, total, points, episodes int64, took time.Duration) string {
	const width = 20
	rate := float64(read) / max(took.Seconds(), 0.001)
	tail := fmt.Sprintf("%s/s  %d points  %d episodes", size(rate), points, episodes)
	if total <= 0 {
		return fmt.Sprintf("%s  %s", size(float64(read)), tail)
	}
	share := min(float64(read)/float64(total), 1)
	eta := "?"
	if rate > 0 {
		eta = time.Duration(float64(max(total-read, 0)) / rate * float64(time.Second)).Round(time.Second).String()
	}
	full := int(share * width)
	return fmt.Sprintf("[%s%s] %3.0f%% %s  %s left", strings.Repeat("=", full), strings.Repeat(" ", width-full), share*100, tail, eta)
}

func size(n float64) string {
	for _, unit := range []string{"B", "kB", "MB", "GB"} {
		if n < 1000 || unit == "GB" {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
		n /= 1000
	}
	return ""
}
