package source

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

func equal[T any](t testing.TB, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func listing(t testing.TB, s *Source, dir string) []Entry {
	t.Helper()
	list, err := openContext(t, s, dir).Listing(context.Background(), nil, nil)
	must(t, err)
	return list.Entries
}

func listContext(t testing.TB, c *Context) map[string]Entry {
	t.Helper()
	list, err := c.Listing(context.Background(), nil, nil)
	must(t, err)
	out := map[string]Entry{}
	for _, e := range list.Entries {
		out[e.Path] = e
	}
	return out
}

func paths(list []Entry) (out []string) {
	for _, e := range list {
		out = append(out, e.Path)
	}
	return out
}

// seen is what a walk showed of an entry, as far as a checkout can show it.
type seen struct {
	Path, Link string
	Type       fs.FileMode
	Exec       bool
	Size       int64
	Data       string
}

// walkAll records a walk with its data.
func walkAll(t testing.TB, f fsutil.FS, target string) (out []seen) {
	t.Helper()
	err := f.Walk(context.Background(), target, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			out = append(out, seen{Path: p, Data: "error"})
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		st := fi.Sys().(*types.Stat)
		if st.Path != p || d.Name() != filepath.Base(p) || d.Type().Type() != fi.Mode().Type() || d.IsDir() != fi.IsDir() {
			return fmt.Errorf("%q: entry and information differ: %v %v", p, d, st)
		}
		e := seen{Path: p, Link: st.Linkname, Type: d.Type().Type(), Size: st.Size}
		if d.Type().IsRegular() {
			e.Exec = st.Mode&0o100 != 0
			r, err := f.Open(p)
			if err != nil {
				return err
			}
			defer r.Close()
			data, err := io.ReadAll(r)
			if err != nil {
				return err
			}
			e.Data = string(data)
		}
		out = append(out, e)
		return nil
	})
	must(t, err)
	return out
}

// sameAsCheckout compares a context to what fsutil makes of a directory.
func sameAsCheckout(t testing.TB, c *Context, dir string, targets ...string) {
	t.Helper()
	disk, err := fsutil.NewFS(dir)
	must(t, err)
	for _, target := range append(targets, "/") {
		got, want := walkAll(t, c, target), walkAll(t, disk, target)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("walk of %q\ngot  %+v\nwant %+v", target, got, want)
		}
	}
}
