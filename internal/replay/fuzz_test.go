package replay

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// read reads a file to its end, over everything that can be passed over, and checks what every reader promises.
func read(t *testing.T, format Format, content []byte) {
	var bytesRead atomic.Int64
	var untimed int64
	f := &file{name: "-", format: format, stdin: strings.NewReader(string(content)), read: &bytesRead, untimed: &untimed, untimedAt: epoch}
	o, err := f.open()
	if err != nil {
		return
	}
	defer o.close()
	for range 2*len(content) + 10 {
		b, err := o.Next(context.Background())
		var bad *InputError
		switch {
		case err == nil:
			if b.Points == 0 || b.Points != b.Metrics.DataPointCount() {
				t.Fatalf("a batch of %d points says that it has %d", b.Metrics.DataPointCount(), b.Points)
			}
			if b.Time.IsZero() || b.Time.Before(time.Unix(0, 0)) {
				t.Fatalf("a batch at %s", b.Time)
			}
		case errors.Is(err, io.EOF) && !errors.As(err, &bad):
			return
		case errors.As(err, &bad) && bad.Passable:
		default:
			return
		}
	}
	t.Fatal("a reader does not come to an end")
}

func fuzz(f *testing.F, format Format, like string) {
	for name, files := range recordings(f) {
		for _, path := range files {
			if strings.Contains(name, like) {
				content, err := os.ReadFile(path)
				if err != nil {
					f.Fatal(err)
				}
				f.Add(content)
			}
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		read(t, format, content)
		read(t, Auto, content)
	})
}

func FuzzJSON(f *testing.F)     { fuzz(f, JSON, "JSON") }
func FuzzProto(f *testing.F)    { fuzz(f, Proto, "protobuf") }
func FuzzPromText(f *testing.F) { fuzz(f, PromText, "Prometheus") }
func FuzzCSV(f *testing.F)      { fuzz(f, CSV, "CSV") }
