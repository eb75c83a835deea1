//go:build !linux

package carried

import "errors"

// fromMemory starts nothing: other systems start programs from files only.
func fromMemory(string, []byte, func(path string) error) error {
	return errors.ErrUnsupported
}
