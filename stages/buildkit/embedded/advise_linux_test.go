package embedded

import (
	"errors"
	"strings"
	"testing"
)

// An error of the state directory says what to do about it; others stay.
func TestAdvise(t *testing.T) {
	s := New(Options{StateDir: "/home/me/state"})
	for text, want := range map[string]string{
		"mkdir /home/me/state/buildkit: permission denied":             "make it writable",
		"open /home/me/state/buildkit/0/lock: read-only file system":   "make it writable",
		"write /home/me/state/buildkit/0/x: no space left on device":   "slipway host prune",
		"mkdir /home/me/state/buildkit: disk quota exceeded":           "slipway host prune",
		"writing the image to oci:/mnt: no space left on device":       "",
		"/home/me/state/buildkit/0/history.db: unexpected end of file": "",
	} {
		err := errors.New(text)
		got := s.advise(err)
		if !errors.Is(got, err) || (want == "") != (got == err) || !strings.Contains(got.Error(), want) {
			t.Errorf("got %v, want %q", got, want)
		}
	}
}
