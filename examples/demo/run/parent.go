package main

import (
	"context"
	"os"
	"strings"
	"time"
)

// underGoRun ends the context when `go run` has gone: it passes Ctrl-C on, but not the SIGTERM that `make` sends it.
func underGoRun(ctx context.Context) context.Context {
	if self, err := os.Executable(); err != nil || !strings.Contains(self, "go-build") {
		return ctx
	}
	ctx, cancel := context.WithCancel(ctx)
	parent := os.Getppid()
	go func() {
		defer cancel()
		look := time.NewTicker(time.Second)
		defer look.Stop()
		for os.Getppid() == parent {
			select {
			case <-ctx.Done():
				return
			case <-look.C:
			}
		}
	}()
	return ctx
}
