// Command pager is where the demo's pages arrive: it takes Alertmanager's webhooks and prints them to the terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

const grace = 2 * time.Second

func main() {
	listen := flag.String("listen", "localhost:9463", "address to take webhooks on")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, os.Stdout, colour(os.Stdout)); err != nil {
		fmt.Fprintf(os.Stderr, "pager: %v\n", err)
		os.Exit(1) //nolint:gocritic // there is nothing left to stop
	}
}

// colour reports whether escape sequences make sense there. CLICOLOR_FORCE is for whoever reads through a pipe and
// shows it on a terminal, as the demo does.
func colour(out *os.File) bool {
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	info, err := out.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func run(ctx context.Context, listen string, out io.Writer, colour bool) error {
	listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", listen)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(out, "waiting for pages on http://%s\n", listener.Addr())
	server := &http.Server{
		Handler:           &pager{now: time.Now, printer: printer{out: out, colour: colour}},
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
