package secret

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// The key of most vectors: published, with texts encrypted by werf, in the tests
// of werf itself.
const werfKey = "bc3458408a5687e60b9417adb84e4ad0"

func key(t testing.TB, text string) *Key {
	t.Helper()
	k, err := ParseKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// What others have encrypted: werf (the first four) and
// openssl enc -aes-{128,192,256}-cbc -K KEY -iv IV, behind 1000 and the IV.
func TestDecryptVectors(t *testing.T) {
	const iv = "10000f0e0d0c0b0a09080706050403020100"
	for _, v := range []struct{ key, text, plain string }{
		{werfKey, "100052fb0fa1cc8ef1cb123be089cdb853cc153772691b8fb743d612a7b64d65614d4d8745250752564941227eb8d7161523", "secretConfigContent\n"},
		{werfKey, "10007b717b44ec49b722c5d517cf6259bd20c93ea5ef2dcfc3934bccee59613d0ac07f5f39835d30f3736fc5d3edc10335bb", "added_via_secret_values"},
		{werfKey, "1000b52f32b4f9a78fb8b53e2a4d4211408b0de9c9bc83a8cda7a6be77e288f307bf90d016b476960f3c99ab51be48b318fcb4f404a4559bec045631902ec5f49728", "overridden_via_secret_values_extra"},
		{"11ac8312520b5ff037bae386ea2e8a07", "10000f13a718d019612ab8ad30d9bec8e2c09df0f2d168c179bef954e78371bf6a5a", "flant"},
		{"00112233445566778899aabbccddeeff", iv + "1b8212e8bab211c07b57cd9276d5fdee", "a secret"},
		{"00112233445566778899aabbccddeeff0011223344556677", iv + "68f6b835d8abb5b8b98940f45d282adb6873e0b6e2cc1652348fe064f78382f1", "sixteen bytes it"},
		{"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff", iv + "2258814885f97e0e539cc0613346d8f4", ""},
		{werfKey, "", ""},
	} {
		k := key(t, v.key)
		for _, text := range []string{v.text, " \n" + strings.ToUpper(v.text) + "\r\n"} {
			if plain, err := k.Decrypt([]byte(text)); err != nil || string(plain) != v.plain {
				t.Errorf("%.40q decrypts to %q, %v; want %q", text, plain, err, v.plain)
			}
		}
		again := k.Encrypt([]byte(v.plain))
		if v.text != "" && len(again) != len(v.text) || !bytes.HasPrefix(again, []byte("1000")) {
			t.Errorf("%q encrypts to %s, in form unlike %s", v.plain, again, v.text)
		}
		if plain, err := k.Decrypt(again); err != nil || string(plain) != v.plain {
			t.Errorf("%q comes back as %q, %v", v.plain, plain, err)
		}
	}
}

func TestDecryptErrors(t *testing.T) {
	k := key(t, "11ac8312520b5ff037bae386ea2e8a07")
	const good = "10000f13a718d019612ab8ad30d9bec8e2c09df0f2d168c179bef954e78371bf6a5a"
	for text, want := range map[string]error{
		good[:len(good)-1] + "b": ErrUndecipherable, // the padding
		"100052fb0fa1cc8ef1cb123be089cdb853cc153772691b8fb743d612a7b64d65614d4d8745250752564941227eb8d7161523": ErrUndecipherable, // another key
		good[:len(good)-1]:                 ErrNotEncrypted, // odd
		good[:len(good)-2]:                 ErrNotEncrypted, // no whole block
		good[:36]:                          ErrNotEncrypted, // no block
		"10":                               ErrNotEncrypted,
		"plaintext":                        ErrNotEncrypted,
		"2000" + good[4:]:                  ErrNotEncrypted,
		"1001" + good[4:]:                  ErrNotEncrypted,
		"0200" + good[4:]:                  ErrNewerFormat,
		"0300" + good[4:]:                  ErrNewerFormat,
		"0200" + good[4:40]:                ErrNotEncrypted,
		good + " " + good:                  ErrNotEncrypted,
		strings.Repeat("00", 100):          ErrNotEncrypted,
		"1000" + strings.Repeat("zz", 100): ErrNotEncrypted,
	} {
		if plain, err := k.Decrypt([]byte(text)); err != want || plain != nil {
			t.Errorf("%.40q gives %q, %v; want the error %v", text, plain, err, want)
		}
	}
}

func TestEncryptIsRandom(t *testing.T) {
	k := key(t, werfKey)
	if bytes.Equal(k.Encrypt([]byte("x")), k.Encrypt([]byte("x"))) {
		t.Error("two encrypted texts are alike")
	}
}

func TestParseKey(t *testing.T) {
	for text, ok := range map[string]bool{
		werfKey: true, " " + strings.ToUpper(werfKey) + "\n": true, werfKey + werfKey[:16]: true, werfKey + werfKey: true,
		"": false, "12": false, "1": false, "xx": false, werfKey[1:]: false, werfKey[2:]: false, werfKey[1:] + "g": false, werfKey + werfKey + "00": false,
	} {
		_, err := ParseKey(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && len(text) > 2 && strings.Contains(err.Error(), text[1:8]) {
			t.Errorf("the error %q holds the key", err)
		}
	}
	one, two := GenerateKey(), GenerateKey()
	if key(t, one); len(one) != 32 || one == two {
		t.Errorf("generated %q and %q", one, two)
	}
}

func TestKeyIsNotPrinted(t *testing.T) {
	k := key(t, werfKey)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if got := fmt.Sprintf(verb, k); got != "SECRET KEY" {
			t.Errorf("%s prints %s", verb, got)
		}
		if got := fmt.Sprintf(verb, struct{ K *Key }{k}); !strings.Contains(got, "SECRET KEY") {
			t.Errorf("%s of a struct prints %s", verb, got)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	k := key(f, werfKey)
	f.Add([]byte("100052fb0fa1cc8ef1cb123be089cdb853cc153772691b8fb743d612a7b64d65614d4d8745250752564941227eb8d7161523"))
	f.Add([]byte("0200"))
	f.Add([]byte(" 10"))
	f.Fuzz(func(t *testing.T, text []byte) {
		before := bytes.Clone(text)
		plain, err := k.Decrypt(text)
		if !bytes.Equal(text, before) {
			t.Fatal("the text was changed")
		}
		if err != nil {
			if !errors.Is(err, ErrNotEncrypted) && !errors.Is(err, ErrUndecipherable) && !errors.Is(err, ErrNewerFormat) {
				t.Fatalf("the error %v", err)
			}
			plain = text
		}
		again, err := k.Decrypt(k.Encrypt(plain))
		if err != nil || !bytes.Equal(again, plain) {
			t.Fatalf("%q comes back as %q, %v", plain, again, err)
		}
	})
}
