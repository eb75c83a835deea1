// Package giterminism holds a project to its commit: what werf-giterminism.yaml
// lets come from elsewhere, which files that a run reads differ between the
// commit and the work tree, and, for --dev, the work tree as a tree object.
//
// Git itself decides what differs, so that filters, line ends, modes and
// .gitignore mean what they mean to the user. The user's index, refs, stash and
// hooks are never written or run, and no object enters the user's repository.
//
// It must never know werf.yaml, Dockerfiles or keys: which files a run reads,
// and in which role, its callers say. Nor does it open the commit's files; that
// is planner/source.
package giterminism

import (
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// FileName is where the configuration is, relative to the project, unless
// --giterminism-config says otherwise.
const FileName = "werf-giterminism.yaml"

// Rule is a permission that the configuration can give, named by its key there.
type Rule string

const (
	CustomTags          Rule = "cli.allowCustomTags"
	UncommittedConfig   Rule = "config.allowUncommitted"                          // werf.yaml
	UncommittedTemplate Rule = "config.allowUncommittedTemplates"                 // .werf/**/*.tmpl
	TemplateEnv         Rule = "config.goTemplateRendering.allowEnvVariables"     // env
	TemplateFiles       Rule = "config.goTemplateRendering.allowUncommittedFiles" // .Files
	SecretEnv           Rule = "config.secrets.allowEnvVariables"
	SecretFile          Rule = "config.secrets.allowFiles"
	SecretValue         Rule = "config.secrets.allowValueIds"
	FromLatest          Rule = "config.stapel.allowFromLatest"
	GitBranch           Rule = "config.stapel.git.allowBranch"
	MountBuildDir       Rule = "config.stapel.mount.allowBuildDir"
	MountFromPath       Rule = "config.stapel.mount.allowFromPaths"
	Dockerfile          Rule = "config.dockerfile.allowUncommitted"
	Dockerignore        Rule = "config.dockerfile.allowUncommittedDockerignoreFiles"
	ContextAddFiles     Rule = "config.dockerfile.allowContextAddFiles"
	ChartFiles          Rule = "helm.allowUncommittedFiles"
	IncludesUpdate      Rule = "includes.allowIncludesUpdate"
)

// valueKind is what a rule's value is in the file.
type valueKind int

const (
	flagKind valueKind = iota // true or false
	names                     // exact names
	patterns                  // names, or regular expressions between slashes
	globs                     // paths of the project
	anywhere                  // paths of the project or absolute ones
	files                     // paths that may begin with ~
)

// rule describes one Rule. The message's %s is the quoted values.
type rule struct {
	key     Rule
	kind    valueKind
	message string // of the thing that is not allowed
	reason  string // why it is not
}

const (
	asLocal = "its content is not in the commit, so that two runs of one commit could differ"
	asEnv   = "its value is not in the commit, so that two runs of one commit could differ"
)

// rules is the whole format, in the order of its documentation.
var rules = []rule{
	{CustomTags, flagKind, "custom tags are", "an alias tag moves, and says nothing of the commit that it was made from"},
	{UncommittedConfig, flagKind, "the uncommitted configuration file %s is", asLocal},
	{UncommittedTemplate, globs, "the uncommitted template %s is", asLocal},
	{TemplateEnv, patterns, "env %s is", asEnv},
	{TemplateFiles, globs, "the uncommitted file %s, which a template reads, is", asLocal},
	{SecretEnv, names, "the secret from env %s is", asEnv},
	{SecretFile, files, "the secret from the file %s is", asLocal},
	{SecretValue, names, "the secret %s with a value in werf.yaml is", "a secret in a commit is none"},
	{FromLatest, flagKind, "fromLatest is", "the base image would be another from day to day"},
	{GitBranch, flagKind, "a branch of a remote git repository is", "a branch moves: use a tag or a commit"},
	{MountBuildDir, flagKind, "a mount of build_dir is", "what earlier builds left there is not in the commit"},
	{MountFromPath, anywhere, "the mount of %s is", asLocal},
	{Dockerfile, globs, "the uncommitted Dockerfile %s is", asLocal},
	{Dockerignore, globs, "the uncommitted ignore file %s is", asLocal},
	{ContextAddFiles, globs, "contextAddFiles %s is", asLocal},
	{ChartFiles, globs, "the uncommitted chart file %s is", asLocal},
	{IncludesUpdate, flagKind, "an update of the includes is", "the includes would be others from day to day"},
}

func find(key Rule) (rule, bool) {
	i := slices.IndexFunc(rules, func(r rule) bool { return r.key == key })
	if i < 0 {
		return rule{}, false
	}
	return rules[i], true
}

// Config is a valid werf-giterminism.yaml. The zero Config, and a nil one, are
// what holds when there is no such file: nothing is allowed.
type Config struct {
	Loose bool // --loose-giterminism: everything is allowed
	// Home and Dir are the absolute paths of what ~ and relative paths of secret
	// files start from: the user's home and the project's directory.
	Home, Dir string

	file  string // "" when there is none
	flags map[Rule]bool
	lists map[Rule]list
}

// list is the value of a rule that is not a flag.
type list struct {
	line  int      // where it begins
	texts []string // as written
	match []func(c *Config, value string) bool
}

// Allows tells whether the rule lets the value be used: a name, or a path with
// slashes that is relative to the project (to nothing for SecretFile and
// MountFromPath, which are as written in werf.yaml). Flags look at no value.
func (c *Config) Allows(r Rule, value string) bool {
	if c == nil {
		return false
	}
	return c.Loose || c.flags[r] || slices.ContainsFunc(c.lists[r].match,
		func(match func(*Config, string) bool) bool { return match(c, value) })
}

// AllowsAny tells whether there is anything that the rule allows.
func (c *Config) AllowsAny(r Rule) bool {
	return c != nil && (c.Loose || c.flags[r] || len(c.lists[r].match) > 0)
}

// Expand is the file that the src of a secret means: ~ is Home, and relative
// paths start at Dir.
func (c *Config) Expand(src string) string {
	home, dir := "", ""
	if c != nil {
		home, dir = c.Home, c.Dir
	}
	if rest, ok := cutHome(src); ok && home != "" {
		return filepath.Join(home, rest)
	}
	if filepath.IsAbs(src) {
		return filepath.Clean(src)
	}
	return filepath.Join(dir, src)
}

// cutHome is what follows a "~" that stands for the user's home.
func cutHome(p string) (string, bool) {
	rest, ok := strings.CutPrefix(p, "~")
	if !ok || rest != "" && rest[0] != '/' {
		return "", false
	}
	return strings.TrimPrefix(rest, "/"), true
}

// cleanPath is a path of the project as globs see it.
func cleanPath(p string) string { return strings.TrimPrefix(path.Clean(filepath.ToSlash(p)), "/") }
