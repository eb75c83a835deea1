package engine

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"
)

// key is the key of pairs of names and values, and the bytes that entered it.
func key(kind string, version int, fields ...string) (Key, string) {
	var trace bytes.Buffer
	w := NewKeyWriter(kind, version, &trace)
	for i := 0; i < len(fields); i += 2 {
		w.Field(fields[i], fields[i+1])
	}
	return w.Sum(), trace.String()
}

func TestKeyIsInjective(t *testing.T) {
	tests := []struct {
		name    string
		kind    string
		version int
		fields  []string
	}{
		{"nothing", "build", 1, nil},
		{"another kind", "chart", 1, nil},
		{"another version", "build", 2, nil},
		{"kind and version run together", "build 1", 1, nil},
		{"empty field", "build", 1, []string{"", ""}},
		{"a, bc", "build", 1, []string{"f", "a", "f", "bc"}},
		{"ab, c", "build", 1, []string{"f", "ab", "f", "c"}},
		{"c, ab", "build", 1, []string{"f", "c", "f", "ab"}},
		{"abc", "build", 1, []string{"f", "abc"}},
		{"abc of another name", "build", 1, []string{"g", "abc"}},
		{"a value that looks like two fields", "build", 1, []string{"f", "a\nf 2\nbc"}},
		{"a value with the length of another", "build", 1, []string{"f", "a\n"}},
		{"one value only", "build", 1, []string{"f", "a"}},
		{"an empty value after it", "build", 1, []string{"f", "a", "f", ""}},
		{"an empty value before it", "build", 1, []string{"f", "", "f", "a"}},
	}
	seen := map[Key]string{}
	for _, test := range tests {
		k, _ := key(test.kind, test.version, test.fields...)
		if other, ok := seen[k]; ok {
			t.Errorf("%q and %q have one key", test.name, other)
		}
		seen[k] = test.name
		if again, _ := key(test.kind, test.version, test.fields...); again != k {
			t.Errorf("%q: two keys of the same fields", test.name)
		}
	}
}

func TestTraceIsWhatWasHashed(t *testing.T) {
	k, trace := key("build", 3, "platform", "linux/amd64", "file", "a\nb")
	want := "slipway build key 1\n3\nplatform 11\nlinux/amd64\nfile 3\na\nb\n"
	hashed, ok := strings.CutSuffix(trace, "= "+k.String()+"\n")
	if !ok || hashed != want {
		t.Errorf("trace %q, want %q and the key", trace, want)
	}
	if sha256.Sum256([]byte(hashed)) != k {
		t.Error("the trace is not what was hashed")
	}
	w := NewKeyWriter("build", 3, nil)
	w.Field("platform", "linux/amd64")
	w.Field("file", "a\nb")
	if w.Sum() != k {
		t.Error("tracing changes the key")
	}

	var shared bytes.Buffer
	w = NewKeyWriter("build", 3, &shared)
	w.Fields(AppendField(AppendField(nil, "platform", "linux/amd64"), "file", "a\nb"))
	if w.Sum() != k || shared.String() != trace {
		t.Errorf("fields made before give %s, %q", w.Sum(), shared.String())
	}
}

func TestKeyString(t *testing.T) {
	var zero Key
	k, _ := key("build", 1)
	if !zero.IsZero() || k.IsZero() {
		t.Error("IsZero")
	}
	if s := k.String(); len(s) != 64 || strings.Trim(s, "0123456789abcdef") != "" {
		t.Errorf("String: %q", s)
	}
}
