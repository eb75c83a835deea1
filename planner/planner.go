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
	"slices"

	"slipway/engine"
	"slipway/planner/diag"
	"slipway/planner/dockerfile"
	"slipway/planner/giterminism"
	"slipway/planner/lock"
	"slipway/planner/source"
	"slipway/planner/werfyaml"

	"github.com/containerd/platforms"
)

// Options are a plan's parameters. The zero value plans the project in the
// current directory for linux on this machine's architecture.
type Options struct {
	Dir         string // the project; "" is the current directory
	GitWorkTree string // as git's --work-tree; "" lets git find it
	Config      string // werf.yaml's path in the project; "" is the default
	ProjectName string // replaces the project's name; "" leaves it to werf.yaml
	// Rendered, if set, is given werf.yaml with its templates executed, before it is
	// read, so that people can see what is wrong with it.
	Rendered func(text []byte) error
	// TemplatesDir and GiterminismConfig are paths in the project; "" are the
	// defaults, .werf and werf-giterminism.yaml.
	TemplatesDir, GiterminismConfig string
	TemplateDebug                   io.Writer // gets what the debug functions print; nil is nowhere
	Env                             string    // the environment's name, for templates and charts
	Images                          []string  // names and patterns (werfyaml.Config.Select); none means all
	FinalOnly                       bool      // leaves out images with final: false
	NoImages                        bool      // leaves out all images
	CustomTags                      bool      // images are going to be named by tags that move
	NamesOnly                       bool      // plans no image: each has its name, and nothing is read for it
	Platforms                       []string  // OS/ARCH[/VARIANT] each; none means what werf.yaml says, else linux on this machine's
	// RepoName is where images are kept, as their references say it; "" is
	// localhost/PROJECT. It enters a key only where an image is made to hold it.
	RepoName string
	// Loose is --loose-giterminism: everything may come from outside the commit.
	Loose bool
	// Dev reads the work tree as it is; DevState is where what makes that cheap is
	// kept, and DevIgnore what stays as it is in the commit.
	Dev       bool
	DevState  string
	DevIgnore []string
	// Outputs are files that runs write: where git does not know them, they are no
	// part of the project. Relative ones are in the current directory.
	Outputs []string
	// ReadsChart says that the chart's files are going to be read.
	ReadsChart bool
	// Lock is used instead of the commit's lock file, to write that; nil is the
	// commit's.
	Lock *lock.File
	// Beside tells what else is going to be read as the chart's files are: files and
	// directories of the project. nil is nothing.
	Beside func(*Plan) ([]string, error)
	// Planned, if set, is given each chosen image as soon as it is planned, by several
	// goroutines: what there is to do for it can begin while others are planned. The
	// plan may fail all the same.
	Planned func(*Image)
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
	Deploy  werfyaml.Deploy
	Source  *source.Source
	Lock    *lock.File // nil if the commit has none: bases float
	// Sharing are the names of all images of the project, chosen or not, by their
	// Dockerfile (Image.Dockerfile), in the order of werf.yaml.
	Sharing map[string][]string
	// SecretFile is the file that the src of a secret means.
	SecretFile func(src string) string
}

// Chart says where the chart's files are.
type Chart struct {
	Dir        string // relative to the project
	AppVersion string // "" leaves Chart.yaml's
	Files      fs.FS  // that Dir is in
}

// Image is one image of the project, planned.
type Image struct {
	Name   string
	Final  bool
	Key    engine.Key // of the build, or of the index over several
	Builds []*Build   // one per platform
	Needs  []*Image   // the project's images that this one is made from
	How    How
	// Dockerfile is its path, relative to the project.
	Dockerfile string
}

// How is what only says how an image's RUNs are run: none of it is in a key.
type How struct {
	AddHost []string // HOST:IP
	Network string   // "", default, none or host
	SSH     string   // as docker build --ssh has it
	Secrets []werfyaml.Secret
}

// Build is an image for one platform.
type Build struct {
	Platform platforms.Platform
	Key      engine.Key
	Recipe   *dockerfile.Recipe
	Needs    []*Build // in the order that Recipe wants them in
}

