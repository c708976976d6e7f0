package web

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"net/http"

	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
)

const (
	stylePath  = "/style.css"
	scriptPath = "/script.js"
	iconPath   = "/icon.svg"
)

//go:embed page
var files embed.FS

var (
	style  = append(mustReadAll("page/style"), chart.Style...) // one sheet, of one file for each part of the page
	script = mustReadAll("page/script")                        // one script, of one file for each thing that it adds
	icon   = mustRead("page/icon.svg")
	// Their addresses change with them, so that browsers may keep them.
	styleURL  = stylePath + "?v=" + digest(style)
	scriptURL = scriptPath + "?v=" + digest(script)
)

func mustRead(name string) []byte {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return content
}

// mustReadAll joins the files of a folder, in the order of their names.
func mustReadAll(dir string) (all []byte) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		panic(err) // it is compiled in
	}
	for _, e := range entries {
		all = append(all, mustRead(dir+"/"+e.Name())...)
	}
	return all
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

func serveStyle(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "text/css; charset=utf-8", style)
}

func serveScript(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "text/javascript; charset=utf-8", script)
}

func serveIcon(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "image/svg+xml", icon)
}

func serveFile(w http.ResponseWriter, kind string, content []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=86400")
	_, _ = w.Write(content)
	return nil
}
