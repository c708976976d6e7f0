package ledger

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"time"
)

// idEncoding is base 32 with an alphabet in ASCII order, so that encoded numbers sort as the numbers do.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// newID returns an identifier that is unique for ever and sorts by time: 48 bits of milliseconds, 80 random bits. It
// consists of lower-case letters and digits.
func newID(now time.Time) string {
	var id [16]byte
	_, _ = rand.Read(id[6:]) // never fails: crypto/rand ends the program instead
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(id[:6], ms[2:])
	return idEncoding.EncodeToString(id[:])
}
