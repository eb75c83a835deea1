package planner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/planner/source"
	"slipway/planner/werfyaml"

	"github.com/containerd/platforms"
	"golang.org/x/sync/errgroup"
)

// planImages plans every image, on all cores. An image waits for those that it is
// made from, which stand before it in sections.
func planImages(ctx context.Context, p *Plan, sections []werfyaml.Image, o Options) ([]*Image, error) {
	images := make([]*Image, len(sections))
	errs := make([]error, len(sections))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if o.KeyTrace != nil {
		group.SetLimit(1) // a trace is read from top to bottom
	}
	for i, section := range sections {
		group.Go(func() error {
			images[i], errs[i] = planImage(ctx, p, section, o)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return images, errors.Join(errs...)
}

func planImage(ctx context.Context, p *Plan, section werfyaml.Image, o Options) (*Image, error) {
	in, err := input(ctx, p.Source, section)
	if err != nil {
		return nil, err
	}
	in.Bases, in.Trace, in.Lock = o.Bases, o.KeyTrace, p.Lock
	targets, err := targetPlatforms(o.Platforms)
	if err != nil {
		return nil, err
	}
	image := &Image{Name: section.Name, Final: section.Final}
	for _, platform := range targets {
		in.Platform = platform
		recipe, err := dockerfile.Plan(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("image %q: %w", section.Name, err)
		}
		image.Builds = append(image.Builds, &Build{Platform: platform, Key: recipe.Key, Recipe: recipe})
	}
	image.Key = indexKey(image.Builds)
	return image, nil
}

// input reads what an image section names.
func input(ctx context.Context, src *source.Source, section werfyaml.Image) (dockerfile.Input, error) {
	var in dockerfile.Input
	files, err := src.Context(section.Context)
	if err != nil {
		return in, section.At("context").Errorf("image %q: %v", section.Name, err)
	}
	if len(section.ContextAddFiles) > 0 {
		if files, err = files.WithFiles(ctx, section.ContextAddFiles); err != nil {
			return in, section.At("contextAddFiles").Errorf("image %q: %v", section.Name, err)
		}
	}
	name := path.Join(section.Context, section.Dockerfile)
	text, err := fs.ReadFile(src.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return in, section.At("dockerfile").Errorf("image %q: no file %s in the commit", section.Name, name).
			Advise("commit it, or correct the path: dockerfile is relative to context")
	}
	if err != nil {
		return in, section.At("dockerfile").Errorf("image %q: %v", section.Name, err)
	}
	ignore, err := ignorePatterns(src.FS(), name, section.Context)
	if err != nil {
		return in, err
	}
	return dockerfile.Input{Path: name, Text: text, Target: section.Target, Args: section.Args, Context: files, Ignore: ignore}, nil
}

// IndexVersion is raised when the meaning of an index key changes.
const IndexVersion = 1

// IndexField adds one platform's image to the key of an index.
func IndexField(w *engine.KeyWriter, platform platforms.Platform, key engine.Key) {
	w.Field("image", platforms.FormatAll(platform)+" "+key.String())
}

// indexKey is the key of an image: its only build's, or that of the index.
func indexKey(builds []*Build) engine.Key {
	if len(builds) == 1 {
		return builds[0].Key
	}
	w := engine.NewKeyWriter("index", IndexVersion, nil)
	for _, b := range builds {
		IndexField(w, b.Platform, b.Key)
	}
	return w.Sum()
}

// targetPlatforms reads platform names. Images are Linux images unless they say
// more.
func targetPlatforms(names []string) ([]platforms.Platform, error) {
	if len(names) == 0 {
		p := platforms.DefaultSpec()
		p.OS, p.OSVersion, p.OSFeatures = "linux", "", nil
		return []platforms.Platform{platforms.Normalize(p)}, nil
	}
	var out []platforms.Platform
	for _, name := range names {
		p, err := platforms.Parse(name)
		if err != nil || !strings.Contains(name, "/") {
			return nil, &diag.Diagnostic{Message: fmt.Sprintf("--platform %q is not a platform", name), Advice: "write OS/ARCH, for example linux/amd64"}
		}
		out = append(out, platforms.Normalize(p))
	}
	return out, nil
}
