package source

import (
	"io/fs"
	"strconv"
)

// AppendIdentity appends how an entry stands in a key: its name, permissions and
// content, the content as git's object id or the link's target. Names are quoted, so
// that no two entries look alike.
func (e Entry) AppendIdentity(b []byte) []byte {
	// A plan asks for this once for every file of every image: no Sprintf.
	b = append(strconv.AppendQuote(b, e.Path), " 0"...)
	for digit := 6; digit >= 0; digit -= 3 {
		b = append(b, '0'+byte(e.Mode.Perm()>>digit&7))
	}
	switch {
	case e.Mode.IsDir():
		return append(b, " directory"...) // its entries stand for what is in it
	case e.Mode&fs.ModeSymlink != 0:
		return strconv.AppendQuote(append(b, " link to "...), e.Link)
	}
	return append(append(b, ' '), e.OID...)
}
