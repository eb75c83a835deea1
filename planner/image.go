package planner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/planner/giterminism"
	"slipway/planner/lock"
	"slipway/planner/werfyaml"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"golang.org/x/sync/errgroup"
)

// planImages plans every image, on all cores. sections have dependencies first,
// and an image waits for those that it is made from.
func planImages(ctx context.Context, p *Project, pins *lock.File, sections []werfyaml.Image, o Options) (map[string]*Image, error) {
	type planned struct {
		done  chan struct{}
		image *Image // nil if it cannot be planned
	}
	all := map[string]*planned{}
	for _, section := range sections {
		all[section.Name] = &planned{done: make(chan struct{})}
	}
	p.readAhead(sections)
	errs := make([]error, len(sections))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	if o.KeyTrace != nil {
		group.SetLimit(1) // a trace is read from top to bottom
	}
	for i, section := range sections {
		group.Go(func() error {
			self := all[section.Name]
			defer close(self.done)
			var needs []*Image
			for _, d := range section.Dependencies {
				need := all[d.Image]
				// It was started before, so it ends without this one.
				<-need.done
				if need.image == nil {
					return ctx.Err() // its own error says why
				}
				needs = append(needs, need.image)
			}
			self.image, errs[i] = planImage(ctx, p, pins, section, needs, o)
			if self.image != nil && o.Planned != nil {
				o.Planned(self.image)
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	images := map[string]*Image{}
	for name, p := range all {
		images[name] = p.image
	}
	return images, errors.Join(errs...)
}

func planImage(ctx context.Context, p *Project, pins *lock.File, section werfyaml.Image, needs []*Image, o Options) (*Image, error) {
	in, err := p.input(ctx, section)
	if err != nil {
		return nil, err
	}
	in.Bases, in.Trace, in.Lock = o.Bases, o.KeyTrace, pins
	in.CacheVersion = section.CacheVersion
	if in.Edit, in.EditKey, err = editConfig(section.ImageSpec); err != nil {
		return nil, section.At("imageSpec").Errorf("image %q: %v", section.Name, err)
	}
	names := o.Platforms
	if len(names) == 0 {
		names = section.Platforms
	}
	targets, err := targetPlatforms(names)
	if err != nil {
		return nil, err
	}
	image := &Image{Name: section.Name, Final: section.Final, Needs: needs, Dockerfile: dockerfilePath(section), How: How{
		AddHost: section.AddHost, Network: section.Network, SSH: section.SSH, Secrets: section.Secrets,
	}}
	for _, platform := range targets {
		b := &Build{Platform: platform}
		in.Platform, in.Dependencies = platform, nil
		for i, need := range needs {
			made, err := need.build(platform)
			if err != nil {
				return nil, section.At("dependencies").Errorf("image %q: %v", section.Name, err)
			}
			b.Needs = append(b.Needs, made)
			in.Dependencies = append(in.Dependencies, dependency(section.Dependencies[i], made, o.RepoName))
		}
		if b.Recipe, err = dockerfile.Plan(ctx, in); err != nil {
			return nil, cannotPlan(section, in.Path, err)
		}
		b.Key = b.Recipe.Key
		image.Builds = append(image.Builds, b)
	}
	image.Key = indexKey(image.Builds)
	return image, nil
}

// cannotPlan is the error of an image whose Dockerfile could not be planned.
func cannotPlan(section werfyaml.Image, dockerfilePath string, err error) error {
	var target *dockerfile.TargetError
	if !errors.As(err, &target) {
		return badInput(fmt.Errorf("image %q: %w", section.Name, err), noFile)
	}
	advice := diag.DidYouMean(target.Target, target.Stages)
	switch {
	case len(target.Stages) == 0:
		advice = "it names no stages: FROM … AS NAME"
	case advice == "":
		advice = "it has: " + strings.Join(target.Stages, ", ")
	}
	return section.At("target").Errorf("image %q: %s has no stage %q", section.Name, dockerfilePath, target.Target).Advise("%s", advice)
}

// build is the image for a platform.
func (i *Image) build(platform platforms.Platform) (*Build, error) {
	for _, b := range i.Builds {
		if platforms.FormatAll(b.Platform) == platforms.FormatAll(platform) {
			return b, nil
		}
	}
	return nil, fmt.Errorf("it needs image %q for %s, for which that is not built", i.Name, platforms.FormatAll(platform))
}

func dependency(d werfyaml.Dependency, made *Build, repo string) dockerfile.Dependency {
	out := dockerfile.Dependency{Repo: repo, Key: made.Key, Config: made.Recipe.Config}
	for _, i := range d.Imports {
		out.Imports = append(out.Imports, dockerfile.Import{Arg: i.TargetBuildArg, Type: dockerfile.ImportType(i.Type)})
	}
	return out
}

// parsedFile is a Dockerfile.
type parsedFile struct {
	text   []byte
	parsed func() (*parser.Result, error)
}

// dockerfilePath is the path of an image's Dockerfile in the project.
func dockerfilePath(section werfyaml.Image) string {
	return path.Join(section.Context, section.Dockerfile)
}

// readAhead reads the Dockerfiles and ignore files of all sections in one go.
func (p *Project) readAhead(sections []werfyaml.Image) {
	var names []string
	for _, section := range sections {
		name := dockerfilePath(section)
		names = append(append(names, name), ignoreFiles(name, section.Context)...)
	}
	p.source.ReadAhead(names)
}

// input reads what an image section names.
func (p *Project) input(ctx context.Context, section werfyaml.Image) (dockerfile.Input, error) {
	var in dockerfile.Input
	files, err := p.source.Context(section.Context)
	if err != nil {
		return in, section.At("context").Errorf("image %q: %v", section.Name, err)
	}
	if len(section.ContextAddFiles) > 0 {
		if files, err = files.WithFiles(ctx, section.ContextAddFiles); err != nil {
			return in, section.At("contextAddFiles").Errorf("image %q: %v", section.Name, err)
		}
	}
	name := dockerfilePath(section)
	file, err := p.dockerfiles.get(name, func() (parsedFile, error) {
		text, err := fs.ReadFile(p.files(giterminism.Dockerfile), name)
		return parsedFile{text, dockerfile.Parse(text)}, err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return in, section.At("dockerfile").Errorf("image %q: no file %s in the commit", section.Name, name).
			Advise("commit it, or correct the path: dockerfile is relative to context")
	}
	if err != nil {
		return in, section.At("dockerfile").Errorf("image %q: %v", section.Name, err)
	}
	ignore, err := p.ignorePatterns(name, section.Context)
	if err != nil {
		return in, err
	}
	return dockerfile.Input{
		Path: name, Text: file.text, Parsed: file.parsed, Target: section.Target, Args: section.Args, Context: files, Ignore: ignore,
	}, nil
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

// DefaultPlatform is linux on this machine's architecture.
func DefaultPlatform() platforms.Platform {
	p := platforms.DefaultSpec()
	p.OS, p.OSVersion, p.OSFeatures = "linux", "", nil
	return platforms.Normalize(p)
}

// targetPlatforms reads platform names.
func targetPlatforms(names []string) ([]platforms.Platform, error) {
	if len(names) == 0 {
		return []platforms.Platform{DefaultPlatform()}, nil
	}
	var out []platforms.Platform
	for _, name := range names {
		p, err := platforms.Parse(name)
		if err != nil || !strings.Contains(name, "/") {
			return nil, &diag.Diagnostic{Message: fmt.Sprintf("--platform %q is not a platform", name), Advice: "write OS/ARCH, for example linux/amd64"}
		}
		p = platforms.Normalize(p)
		if !slices.ContainsFunc(out, func(o platforms.Platform) bool { return platforms.FormatAll(o) == platforms.FormatAll(p) }) {
			out = append(out, p)
		}
	}
	return out, nil
}
