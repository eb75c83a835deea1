package engine

import (
	"fmt"
	"reflect"
	"strings"
)

// Failure is one root cause.
type Failure struct {
	Node   *Node
	Err    error
	Also   []*Node // other nodes that failed for the same cause (see SameCause)
	NotRun []*Node // what was not run because it needs one of these
}

// String is "ID: error", with every node that failed of it.
func (f Failure) String() string {
	ids := f.Node.ID
	for _, n := range f.Also {
		ids += ", " + n.ID
	}
	return fmt.Sprintf("%s: %v", ids, f.Err)
}

// RunError is a run that did not reach all its goals.
type RunError struct {
	Failures []Failure // root causes, each once, in graph order
	Cause    error     // context.Cause of a run that was cancelled, else nil
}

// Error has one line for a single cause; several are listed below a first line
// that counts them.
func (e *RunError) Error() string {
	var causes []string
	for _, f := range e.Failures {
		causes = append(causes, f.String())
	}
	if e.Cause != nil {
		causes = append(causes, fmt.Sprintf("the run was cancelled: %v", e.Cause))
	}
	if len(causes) == 1 {
		return causes[0]
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d causes:", len(causes))
	for _, c := range causes {
		b.WriteString("\n- " + strings.ReplaceAll(c, "\n", "\n  "))
	}
	return b.String()
}

// Unwrap gives each root cause, and the cause of the cancellation last.
func (e *RunError) Unwrap() []error {
	var errs []error
	for _, f := range e.Failures {
		errs = append(errs, f.Err)
	}
	if e.Cause != nil {
		errs = append(errs, e.Cause)
	}
	return errs
}

// SameCause tells whether two errors tell of one event: they are the same value,
// or both wrap the same value, as when a builder that could not be started fails
// every build with the one error it keeps. Values that wrap nothing themselves,
// like io.EOF, do not count when wrapped: two pushes that both end in EOF are
// two causes.
func SameCause(a, b error) bool {
	if same(a, b) {
		return true
	}
	wrappers := chain(b)
	for _, x := range chain(a) {
		for _, y := range wrappers {
			if same(x, y) {
				return true
			}
		}
	}
	return false
}

// same compares as == does, without its panic on values that cannot be compared.
func same(a, b error) bool {
	if a == nil || b == nil {
		return a == b
	}
	return reflect.ValueOf(a).Comparable() && reflect.ValueOf(b).Comparable() && a == b
}

// chain is err and what it wraps, less what itself wraps nothing.
func chain(err error) []error {
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return append([]error{err}, chain(inner)...)
		}
	case interface{ Unwrap() []error }:
		all := []error{err}
		for _, inner := range e.Unwrap() {
			all = append(all, chain(inner)...)
		}
		return all
	}
	return nil
}
