//go:build !linux

package host

import (
	"context"
	"errors"
)

// Inspect has nothing to look at: images are built on Linux.
func Inspect(context.Context, string) (*Report, error) {
	return nil, errors.New("images are built on Linux only: there is nothing to check on this system")
}
