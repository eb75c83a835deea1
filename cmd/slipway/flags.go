package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"slipway/cmd/internal/pipeline"
	"slipway/oci"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// flags are the flags of one command. Each can also be given as an environment
// variable, WERF_ and the flag's name; a list as every variable that begins with
// that name and an underscore, in the order of their names.
type flags struct {
	*pflag.FlagSet
	env map[string]string // flag -> variable
}

func newFlags(cmd *cobra.Command) *flags {
	f := &flags{FlagSet: cmd.Flags(), env: map[string]string{}}
	f.SortFlags = true
	cmd.PreRunE = func(*cobra.Command, []string) error { return f.fromEnvironment(os.Environ()) }
	return f
}

// reads says that a flag is read from a variable, and adds that to its help.
func (f *flags) reads(name, variable string) {
	flag := f.Lookup(name)
	f.env[name] = variable
	if isList(flag) {
		variable += "_*"
	}
	flag.Usage += " ($" + variable + ")"
}

func (f *flags) str(p *string, name, usage string) {
	f.StringVar(p, name, *p, usage)
	f.reads(name, variableOf(name))
}

func (f *flags) boolean(p *bool, name, short, usage string) {
	f.BoolVarP(p, name, short, *p, usage)
	f.reads(name, variableOf(name))
}

func (f *flags) list(p *[]string, name, variable, usage string) {
	f.StringArrayVar(p, name, nil, usage)
	f.reads(name, variable)
}

func variableOf(flag string) string {
	return "WERF_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func isList(flag *pflag.Flag) bool { return flag.Value.Type() == "stringArray" }

// fromEnvironment sets the flags that the command line did not, and adds to its
// lists.
func (f *flags) fromEnvironment(environ []string) error {
	slices.Sort(environ)
	var errs []error
	f.VisitAll(func(flag *pflag.Flag) {
		variable, ok := f.env[flag.Name]
		if !ok || flag.Changed && !isList(flag) {
			return
		}
		for _, entry := range environ {
			name, value, _ := strings.Cut(entry, "=")
			matches := name == variable
			if isList(flag) {
				matches = strings.HasPrefix(name, variable+"_")
			}
			if !matches || value == "" {
				continue
			}
			if err := f.Set(flag.Name, value); err != nil {
				errs = append(errs, &usageError{fmt.Errorf("$%s: %w", name, err)})
			}
		}
	})
	return errors.Join(errs...)
}

// flagError explains a flag that cannot be parsed.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && slices.Contains(laterFlags, unknown.GetSpecifiedName()) {
		return &usageError{fmt.Errorf("--%s is not supported yet", unknown.GetSpecifiedName())}
	}
	return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
}

// laterFlags are flags of the reference that people have in their scripts and
// that are still to come: not taken, and not called unknown either.
var laterFlags = []string{
	"add-annotation", "add-custom-tag", "allow-includes-update", "backend-network", "build-report-path",
	"cache-repo", "config-render-path", "dev-branch",
	"disable-default-values", "final-repo", "follow",
	"helm-compatible-chart", "introspect-error", "rename-chart", "save-build-report",
	"secondary-repo", "secret-key", "secret-values", "set", "set-file", "set-json", "set-string", "ssh-key",
	"synchronization", "use-build-report", "use-custom-tag", "values", "virtual-merge", "without-images",
}

// runFlags are the flags that every verb that plans a project takes, and how its
// progress is shown.
type runFlags struct {
	pipeline.Options
	parallel  bool
	progress  string
	platforms string
	debug     bool
}

// source adds the flags that say what the project is.
func (r *runFlags) source(f *flags) {
	f.str(&r.Project.Dir, "dir", "The project's directory (default: the current one)")
	f.str(&r.Project.GitWorkTree, "git-work-tree", "The git work tree that holds the project (default: found from --dir)")
	f.str(&r.Project.Config, "config", "The configuration file, relative to the project (default: werf.yaml or werf.yml)")
	f.str(&r.Project.TemplatesDir, "config-templates-dir", "The directory of templates, relative to the project (default: .werf)")
	f.str(&r.Project.GiterminismConfig, "giterminism-config", "What may come from outside the commit, relative to the project (default: werf-giterminism.yaml)")
	f.boolean(&r.Project.Loose, "loose-giterminism", "", "Let everything come from outside the commit: the environment, secrets, and configuration files of the work tree")
	f.boolean(&r.Project.Dev, "dev", "", "Use the work tree as it is: changes and new files, less what .gitignore and --dev-ignore leave out")
	f.list(&r.Project.DevIgnore, "dev-ignore", "WERF_DEV_IGNORE", "With --dev, leave files of this pattern as they are in the commit; repeatable")
	f.str(&r.Project.Env, "env", "The environment's name, .Env in templates and .Values.werf.env in the chart")
	f.boolean(&r.debug, "debug-templates", "", "Print what the debug functions of templates are given, on standard error")
}

// project adds the flags that say what is planned.
func (r *runFlags) project(f *flags) {
	r.source(f)
	r.platform(f)
	f.str(&r.Repo, "repo", "Keep images in this repository: HOST/NAME, or oci:DIR for an OCI layout (default: a layout of the project's own in the state directory)")
	f.registry(r)
}

func (r *runFlags) platform(f *flags) {
	f.str(&r.platforms, "platform", "Build for these platforms, OS/ARCH[/VARIANT] separated by commas (default: what werf.yaml says, else linux on this machine's architecture)")
}

func (f *flags) registry(r *runFlags) {
	f.login(&r.Registry)
	f.list(&r.Registry.Mirrors, "container-registry-mirror", "WERF_CONTAINER_REGISTRY_MIRROR", "Ask this mirror before docker.io; repeatable")
}

// login adds the flags that say how registries are spoken to.
func (f *flags) login(o *oci.Options) {
	f.str(&o.DockerConfig, "docker-config", "Directory of the docker config.json with the credentials (default: $DOCKER_CONFIG or ~/.docker)")
	f.boolean(&o.Insecure, "insecure-registry", "", "Use plain HTTP for registries (loopback ones always use it)")
	f.boolean(&o.SkipTLSVerify, "skip-tls-verify-registry", "", "Do not verify the certificates of registries")
}

// running adds the flags that say how the plan is executed.
func (r *runFlags) running(f *flags) {
	r.Parallel, r.parallel = pipeline.DefaultParallel, true
	f.IntVar(&r.Parallel, "parallel-tasks-limit", r.Parallel, "Builds at once; 0 or less means no limit")
	f.reads("parallel-tasks-limit", "WERF_PARALLEL_TASKS_LIMIT")
	f.boolean(&r.parallel, "parallel", "p", "Build images in parallel")
	f.boolean(&r.RequireBuilt, "require-built-images", "Z", "Fail where an image would have to be built")
	f.progressFlag(r)
}

func (f *flags) progressFlag(r *runFlags) {
	f.StringVar(&r.progress, "progress", "auto", "How progress is shown: auto, plain or tty")
}

// options checks what flags alone cannot say.
func (r *runFlags) options(images []string) (pipeline.Options, error) {
	r.Project.Images = images
	if r.debug {
		r.Project.TemplateDebug = os.Stderr
	}
	switch {
	case !r.parallel:
		r.Parallel = 1
	case r.Parallel <= 0:
		r.Parallel = unlimited
	}
	for name := range strings.SplitSeq(r.platforms, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(r.Project.Platforms, name) {
			r.Project.Platforms = append(r.Project.Platforms, name)
		}
	}
	return r.Options, nil
}

// unlimited is more builds than any project has images.
const unlimited = 1 << 20
