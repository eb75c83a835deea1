package diag

import (
	"cmp"
	"slices"
	"strings"
)

// List is several diagnostics as one error, so that people can mend all the
// mistakes of a file in one go. Make the error with Err, not by returning a
// List: an empty one must not be an error.
type List []*Diagnostic

// Add appends diagnostics; nil ones are left out.
func (l *List) Add(ds ...*Diagnostic) {
	for _, d := range ds {
		if d != nil {
			*l = append(*l, d)
		}
	}
}

// Err is nil when the list is empty, else the list in order of file, line and
// column, each diagnostic once.
func (l List) Err() error {
	if len(l) == 0 {
		return nil
	}
	sorted := slices.Clone(l)
	slices.SortStableFunc(sorted, func(a, b *Diagnostic) int {
		return cmp.Or(
			strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column),
			strings.Compare(a.Message, b.Message),
		)
	})
	return slices.CompactFunc(sorted, func(a, b *Diagnostic) bool { return *a == *b })
}

// Error prints one diagnostic after the other.
func (l List) Error() string {
	texts := make([]string, len(l))
	for i, d := range l {
		texts[i] = d.Error()
	}
	return strings.Join(texts, "\n")
}

// Unwrap gives errors.Is and errors.As each diagnostic.
func (l List) Unwrap() []error {
	errs := make([]error, len(l))
	for i, d := range l {
		errs[i] = d
	}
	return errs
}
