// Package secret encrypts and decrypts the secrets of a chart in the format of
// werf 2: whole files, and the values of a YAML file one by one, so that a file
// of encrypted values still shows its structure and its diffs are small.
//
// An encrypted text is the hexadecimal form of
//
//	2 bytes   the size of the IV, little-endian: always 16, "1000"
//	16 bytes  the IV, random
//	the rest  AES in CBC mode, padded as PKCS #7 says, 16 bytes at least
//
// The mode does not authenticate: a text that someone changed may decrypt to
// something else. What can be told (length, padding, UTF-8) is an error.
//
// It must never know where keys are kept, nor files, editors or terminals. No
// error that it makes holds a key or a plaintext.
package secret

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

var (
	// ErrNotEncrypted is a text that no key can decrypt: it has another form.
	ErrNotEncrypted = errors.New("not an encrypted text")
	// ErrUndecipherable is a text of the right form that does not decrypt: the
	// key is another one, or the text is damaged. One text alone cannot tell.
	ErrUndecipherable = errors.New("encrypted with another key, or damaged")
	// ErrNewerFormat is a text that werf 3 has written.
	ErrNewerFormat = errors.New("encrypted by werf 3, in a format that is not supported")
)

// Versions of the format. The field that has held the IV's size, never read by
// werf 2, is the version for werf 3.
const (
	versionCBC     = 16
	versionGCM     = 2 // werf 3: a whole file
	versionGCMYAML = 3 // werf 3: a value of a YAML file
)

const header = 2 + aes.BlockSize // version and IV

// Key encrypts and decrypts. It may be used concurrently, and prints as a fixed
// word with every verb of fmt.
type Key struct{ block cipher.Block }

// ParseKey reads a key of 16, 24 or 32 bytes (AES-128, AES-192, AES-256) in
// hexadecimal digits. White space around it does not count.
func ParseKey(text string) (*Key, error) {
	raw, err := hex.DecodeString(string(bytes.TrimSpace([]byte(text))))
	if err != nil {
		return nil, errors.New("a secret key has hexadecimal digits only, 32, 48 or 64 of them")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("a secret key has 32, 48 or 64 hexadecimal digits, this one has %d", 2*len(raw))
	}
	return &Key{block}, nil
}

// GenerateKey makes a key for ParseKey: 16 random bytes in hexadecimal digits.
func GenerateKey() string {
	raw := make([]byte, 16)
	rand.Read(raw) // never fails
	return hex.EncodeToString(raw)
}

// Format keeps the key out of logs.
func (k *Key) Format(f fmt.State, _ rune) { fmt.Fprint(f, "SECRET KEY") }

// Encrypt returns the encrypted text. The IV is random, so no two are alike.
func (k *Key) Encrypt(plain []byte) []byte {
	padding := aes.BlockSize - len(plain)%aes.BlockSize
	raw := make([]byte, header, header+len(plain)+padding)
	binary.LittleEndian.PutUint16(raw, versionCBC)
	rand.Read(raw[2:header]) // never fails
	raw = append(raw, plain...)
	raw = append(raw, bytes.Repeat([]byte{byte(padding)}, padding)...)
	cipher.NewCBCEncrypter(k.block, raw[2:header]).CryptBlocks(raw[header:], raw[header:])
	return hex.AppendEncode(nil, raw)
}

// Decrypt is the opposite of Encrypt. White space around the text does not
// count, and nothing decrypts to nothing. Errors are the Err variables of this
// package.
func (k *Key) Decrypt(text []byte) ([]byte, error) {
	raw, err := decode(text)
	if err != nil || len(raw) == 0 {
		return nil, err
	}
	if raw[0] != versionCBC {
		return nil, ErrNewerFormat
	}
	plain := raw[header:]
	cipher.NewCBCDecrypter(k.block, raw[2:header]).CryptBlocks(plain, plain)
	padding := int(plain[len(plain)-1])
	if padding == 0 || padding > aes.BlockSize {
		return nil, ErrUndecipherable
	}
	content := plain[:len(plain)-padding]
	for _, b := range plain[len(content):] {
		if int(b) != padding {
			return nil, ErrUndecipherable
		}
	}
	return content, nil
}

// decode returns the bytes of an encrypted text, whose first one then is its
// version. It needs no key, and so is all that can be checked without one.
func decode(text []byte) ([]byte, error) {
	text = bytes.TrimSpace(text)
	raw := make([]byte, hex.DecodedLen(len(text)))
	if _, err := hex.Decode(raw, text); err != nil {
		return nil, ErrNotEncrypted
	}
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) < 2 {
		return nil, ErrNotEncrypted
	}
	switch binary.LittleEndian.Uint16(raw) {
	case versionCBC:
		if len(raw) >= header+aes.BlockSize && (len(raw)-header)%aes.BlockSize == 0 {
			return raw, nil
		}
	case versionGCM, versionGCMYAML:
		// A nonce of 12 bytes and a tag of 16.
		if len(raw) >= 2+12+16 {
			return raw, nil
		}
	}
	return nil, ErrNotEncrypted
}
