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
				matches = strings.HasPrefix(name, variable+"_") && !f.ofAnother(name, variable)
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

// ofAnother tells whether a variable that begins with that of a list belongs to a
// flag with a longer name: $WERF_SET_STRING_1 is no $WERF_SET_*.
func (f *flags) ofAnother(name, variable string) bool {
	for _, other := range f.env {
		if len(other) > len(variable) && (name == other || strings.HasPrefix(name, other+"_")) {
			return true
		}
	}
	return slices.ContainsFunc(longerVariables, func(other string) bool { return strings.HasPrefix(name, other) && len(other) > len(variable) })
}

// longerVariables are variables of the reference that begin as a list's do and
// belong to flags of other commands.
var longerVariables = []string{"WERF_ALLOW_INCLUDES_UPDATE", "WERF_SET_DOCKER_CONFIG_JSON_VALUE", "WERF_SET_ROOT_JSON_", "WERF_SET_RUNTIME_JSON_"}

// flagError explains a flag that cannot be parsed.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		if reason, ok := later(unknown.GetSpecifiedName()); ok {
			err := fmt.Errorf("--%s is not supported yet", unknown.GetSpecifiedName())
			if reason != "" {
				err = fmt.Errorf("%w: %s", err, reason)
			}
			return &usageError{err}
		}
	}
	return &usageError{fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())}
}

// runFlags are the flags that every verb that plans a project takes, and how its
// progress is shown.
type runFlags struct {
	pipeline.Options
	log        logFlags
	parallel   bool
	platforms  string
	debug      bool
	renderPath string
	cacheLimit string
}

// source adds the flags that say what the project is.
func (r *runFlags) source(f *flags) {
	f.str(&r.Project.Dir, "dir", "The project's directory (default: the current one)")
	f.str(&r.Project.GitWorkTree, "git-work-tree", "The git work tree that holds the project (default: found from --dir)")
	f.str(&r.Project.ProjectName, "project-name", "The project's name, whatever werf.yaml says")
	f.str(&r.Project.Config, "config", "The configuration file, relative to the project (default: werf.yaml or werf.yml)")
	f.str(&r.Project.TemplatesDir, "config-templates-dir", "The directory of templates, relative to the project (default: .werf)")
	f.str(&r.Project.GiterminismConfig, "giterminism-config", "What may come from outside the commit, relative to the project (default: werf-giterminism.yaml)")
	f.boolean(&r.Project.Loose, "loose-giterminism", "", "Let everything come from outside the commit: the environment, secrets, and configuration files of the work tree")
	f.boolean(&r.Project.Dev, "dev", "", "Use the work tree as it is: changes and new files, less what .gitignore and --dev-ignore leave out")
	f.noEffect(noBranch, "dev-branch")
	f.list(&r.Project.DevIgnore, "dev-ignore", "WERF_DEV_IGNORE", "With --dev, leave files of this pattern as they are in the commit; repeatable")
	f.str(&r.Project.Env, "env", "The environment's name, .Env in templates and .Values.werf.env in the chart")
	f.str(&r.renderPath, "config-render-path", "Write werf.yaml with its templates executed to this file, too")
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
	o.TokenDir = pipeline.TokenDir()
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
	f.str(&r.FinalRepo, "final-repo", "Use final images from this repository: they are copied there from --repo (default: --repo)")
	f.list(&r.SecondaryRepos, "secondary-repo", "WERF_SECONDARY_REPO", "Copy images that this repository has to --repo instead of building them; it is only read; repeatable")
	r.cache(f)
	f.list(&r.Builders, "builder", "WERF_BUILDER", "Build on this BuildKit instead of on this machine: unix://PATH, tcp://HOST:PORT, docker-container://NAME or kube-pod://POD; of several, an image goes to the one that has its layers; repeatable (default: $BUILDKIT_HOST)")
	f.boolean(&r.RequireBuilt, "require-built-images", "Z", "Fail where an image would have to be built")
	f.localCacheLimit(&r.cacheLimit)
	r.howRun(f)
	r.log.add(f)
}

// saves adds the flags of verbs that can write a build report.
func (r *runFlags) saves(f *flags) {
	f.boolean(&r.BuildReport.Save, "save-build-report", "", "Write which images the run came to to --build-report-path, when it has succeeded")
	f.str(&r.BuildReport.Path, "build-report-path", "The build report, JSON or variables for a shell by its extension, .json or .env (default: "+pipeline.DefaultBuildReport+")")
}

// trusts adds the flag of verbs that can take their images from a plan record.
func (r *runFlags) trusts(f *flags) {
	f.boolean(&r.TrustPlan, "trust-plan", "", "Ask for no image where --repo has a record of this plan, which a run with this flag that has succeeded writes; for repositories whose tags nobody deletes")
}

// uses adds the flag of verbs that can take their images from a build report.
func (r *runFlags) uses(f *flags) {
	f.boolean(&r.BuildReport.Use, "use-build-report", "", "Build nothing: take the images that --build-report-path has, which must exist and be those of this commit")
}

func (f *flags) finalOnly(r *runFlags, value bool) {
	r.Project.FinalOnly = value
	f.boolean(&r.Project.FinalOnly, "final-images-only", "", "Leave out images with final: false")
}

func (f *flags) customTags(tags *[]string) {
	f.list(tags, "add-custom-tag", "WERF_ADD_CUSTOM_TAG", "Also give each image this tag; it may hold %image%, %image_slug%, %image_safe_slug% and %image_content_based_tag%; repeatable")
}

// options checks what flags alone cannot say.
func (r *runFlags) options(images []string) (pipeline.Options, error) {
	if err := r.log.check(); err != nil {
		return r.Options, err
	}
	if w := r.log.explain(); w != nil {
		r.Project.KeyTrace = w
	}
	var err error
	if r.LocalCacheLimit, err = sizeFlag("local-cache-limit", r.cacheLimit); err != nil {
		return r.Options, err
	}
	r.render()
	r.Project.Images, r.Renderer, r.BuildKit = images, renderer, buildkit
	if r.debug {
		r.Project.TemplateDebug = os.Stderr
	}
	switch {
	case !r.parallel:
		r.Parallel = 1
	case r.Parallel <= 0:
		r.Parallel = unlimited
	}
	if host := os.Getenv("BUILDKIT_HOST"); host != "" && len(r.Builders) == 0 {
		r.Builders = []string{host}
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
