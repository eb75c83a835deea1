package source

import (
	"fmt"
	"io/fs"
)

// Identity is how an entry stands in a key: its name, permissions and content,
// the content as git's object id or the link's target. Names are quoted, so that
// no two entries look alike.
func (e Entry) Identity() string {
	what := e.OID
	switch {
	case e.Mode.IsDir():
		what = "directory" // its entries stand for what is in it
	case e.Mode&fs.ModeSymlink != 0:
		what = fmt.Sprintf("link to %q", e.Link)
	}
	return fmt.Sprintf("%q %04o %s", e.Path, e.Mode.Perm(), what)
}
