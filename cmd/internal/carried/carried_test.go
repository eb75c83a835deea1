package carried

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// echo is a program that is there, packed.
func echo(t *testing.T) []byte {
	t.Helper()
	path, err := exec.LookPath("echo")
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return e.EncodeAll(content, nil)
}

// On Linux the program is started from memory, where nobody can change it, and else
// from a file, which is gone as soon as it can be.
func TestProgram(t *testing.T) {
	for name, refused := range map[string]bool{"memory": false, "file": true} {
		t.Run(name, func(t *testing.T) {
			tmp := t.TempDir()
			t.Setenv("TMPDIR", tmp)
			var tried []string
			var out []byte
			done, err := Program("speaks", echo(t))(func(path string) (err error) {
				inMemory := !strings.HasPrefix(path, tmp)
				tried = append(tried, path)
				if inMemory && refused {
					return errors.New("not from there")
				}
				if inMemory && os.Truncate(path, 0) == nil {
					t.Error("the program can be changed")
				}
				out, err = exec.Command(path, "hello").Output()
				return err
			})
			if err != nil || string(out) != "hello\n" {
				t.Fatalf("it said %q, %v", out, err)
			}
			done()
			if left, _ := filepath.Glob(tmp + "/*"); len(left) > 0 {
				t.Errorf("%v is left", left)
			}
			if inFile := slices.ContainsFunc(tried, func(path string) bool { return strings.HasPrefix(path, tmp) }); runtime.GOOS == "linux" && inFile != refused {
				t.Errorf("started from %v", tried)
			}
		})
	}
}

// What cannot be started from anywhere is an error, and leaves nothing.
func TestProgramFails(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	refused := errors.New("refused")
	_, err := Program("x", echo(t))(func(string) error { return refused })
	if !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
	if _, err := Program("x", []byte("not packed"))(func(string) error { return nil }); err == nil {
		t.Error("what is not packed is started")
	}
	if left, _ := filepath.Glob(tmp + "/*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}