// Load plans the project. Close the plan when done: a git process serves it.
func Load(ctx context.Context, o Options) (_ *Plan, err error) {
	project, err := OpenProject(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = project.placed(errors.Join(err, project.Close()))
		}
	}()
	src, config := project.source, project.Config
	if o.CustomTags && !project.rules.Allows(giterminism.CustomTags, "") {
		return nil, project.rules.Deny(diag.Pos{}, giterminism.CustomTags)
	}
	p := &Plan{
		SecretFile: project.rules.Expand,
		Project:    config.Meta.Project,
		Chart:      Chart{Dir: config.Meta.ChartDir, AppVersion: config.Meta.AppVersion, Files: project.files(giterminism.ChartFiles)},
		Source:     src,
		Deploy:     config.Meta.Deploy,
		Sharing:    map[string][]string{},
	}
	for _, section := range config.Images {
		name := dockerfilePath(section)
		p.Sharing[name] = append(p.Sharing[name], section.Name)
	}
	if o.NamesOnly {
		if p.Images, err = names(config, o); err != nil {
			return nil, err
		}
		if err := project.inspect(ctx, nil, nil, o); err != nil {
			return nil, err
		}
		return p, nil
	}
	chosen, err := choose(config, o)
	if err != nil {
		return nil, err
	}
	if o.RepoName == "" {
		o.RepoName = "localhost/" + p.Project
	}
	if p.Lock = o.Lock; p.Lock == nil {
		if p.Lock, err = readLock(src.FS()); err != nil {
			return nil, err
		}
	}
	sections := config.Closure(chosen)
	if err := project.checkRules(sections); err != nil {
		return nil, err
	}
	if planned := o.Planned; planned != nil {
		names := map[string]bool{}
		for _, section := range chosen {
			names[section.Name] = true
		}
		o.Planned = func(image *Image) {
			if names[image.Name] {
				planned(image)
			}
		}
	}
	planned, err := planImages(ctx, project, p.Lock, sections, o)
	if err != nil {
		return nil, err
	}
	if o.Beside != nil {
		if project.beside, err = o.Beside(p); err != nil {
			return nil, err
		}
	}
	if err := project.inspect(ctx, sections, planned, o); err != nil {
		return nil, err
	}
	for _, section := range chosen {
		p.Images = append(p.Images, planned[section.Name])
	}
	return p, nil
}

// names are the images as NamesOnly has them, those included that cannot be built
// yet.
func names(config *werfyaml.Config, o Options) ([]*Image, error) {
	images, others, err := config.Match(o.Images, werfyaml.SelectOptions{FinalOnly: o.FinalOnly})
	var out []*Image
	for _, image := range images {
		out = append(out, &Image{Name: image.Name, Final: image.Final})
	}
	for _, image := range others {
		out = append(out, &Image{Name: image.Name, Final: image.Final})
	}
	return out, err
}

// choose picks what is planned. A lock file is for every image that can be built,
// so those that cannot do not stand in its way.
func choose(config *werfyaml.Config, o Options) ([]werfyaml.Image, error) {
	if o.NoImages {
		return nil, nil
	}
	options := werfyaml.SelectOptions{FinalOnly: o.FinalOnly}
	if o.Lock == nil {
		return config.Select(o.Images, options)
	}
	all, _, err := config.Match(nil, options)
	if err != nil {
		return nil, err
	}
	var chosen []werfyaml.Image
	for _, image := range all {
		name := image.Name
		if name == "" {
			name = "~"
		}
		if _, err := config.Select([]string{name}, options); err == nil {
			chosen = append(chosen, image)
		}
	}
	return chosen, nil
}

// readLock reads the lock file of the commit; nil if it has none.
func readLock(files fs.FS) (*lock.File, error) {
	text, err := fs.ReadFile(files, lock.FileName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", lock.FileName, err)
	}
	return lock.Parse(lock.FileName, text)
}

// Causes that are the user's to mend: there is no project to plan, or the commit
// has something else than the file that is read.
var (
	noProject = []error{source.ErrNotRepository, source.ErrNoCommit, source.ErrNotCommitted, fs.ErrNotExist}
	noFile    = []error{source.ErrSubmodule, source.ErrLFS, source.ErrLinkEscapes}
)

// badInput makes a diagnostic of an error that has one of the causes.
func badInput(err error, causes []error) error {
	if !diag.Is(err) && slices.ContainsFunc(causes, func(cause error) bool { return errors.Is(err, cause) }) {
		return &diag.Diagnostic{Message: err.Error()}
	}
	return err
}

// Close ends the git process that serves the plan's files.
func (p *Plan) Close() error { return p.Source.Close() }
