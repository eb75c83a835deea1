package testenv

import (
	"fmt"
	"runtime"
	"testing"
)

// spy is a test that keeps why it failed instead of failing. Skipping is a
// failure of the test that it stands in.
type spy struct {
	testing.TB
	said string
}

func (s *spy) Fatalf(format string, args ...any) {
	s.said = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

func (s *spy) Fatal(args ...any) { s.Fatalf("%s", fmt.Sprint(args...)) }
