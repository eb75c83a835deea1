// Package planner turns a project at one commit into a plan: every image with
// its key, the graph between them, and the chart's files. A plan is a function
// of the commit and the parameters: planning the same commit twice, on any
// machine, gives the same bytes.
//
// It must never know what exists: no look-up in a registry, no BuildKit. Only a
// Dockerfile that lets its base decide which files are read makes it ask for
// that base's config.
package planner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/planner/source"
	"slipway/planner/werfyaml"

	"github.com/containerd/platforms"
	"github.com/moby/patternmatcher/ignorefile"
	"golang.org/x/sync/errgroup"
)

// Options are a plan's parameters. The zero value plans the project in the
// current directory for linux on this machine's architecture.
type Options struct {
	Dir         string   // the project; "" is the current directory
	GitWorkTree string   // as git's --work-tree; "" lets git find it
	Config      string   // werf.yaml's path in the project; "" is the default
	Images      []string // names; none means all
	Platform    string   // OS/ARCH[/VARIANT] that images are built for
	// Bases answers for the rare Dockerfile whose base decides what is read.
	Bases dockerfile.ConfigResolver
	// KeyTrace gets every byte that enters a key; nil is off.
	KeyTrace io.Writer
}

// Plan is what a project at one commit amounts to.
type Plan struct {
	Project string
	Images  []*Image // in the order of werf.yaml
	Chart   Chart
	Source  *source.Source
}

// Chart says where the chart's files are.
type Chart struct {
	Dir        string // relative to the project
	AppVersion string // "" leaves Chart.yaml's
}

// Image is one image of the project, planned.
type Image struct {
	Name     string
	Platform string
	Final    bool
	Key      engine.Key
	Recipe   *dockerfile.Recipe
}

// Load plans the project. Close the plan when done: a git process serves it.
func Load(ctx context.Context, o Options) (_ *Plan, err error) {
	src, err := source.Open(ctx, source.Options{Dir: o.Dir, GitWorkTree: o.GitWorkTree})
	if err != nil {
		return nil, badInput(err)
	}
	defer func() {
		if err != nil {
			src.Close()
		}
	}()
	config, err := readConfig(src.FS(), o.Config)
	if err != nil {
		return nil, err
	}
	platform, err := parsePlatform(o.Platform)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(config, o.Images)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Project: config.Meta.Project,
		Chart:   Chart{Dir: config.Meta.ChartDir, AppVersion: config.Meta.AppVersion},
		Source:  src,
		Images:  make([]*Image, len(chosen)),
	}
	errs := make([]error, len(chosen))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if o.KeyTrace != nil {
		group.SetLimit(1) // a trace is read from top to bottom
	}
	for i, image := range chosen {
		group.Go(func() error {
			p.Images[i], errs[i] = planImage(ctx, src, image, platform, o)
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return p, errors.Join(errs...)
}

// badInput marks what is the user's to mend: there is no project to plan.
func badInput(err error) error {
	for _, cause := range []error{source.ErrNotRepository, source.ErrNoCommit, source.ErrNotCommitted, fs.ErrNotExist} {
		if errors.Is(err, cause) {
			return &diag.Diagnostic{Message: err.Error()}
		}
	}
	return err
}

// Close ends the git process that serves the plan's files.
func (p *Plan) Close() error { return p.Source.Close() }

// readConfig reads werf.yaml from the commit.
func readConfig(files fs.FS, override string) (*werfyaml.Config, error) {
	name, err := werfyaml.Find(files, override)
	if err != nil {
		return nil, err
	}
	text, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return werfyaml.Parse(name, text)
}

// choose picks the named images, in the file's order.
func choose(config *werfyaml.Config, names []string) ([]werfyaml.Image, error) {
	if len(names) == 0 {
		return config.Images, nil
	}
	var known []string
	for _, image := range config.Images {
		known = append(known, image.Name)
	}
	wanted := map[string]bool{}
	var wrong diag.List
	for _, name := range names {
		wanted[name] = true
		if !slices.Contains(known, name) {
			d := &diag.Diagnostic{Message: fmt.Sprintf("no image %q in %s", name, config.File)}
			d.Advice = diag.DidYouMean(name, known)
			if d.Advice == "" {
				d.Advice = "it has: " + strings.Join(known, ", ")
			}
			wrong.Add(d)
		}
	}
	if err := wrong.Err(); err != nil {
		return nil, err
	}
	var chosen []werfyaml.Image
	for _, image := range config.Images {
		if wanted[image.Name] {
			chosen = append(chosen, image)
		}
	}
	return chosen, nil
}

func planImage(ctx context.Context, src *source.Source, image werfyaml.Image, platform platforms.Platform, o Options) (*Image, error) {
	files, err := src.Context(image.Context)
	if err != nil {
		return nil, image.At("context").Errorf("image %q: %v", image.Name, err)
	}
	if len(image.ContextAddFiles) > 0 {
		if files, err = files.WithFiles(ctx, image.ContextAddFiles); err != nil {
			return nil, image.At("contextAddFiles").Errorf("image %q: %v", image.Name, err)
		}
	}
	name := path.Join(image.Context, image.Dockerfile)
	text, err := fs.ReadFile(src.FS(), name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, image.At("dockerfile").Errorf("image %q: no file %s in the commit", image.Name, name).
			Advise("commit it, or correct the path: dockerfile is relative to context")
	}
	if err != nil {
		return nil, image.At("dockerfile").Errorf("image %q: %v", image.Name, err)
	}
	ignore, err := ignorePatterns(src.FS(), name, image.Context)
	if err != nil {
		return nil, err
	}
	recipe, err := dockerfile.Plan(ctx, dockerfile.Input{
		Path: name, Text: text, Target: image.Target, Args: image.Args,
		Platform: platform, Context: files, Ignore: ignore, Bases: o.Bases, Trace: o.KeyTrace,
	})
	if err != nil {
		return nil, fmt.Errorf("image %q: %w", image.Name, err)
	}
	return &Image{Name: image.Name, Platform: platforms.FormatAll(platform), Final: image.Final, Key: recipe.Key, Recipe: recipe}, nil
}

// ignorePatterns reads the ignore file that belongs to a Dockerfile: its own,
// else the context's.
func ignorePatterns(files fs.FS, dockerfile, context string) ([]string, error) {
	for _, name := range []string{dockerfile + ".dockerignore", path.Join(context, ".dockerignore")} {
		f, err := files.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		defer f.Close()
		patterns, err := ignorefile.ReadAll(f)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		return patterns, nil
	}
	return nil, nil
}

// parsePlatform reads --platform. Images are Linux images unless it says more.
func parsePlatform(s string) (platforms.Platform, error) {
	if s == "" {
		p := platforms.DefaultSpec()
		p.OS, p.OSVersion, p.OSFeatures = "linux", "", nil
		return platforms.Normalize(p), nil
	}
	p, err := platforms.Parse(s)
	if err != nil || !strings.Contains(s, "/") {
		return p, &diag.Diagnostic{Message: fmt.Sprintf("--platform %q is not a platform", s), Advice: "write OS/ARCH, for example linux/amd64"}
	}
	return platforms.Normalize(p), nil
}
