// Package release builds the program as it is meant to be used: what most runs do not
// need are programs of their own (cmd/slipway-render, cmd/slipway-buildkit), which are
// packed and carried within (cmd/slipway, with the tag carried). A plain go build works
// without all this, and makes a program that does the same and takes longer to start.
//
// It must never know what the programs do. Nothing is written into the checkout:
// go build is told by an overlay where the packed programs are.
package release

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// Options say what is built. Output is required.
type Options struct {
	Output   string // the program's file
	Version  string // what it calls itself; "" is that of a plain go build
	OS, Arch string // as Go has them; "" is this machine's
}

// Build builds the program. It is to be run within the project's module.
func Build(ctx context.Context, o Options) error {
	dir, err := os.MkdirTemp("", "slipway-release-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var carried []string
	for _, name := range o.carried() {
		program := filepath.Join(dir, name)
		// Without the commit in it, it is the same until its own code changes.
		if err := o.run(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", program, "slipway/cmd/"+name); err != nil {
			return err
		}
		if err := pack(program+packed, program); err != nil {
			return fmt.Errorf("packing %s: %w", name, err)
		}
		carried = append(carried, program+packed)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := writeOverlay(ctx, overlay, carried); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-tags=carried", "-overlay=" + overlay, "-o", o.Output}
	if o.Version != "" {
		args = append(args, "-ldflags=-X main.version="+o.Version)
	}
	return o.run(ctx, append(args, "slipway/cmd/slipway")...)
}

// packed ends the name of what cmd/slipway embeds.
const packed = ".zst"

// carried are the commands that the program has within itself.
func (o Options) carried() []string {
	names := []string{"slipway-render"}
	if cmp.Or(o.OS, runtime.GOOS) == "linux" {
		names = append(names, "slipway-buildkit")
	}
	return names
}

func (o Options) run(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+o.OS, "GOARCH="+o.Arch)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// window is how far back what is packed refers, in bytes. With a larger one it is a
// little smaller, and takes twice as long to unpack, and more memory.
const window = 512 << 10

// pack compresses a file, to the same bytes wherever it is done.
func pack(to, from string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	e, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedBestCompression), zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(window))
	if err != nil {
		return err
	}
	return os.WriteFile(to, e.EncodeAll(content, nil), 0o644)
}

// writeOverlay says that the packed programs are where cmd/slipway embeds them.
func writeOverlay(ctx context.Context, path string, packed []string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "slipway/cmd/slipway")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("finding cmd/slipway: %w", err)
	}
	replace := map[string]string{}
	for _, file := range packed {
		replace[filepath.Join(strings.TrimSpace(string(out)), filepath.Base(file))] = file
	}
	content, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
