// Package release builds the program as it is meant to be used: what renders charts
// is a program of its own (cmd/slipway-render), which is packed and carried within
// (cmd/slipway, with the tag carryrenderer). A plain go build works without all this,
// and makes a program that does the same and takes longer to start.
//
// It must never know what either program does. Nothing is written into the checkout:
// go build is told by an overlay where the packed program is.
package release

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	renderer := filepath.Join(dir, "renderer")
	// Without the commit in it, it is the same until its own code changes.
	if err := o.run(ctx, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", renderer, "slipway/cmd/slipway-render"); err != nil {
		return err
	}
	if err := pack(renderer+".zst", renderer); err != nil {
		return fmt.Errorf("packing the program that renders: %w", err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	if err := writeOverlay(ctx, overlay, renderer+".zst"); err != nil {
		return err
	}
	args := []string{"build", "-trimpath", "-tags=carryrenderer", "-overlay=" + overlay, "-o", o.Output}
	if o.Version != "" {
		args = append(args, "-ldflags=-X main.version="+o.Version)
	}
	return o.run(ctx, append(args, "slipway/cmd/slipway")...)
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

// writeOverlay says that the packed program is where cmd/slipway embeds it.
func writeOverlay(ctx context.Context, path, packed string) error {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", "slipway/cmd/slipway")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("finding cmd/slipway: %w", err)
	}
	embedded := filepath.Join(strings.TrimSpace(string(out)), "renderer.zst")
	content, err := json.Marshal(map[string]any{"Replace": map[string]string{embedded: packed}})
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o644)
}
