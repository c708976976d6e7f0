package web

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// fields are what a POST says, from JSON or from a form: all of them are text.
type fields map[string]string

// Fields of the page's forms only.
const (
	tokenField = "token"
	backField  = "back"
)

// Longest texts, in characters. A note is written into events, and events are sent on as logs.
const (
	longestName = 200
	longestNote = 4000
)

// isForm reports whether the body is the page's form; else it is JSON. A page of another site can send a form without
// asking, but no JSON.
func isForm(r *http.Request) (bool, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case err == nil && kind == "application/json":
		return false, nil
	case err == nil && kind == "application/x-www-form-urlencoded":
		return true, nil
	}
	return false, problem{http.StatusUnsupportedMediaType, "the Content-Type must be application/json"}
}

func readJSON(r *http.Request) (fields, error) {
	var f fields
	decoder := json.NewDecoder(r.Body)
	err := decoder.Decode(&f)
	if err == nil {
		if _, err = decoder.Token(); err == nil {
			err = errors.New("there is more after it")
		}
	}
	if errors.Is(err, io.EOF) { // the end, or no body at all
		return f, nil
	}
	return nil, unreadable(err, "the body must be a JSON object of strings")
}

func readForm(r *http.Request) (fields, error) {
	if err := r.ParseForm(); err != nil {
		return nil, unreadable(err, "the form cannot be read")
	}
	f := fields{}
	for name := range r.PostForm {
		value, err := single(r.PostForm, name)
		if err != nil {
			return nil, err
		}
		f[name] = strings.ReplaceAll(value, "\r\n", "\n")
	}
	return f, nil
}

func unreadable(err error, text string) error {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return err
	}
	return problemf(http.StatusBadRequest, "%s: %v", text, err)
}

// check refuses what d does not take.
func (f fields) check(d deed) error {
	known := append([]string{"by", "note"}, d.fields...)
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, name) {
			return problemf(http.StatusBadRequest, "unknown field %q: must be one of %s", name, strings.Join(known, ", "))
		}
	}
	if err := checkText("by", f["by"], longestName, ""); err != nil {
		return err
	}
	return checkText("note", f["note"], longestNote, "\n\t")
}

// checkText refuses what is not plain text of at most longest characters; controls lists the control characters that
// may stand in it.
func checkText(name, text string, longest int, controls string) error {
	if !utf8.ValidString(text) {
		return problemf(http.StatusUnprocessableEntity, "%s: must be UTF-8", name)
	}
	if n := utf8.RuneCountInString(text); n > longest {
		return problemf(http.StatusUnprocessableEntity, "%s: must not be longer than %d characters (got %d)", name, longest, n)
	}
	for _, r := range text {
		if unicode.IsControl(r) && !strings.ContainsRune(controls, r) {
			return problemf(http.StatusUnprocessableEntity, "%s: must not contain control characters (got %q)", name, r)
		}
	}
	return nil
}
