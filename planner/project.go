package planner

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"

	"slipway/planner/diag"
	"slipway/planner/giterminism"
	"slipway/planner/render"
	"slipway/planner/source"
	"slipway/planner/werfyaml"
)

// Project is a project's configuration at the commit, before anything is planned.
type Project struct {
	Config *werfyaml.Config
	Text   []byte // werf.yaml, rendered

	name      string // of the configuration file
	source    *source.Source
	rules     *giterminism.Config
	output    *render.Output
	templates string   // the directory of templates
	rulesName string   // of werf-giterminism.yaml
	beside    []string // what is read as the chart's files are
	// What images have in common is read once.
	dockerfiles shared[parsedFile]
	ignores     shared[[]string] // patterns of ignore files
	// workTree is the project on disk, opened when something of it is allowed; nil
	// if there is none. Links that lead out of it are not followed.
	workTree func() *os.Root
	// comparison waits for git, which compares the commit with the work tree while
	// the rest is done; nil if it does not matter what is in the work tree.
	comparison func() (*giterminism.Comparison, error)
	stop       context.CancelFunc // ends the comparison
}

// OpenProject reads, renders and checks the configuration. Close it when done.
func OpenProject(ctx context.Context, o Options) (*Project, error) {
	p, err := RenderProject(ctx, o)
	if err != nil {
		return nil, err
	}
	if p.Config, err = werfyaml.ParseAs(o.ProjectName, p.name, p.Text); err != nil {
		return nil, errors.Join(p.placed(err), p.Close())
	}
	return p, nil
}

