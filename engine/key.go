package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
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
}

// NewKeyWriter starts the key of a stage of the given kind. Each byte that
// enters the key is also copied to trace when that is not nil: the cheapest
// explanation of a cache miss.
func NewKeyWriter(kind string, version int, trace io.Writer) *KeyWriter {
	w := &KeyWriter{hash: sha256.New(), trace: trace}
	w.Field("slipway "+kind+" key", fmt.Sprint(version))
	return w
}

// Field adds one named value.
func (w *KeyWriter) Field(name, value string) {
	w.write(fmt.Sprintf("%s %d\n%s\n", name, len(value), value))
}

// Sum ends the key.
func (w *KeyWriter) Sum() Key {
	var k Key
	w.hash.Sum(k[:0])
	w.explain(fmt.Sprintf("= %s\n", k))
	return k
}

func (w *KeyWriter) write(s string) {
	io.WriteString(w.hash, s) // a hash never fails
	w.explain(s)
}

func (w *KeyWriter) explain(s string) {
	if w.trace != nil {
		io.WriteString(w.trace, s) // tracing must not fail a run
	}
}
