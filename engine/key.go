package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
)

// Key is the sha256 over everything that can change a stage's result and
// nothing else. docs/keys.md is its specification.
type Key [sha256.Size]byte

// IsZero tells a stage without a key (an alias) from one with.
func (k Key) IsZero() bool { return k == Key{} }

// String is the 64 lower-case hexadecimal digits that also name the key tag.
func (k Key) String() string { return hex.EncodeToString(k[:]) }

// KeyWriter is the one writer of keys. Every field enters with its name and the
// length of its value, so that no two different sequences of fields look alike.
type KeyWriter struct {
	hash  hash.Hash
	trace io.Writer
	buf   []byte // of Field
}

// NewKeyWriter starts the key of a stage of the given kind. Each byte that
// enters the key is also copied to trace when that is not nil: the cheapest
// explanation of a cache miss.
func NewKeyWriter(kind string, version int, trace io.Writer) *KeyWriter {
	w := &KeyWriter{hash: sha256.New(), trace: trace}
	w.Field("slipway "+kind+" key", strconv.Itoa(version))
	return w
}

// Field adds one named value.
func (w *KeyWriter) Field(name, value string) {
	w.buf = AppendField(w.buf[:0], name, value)
	w.Fields(w.buf)
}

// Fields adds what AppendField has made, for fields that many keys share.
func (w *KeyWriter) Fields(fields []byte) {
	w.hash.Write(fields) // a hash never fails
	w.explain(fields)
}

// AppendField appends one named value as it enters keys.
func AppendField[T string | []byte](b []byte, name string, value T) []byte {
	b = strconv.AppendInt(append(append(b, name...), ' '), int64(len(value)), 10)
	return append(append(append(b, '\n'), value...), '\n')
}

// Sum ends the key.
func (w *KeyWriter) Sum() Key {
	var k Key
	w.hash.Sum(k[:0])
	w.explain([]byte("= " + k.String() + "\n"))
	return k
}

func (w *KeyWriter) explain(b []byte) {
	if w.trace != nil {
		w.trace.Write(b) // tracing must not fail a run
	}
}