// RenderProject is OpenProject without the check, for who looks for what is wrong in
// the rendered text: the Config is nil.
func RenderProject(ctx context.Context, o Options) (_ *Project, err error) {
	from := source.Options{Dir: o.Dir, GitWorkTree: o.GitWorkTree}
	if o.Dev {
		from.Tree = o.devTree
	}
	p := &Project{templates: o.TemplatesDir}
	if !o.Dev && !o.Loose {
		p.compare(ctx, from)
	}
	src, err := source.Open(ctx, from)
	if err != nil {
		p.Close()
		return nil, badInput(err, noProject)
	}
	if src.Dir() == "" && p.comparison != nil {
		p.stop()
		p.comparison() //nolint:errcheck // there is nothing to compare with
		p.comparison = nil
	}
	p.source, p.workTree = src, sync.OnceValue(func() *os.Root { return openRoot(src.Dir()) })
	defer func() {
		if err != nil {
			p.Close()
		}
	}()
	if p.templates = path.Clean(filepath.ToSlash(p.templates)); p.templates == "." {
		p.templates = ".werf"
	}
	if p.rulesName = path.Clean(filepath.ToSlash(o.GiterminismConfig)); p.rulesName == "." {
		p.rulesName = giterminism.FileName
	}
	if p.rules, err = readRules(src.FS(), o.GiterminismConfig); err != nil {
		return nil, err
	}
	p.rules.Home, _ = os.UserHomeDir() // without a home, ~ is a name like any other
	p.rules.Dir = src.Dir()
	p.rules.Loose = o.Loose
	if err := refuseIncludes(src.FS()); err != nil {
		return nil, err
	}
	name, err := werfyaml.Find(p.files(giterminism.UncommittedConfig), o.Config)
	if err != nil {
		return nil, err
	}
	p.name = name
	text, err := fs.ReadFile(p.files(giterminism.UncommittedConfig), name)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	p.output, err = render.Render(ctx, name, text, render.Project{
		Files: p.templateFiles(), TemplatesDir: o.TemplatesDir, Env: o.Env, Getenv: p.getenv, Debug: o.TemplateDebug,
		Commit: func() (render.Commit, error) {
			c, err := src.Commit(ctx)
			return render.Commit{Hash: c.Hash, Human: c.Human, Unix: c.Unix}, err
		},
	})
	if err != nil {
		return nil, badInput(err, noFile)
	}
	p.Text = p.output.Text
	if o.Rendered != nil {
		if err := o.Rendered(p.Text); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// refuseIncludes refuses what would put files of other repositories into the
// project: without them it would be another project.
func refuseIncludes(files fs.FS) error {
	const name = "werf-includes.yaml"
	if _, err := fs.Stat(files, name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("looking for %s: %w", name, err)
	}
	return &diag.Diagnostic{File: name, Message: "includes are not supported yet", Advice: "commit the files that it names to this repository, and remove it"}
}

// compare starts the comparison, unless there is nothing to open, which opening
// tells.
func (p *Project) compare(ctx context.Context, from source.Options) {
	place, err := source.Locate(from)
	if err != nil {
		return
	}
	ctx, p.stop = context.WithCancel(ctx)
	done := make(chan struct{})
	var c *giterminism.Comparison
	go func() {
		defer p.stop()
		defer close(done)
		c, err = giterminism.Compare(ctx, giterminism.Worktree(place))
	}()
	p.comparison = func() (*giterminism.Comparison, error) {
		<-done
		return c, err
	}
}

// Close ends the git processes that serve the project.
func (p *Project) Close() error {
	if p.comparison != nil {
		p.stop()
		p.comparison() //nolint:errcheck // nobody wanted it
	}
	if p.source == nil {
		return nil
	}
	return p.source.Close()
}

// getenv is what a template may know of the environment.
func (p *Project) getenv(name string) (string, bool, error) {
	if !p.rules.Allows(giterminism.TemplateEnv, name) {
		return "", false, render.ErrForbidden
	}
	value, set := os.LookupEnv(name)
	return value, set || p.rules.Loose, nil
}

// checkRules refuses what sections take from outside the commit and giterminism
// does not allow, all of it at once.
func (p *Project) checkRules(sections []werfyaml.Image) error {
	var wrong diag.List
	for _, s := range sections {
		for _, name := range s.ContextAddFiles {
			if full := path.Join(s.Context, name); !p.rules.Allows(giterminism.ContextAddFiles, full) {
				wrong.Add(p.rules.Deny(s.At("contextAddFiles."+name), giterminism.ContextAddFiles, full))
			}
		}
		for i, secret := range s.Secrets {
			rule, value := giterminism.SecretEnv, secret.Env
			switch {
			case secret.Src != "":
				rule, value = giterminism.SecretFile, secret.Src
			case secret.Env == "":
				rule, value = giterminism.SecretValue, secret.ID
			}
			if !p.rules.Allows(rule, value) {
				wrong.Add(p.rules.Deny(s.At(fmt.Sprintf("secrets[%d]", i)), rule, value))
			}
		}
	}
	return wrong.Err()
}

// readRules reads werf-giterminism.yaml from the commit; without it nothing is
// allowed.
func readRules(files fs.FS, name string) (*giterminism.Config, error) {
	given := name != ""
	if !given {
		name = giterminism.FileName
	}
	text, err := fs.ReadFile(files, name)
	if errors.Is(err, fs.ErrNotExist) && !given {
		return &giterminism.Config{}, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &diag.Diagnostic{Message: fmt.Sprintf("--giterminism-config: no file %s in the commit", name), Advice: "it always comes from the commit: commit it"}
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return giterminism.ParseConfig(name, text)
}

// placed moves the diagnostics in err from the rendered text, where they were
// found, to werf.yaml where the same line stands there; the others say where the
// text can be seen.
func (p *Project) placed(err error) error {
	if !p.output.Rendered {
		return err
	}
	eachDiagnostic(err, func(d *diag.Diagnostic) {
		if d.Line == 0 || d.File != p.name {
			return
		}
		line, exact := p.output.Line(d.Line)
		if exact {
			d.Line = line
			return
		}
		d.File += " (rendered)"
		if d.Advice != "" {
			d.Advice += "\n"
		}
		d.Advice += fmt.Sprintf("line %d of %s made this line; slipway config render shows the whole text", line, p.name)
	})
	return err
}

// eachDiagnostic calls fn for every diagnostic in a tree of errors, once.
func eachDiagnostic(err error, fn func(*diag.Diagnostic)) {
	if d, ok := err.(*diag.Diagnostic); ok {
		fn(d)
		return
	}
	switch e := err.(type) {
	case interface{ Unwrap() error }:
		eachDiagnostic(e.Unwrap(), fn)
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			eachDiagnostic(inner, fn)
		}
	}
}
