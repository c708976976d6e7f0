package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestSchemaIsCommitted holds rules/schema.json against the command: `go generate ./cmd/alertctl` writes it.
func TestSchemaIsCommitted(t *testing.T) {
	committed, err := os.ReadFile("../../rules/schema.json")
	require.NoError(t, err)
	code, stdout, stderr := alertctl("", "schema")
	assert.Equal(t, 0, code)
	assert.Empty(t, stderr)
	assert.Equal(t, string(committed), stdout, "run go generate ./cmd/alertctl and commit the result")
	var decoded map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &decoded))
	assert.Equal(t, "https://json-schema.org/draft/2020-12/schema", decoded["$schema"])
}

func TestSchemaIntoAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "schema.json")
	code, stdout, _ := alertctl("", "schema", "--out", path)
	assert.Equal(t, 0, code)
	assert.Empty(t, stdout)
	written, err := os.ReadFile(path)
	require.NoError(t, err)
	_, stdout, _ = alertctl("", "schema")
	assert.Equal(t, stdout, string(written))

	code, _, stderr := alertctl("", "schema", "--out", filepath.Join(path, "below", "a.json"))
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "not a directory")
	code, _, _ = alertctl("", "schema", "file.json")
	assert.Equal(t, 2, code)
	assert.Equal(t, exitErrors, run([]string{"schema"}, nil, closed{}, os.Stderr))
}
