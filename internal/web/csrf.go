package web

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// secretSetting is where the ledger keeps the key of form tokens: they outlive a restart, and replicas share it.
	secretSetting = "web.form_secret"
	// tokenLife is how long a page may stay open and its forms still work: a night, and the shift after it.
	tokenLife = 24 * time.Hour
)

// secret is the key of form tokens, once it is known.
type secret struct{ key atomic.Pointer[[]byte] }

// Prepare makes or reads the key of the forms' tokens, once. It is told apart from answering a GET, which must not
// write. Until it has succeeded the page cannot be shown.
func (s *Site) Prepare(ctx context.Context) error {
	if s.secret.key.Load() != nil {
		return nil
	}
	var key []byte
	err := s.opts.Ledger.Update(ctx, s.opts.Now(), func(tx ledger.Tx) error {
		text, err := tx.Setting(secretSetting)
		if err != nil {
			return err
		}
		if key, err = hex.DecodeString(text); err == nil && len(key) == sha256.Size {
			return nil
		}
		key = make([]byte, sha256.Size)
		_, _ = rand.Read(key) // never fails: crypto/rand ends the program instead
		return tx.PutSetting(secretSetting, hex.EncodeToString(key))
	})
	if err != nil {
		return err
	}
	s.secret.key.Store(&key)
	return nil
}

var errNotPrepared = errors.New("the key of the forms' tokens has not been read yet")

// token returns what a form shown to subject must bring back: when it was shown, and a MAC over that and the subject.
func (s *Site) token(subject string, now time.Time) (string, error) {
	key := s.secret.key.Load()
	if key == nil {
		return "", errNotPrepared
	}
	shown := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(shown, mac(*key, shown, subject)...)), nil
}

// checkToken returns nil if the token belongs to a form that was shown to subject within tokenLife.
func (s *Site) checkToken(token, subject string, now time.Time) error {
	key := s.secret.key.Load()
	if key == nil {
		return errNotPrepared
	}
	stale := problem{http.StatusForbidden, "this form is too old or was not shown to you: look at the page again, then repeat"}
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) != 8+sha256.Size {
		return stale
	}
	if !hmac.Equal(raw[8:], mac(*key, raw[:8], subject)) {
		return stale
	}
	if now.Sub(time.Unix(int64(binary.BigEndian.Uint64(raw)), 0)) > tokenLife {
		return stale
	}
	return nil
}

func mac(key, shown []byte, subject string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write(shown) // of fixed length: no two inputs run into each other
	h.Write([]byte(subject))
	return h.Sum(nil)
}
