package web

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// newSite returns a site over a town, ready to be asked; change may alter its options.
func newSite(t testing.TB, l *town, change func(*Options)) *Site {
	t.Helper()
	opts := Options{Ledger: l, Now: func() time.Time { return l.now }}
	if change != nil {
		change(&opts)
	}
	s := New(opts)
	require.NoError(t, s.Prepare(context.Background()))
	return s
}

// get asks without a network.
func get(t testing.TB, s http.Handler, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost:9195"+path, nil))
	return w
}

func getAlert(t testing.TB, s http.Handler, id string) (a Alert) {
	t.Helper()
	w := get(t, s, "/api/v1/alerts/"+id)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
	return a
}

func getList(t testing.TB, s http.Handler, query string) (list List) {
	t.Helper()
	w := get(t, s, "/api/v1/alerts"+query)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list))
	return list
}
