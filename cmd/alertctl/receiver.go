package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

const (
	// authorization is the environment variable with a header that does not belong on a command line.
	authorization = "ALERTCTL_AUTHORIZATION"
	// maxAnswer bounds what is read of an answer: a thousand rules are a few megabytes.
	maxAnswer = 64 << 20
	// answerTimeout bounds the whole exchange.
	answerTimeout = time.Minute
)

// checkReceiver finds what cannot be the address of a calibration receiver.
func checkReceiver(base string) error {
	at, err := url.Parse(base)
	switch {
	case err != nil:
		return errors.New("must be a URL such as http://localhost:9195") // the error would show a password
	case at.Scheme != "http" && at.Scheme != "https", at.Host == "":
		return fmt.Errorf("must be a URL such as http://localhost:9195 (got %q)", at.Redacted())
	case at.RawQuery != "", at.Fragment != "":
		return fmt.Errorf("must end with the host or a path (got %q)", at.Redacted())
	}
	return nil
}

// askReceiver reads one of the calibration receiver's answers. base is one that checkReceiver has passed.
func askReceiver(ctx context.Context, base, path string, into any) error {
	return talk(ctx, http.MethodGet, base, path, nil, into)
}

// tellReceiver posts something to it, as JSON.
func tellReceiver(ctx context.Context, base, path string, what any) error {
	body, err := json.Marshal(what)
	if err != nil {
		return err
	}
	var answer struct{}
	return talk(ctx, http.MethodPost, base, path, body, &answer)
}

func talk(ctx context.Context, method, base, path string, content []byte, into any) error {
	at, err := url.Parse(base)
	if err != nil {
		return err
	}
	at = at.JoinPath(path)
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(content))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "application/json")
	if content != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if value := os.Getenv(authorization); value != "" {
		req.Header.Set("Authorization", value)
	}
	// What is sent is for this server alone.
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return fmt.Errorf("%s: %w", at.Redacted(), err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", at.Redacted(), err)
	case resp.StatusCode == http.StatusUnauthorized, resp.StatusCode == http.StatusForbidden:
		return fmt.Errorf("%s: it answers %s: put user and password into the URL, or what else it asks for into %s", at.Redacted(), resp.Status, authorization)
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s: it answers %s: is this a calibration receiver?", at.Redacted(), resp.Status)
	case len(body) > maxAnswer:
		return fmt.Errorf("%s: its answer is longer than %d bytes", at.Redacted(), maxAnswer)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%s: what it answers is not what a calibration receiver does: %s", at.Redacted(), strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}
