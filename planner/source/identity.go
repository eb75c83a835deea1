package source

import (
	"fmt"
	"io/fs"
	"strconv"
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
	// A plan asks for this once for every file of every image: no Sprintf.
	b := make([]byte, 0, len(e.Path)+len(what)+8)
	b = append(strconv.AppendQuote(b, e.Path), ' ')
	perm := strconv.FormatUint(uint64(e.Mode.Perm()), 8)
	for range 4 - len(perm) {
		b = append(b, '0')
	}
	return string(append(append(append(b, perm...), ' '), what...))
}
