package planner

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"slipway/planner/diag"
	"slipway/planner/werfyaml"

	"github.com/containerd/platforms"
	"golang.org/x/tools/txtar"
)

var update = flag.Bool("update", false, "write what the projects of testdata/corpus give into them")

// The corpus is one txtar file per project: what it is, its files, and runs. A
// run is a section named like a command, such as
//
//	-- $ TAG=1.2 plan --env production app --
//
// with variables before it, and what it prints or fails with below. A file's name
// may be followed by how it differs from what can be seen here: " | crlf",
// " | bom", " | no newline", " | not committed", " | link" and " | submodule" (their
// content being where it leads). The commands are plan, config list, config graph and config
// render; "wc -l" and "sha256sum" may follow a | in a run.
//
// Expectations are written by hand, keys apart, and only then renewed with -update:
// what a run gives is not for that reason right.
func TestCorpus(t *testing.T) {
	names, err := filepath.Glob("testdata/corpus/*.txtar")
	check(t, err)
	if len(names) < 45 {
		t.Fatalf("the corpus has %d projects only", len(names))
	}
	onlyEnv(t, "PATH", "HOME", "TMPDIR")
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			project, err := txtar.ParseFile(name)
			check(t, err)
			dir := commitProject(t, project)
			changed, runs := false, 0
			for i := range project.Files {
				section := &project.Files[i]
				command, isRun := strings.CutPrefix(section.Name, "$ ")
				if !isRun {
					continue
				}
				runs++
				t.Run(command, func(t *testing.T) {
					got, want := runCommand(t, dir, command), string(section.Data)
					if got == want {
						return
					}
					if *update {
						section.Data, changed = []byte(got), true
						return
					}
					t.Errorf("If this is as it should be, run go test ./planner -run TestCorpus -update and say why in the commit.\ngot\n%s\nwant\n%s", got, want)
				})
			}
			if runs == 0 {
				t.Error("nothing is run in it")
			}
			if changed {
				check(t, os.WriteFile(name, txtar.Format(project), 0o644))
			}
		})
	}
}

// onlyEnv leaves of the environment git's variables and those with the names: what
// templates read must not be there by chance, as CI_COMMIT_TAG may be.
func onlyEnv(t *testing.T, names ...string) {
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); !strings.HasPrefix(name, "GIT_") && !slices.Contains(names, name) {
			t.Setenv(name, value) // restores it at the end
			check(t, os.Unsetenv(name))
		}
	}
	for _, name := range []string{"GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"} {
		t.Setenv(name, "2026-01-02T03:04:05Z") // for .Commit
	}
}

// commitProject makes a repository of the files.
func commitProject(t *testing.T, project *txtar.Archive) string {
	t.Helper()
	dir, committed, uncommitted := t.TempDir(), files{}, files{}
	var submodules []string
	links := files{}
	for _, f := range project.Files {
		if strings.HasPrefix(f.Name, "$ ") {
			continue
		}
		name, how, _ := strings.Cut(f.Name, " | ")
		into, text := committed, string(f.Data)
		switch how {
		case "":
		case "crlf":
			text = strings.ReplaceAll(text, "\n", "\r\n")
		case "bom":
			text = "\uFEFF" + text
		case "no newline":
			text = strings.TrimSuffix(text, "\n")
		case "not committed":
			into = uncommitted
		case "link":
			into, text = links, strings.TrimSpace(text)
		case "submodule":
			submodules = append(submodules, "160000,"+strings.TrimSpace(text)+","+name)
			continue
		default:
			t.Fatalf("%s: a file cannot be %q", name, how)
		}
		into[name] = text
	}
	committed.write(t, dir)
	for name, target := range links {
		check(t, os.Symlink(target, filepath.Join(dir, name)))
	}
	git(t, dir, "init", "-q", "--template=", "--object-format=sha1")
	git(t, dir, "add", "-A", "-f")
	for _, s := range submodules {
		git(t, dir, "update-index", "--add", "--cacheinfo", s)
	}
	git(t, dir, "commit", "-q", "-m", "x")
	uncommitted.write(t, dir)
	return dir
}

// runCommand gives what a command prints, or the mistake that it tells of.
func runCommand(t *testing.T, dir, command string) string {
	t.Helper()
	command, filter, _ := strings.Cut(command, " | ")
	words := strings.Fields(command)
	for len(words) > 0 && strings.Contains(words[0], "=") {
		name, value, _ := strings.Cut(words[0], "=")
		t.Setenv(name, value)
		words = words[1:]
	}
	verb := words[0]
	if words = words[1:]; verb == "config" && len(words) > 0 {
		verb, words = verb+" "+words[0], words[1:]
	}
	var o Options
	flags := flag.NewFlagSet(verb, flag.ContinueOnError)
	flags.StringVar(&o.Dir, "dir", "", "")
	flags.StringVar(&o.Config, "config", "", "")
	flags.StringVar(&o.Env, "env", "", "")
	flags.BoolVar(&o.FinalOnly, "final-images-only", false, "")
	flags.BoolVar(&o.Loose, "loose-giterminism", false, "")
	flags.BoolVar(&o.Dev, "dev", false, "")
	platform := flags.String("platform", "", "")
	check(t, flags.Parse(words))
	o.Dir, o.DevState = filepath.Join(dir, o.Dir), t.TempDir()
	if o.Images = flags.Args(); verb == "config render" && len(o.Images) > 0 {
		t.Fatal("config render takes no images here")
	}
	if *platform != "" {
		o.Platforms = strings.Split(*platform, ",")
	}
	verbs := map[string]func(*testing.T, io.Writer, Options) error{
		"plan": printPlan, "config list": printList, "config graph": printGraph, "config render": printText,
	}
	if verbs[verb] == nil {
		t.Fatalf("there is no command %q", verb)
	}
	var out bytes.Buffer
	if err := verbs[verb](t, &out, o); err != nil {
		if !diag.Is(err) {
			t.Errorf("not told as the user's mistake: %v", err)
		}
		out.Reset()
		fmt.Fprintln(&out, err)
	}
	switch filter {
	case "":
		return out.String()
	case "wc -l":
		return fmt.Sprintln(bytes.Count(out.Bytes(), []byte("\n")))
	case "sha256sum":
		return fmt.Sprintf("%x\n", sha256.Sum256(out.Bytes()))
	}
	t.Fatalf("there is no filter %q", filter)
	return ""
}

// printPlan plans twice: one image after the other, with what each reads, and all
// at once.
func printPlan(t *testing.T, out io.Writer, o Options) error {
	if o.Platforms == nil && !platformsGiven(t, o) {
		o.Platforms = []string{"linux/amd64"}
	}
	again, errAgain := Load(t.Context(), o)
	var trace bytes.Buffer
	o.KeyTrace = &trace
	plan, err := Load(t.Context(), o)
	if err != nil {
		if errAgain == nil || errAgain.Error() != err.Error() {
			t.Errorf("planning again fails with\n%v\nnot with\n%v", errAgain, err)
		}
		return err
	}
	defer plan.Close()
	check(t, errAgain)
	defer again.Close()
	if one, two := outline(plan), outline(again); one != two {
		t.Errorf("planning again gives\n%s\nnot\n%s", two, one)
	}
	writePlan(out, plan, readsByKey(trace.String()), 12)
	return nil
}

// platformsGiven tells whether images say what they are built for. Without, it
// would depend on the machine.
func platformsGiven(t *testing.T, o Options) bool {
	p, err := OpenProject(t.Context(), o)
	if err != nil {
		return false // the plan will tell
	}
	defer p.Close()
	says := func(i werfyaml.Image) bool { return len(i.Platforms) > 0 }
	given := slices.ContainsFunc(p.Config.Images, says)
	if given && slices.ContainsFunc(p.Config.Images, func(i werfyaml.Image) bool { return !says(i) }) {
		t.Error("give a platform to all images or to none, or run it with --platform")
	}
	return given
}

// readsByKey is the files that each key of a trace covers.
func readsByKey(trace string) map[string][]string {
	found := map[string][]string{}
	var reads []string
	for line := range strings.Lines(trace) {
		if key, ends := strings.CutPrefix(line, "= "); ends {
			found[strings.TrimSpace(key)], reads = reads, nil
			continue
		}
		quoted, err := strconv.QuotedPrefix(line)
		if err != nil || strings.HasSuffix(line, " directory\n") {
			continue
		}
		if name, err := strconv.Unquote(quoted); err == nil {
			reads = append(reads, name)
		}
	}
	return found
}

func outline(p *Plan) string {
	var out strings.Builder
	writePlan(&out, p, nil, 64)
	return out.String()
}

// writePlan prints a plan with the given number of digits of each key.
func writePlan(out io.Writer, p *Plan, reads map[string][]string, digits int) {
	fmt.Fprintf(out, "project %s, chart %s", p.Project, p.Chart.Dir)
	if p.Chart.AppVersion != "" {
		fmt.Fprintf(out, ", app version %s", p.Chart.AppVersion)
	}
	fmt.Fprintln(out)
	list := func(what string, items []string) {
		if len(items) > 0 {
			fmt.Fprintf(out, "  %s %s\n", what, strings.Join(items, ", "))
		}
	}
	for _, image := range p.Images {
		name := shown(image.Name)
		if !image.Final {
			name += " (not final)"
		}
		if len(image.Builds) > 1 {
			fmt.Fprintf(out, "%s index %s\n", name, image.Key.String()[:digits])
		}
		for _, b := range image.Builds {
			key := b.Key.String()
			fmt.Fprintf(out, "%s %s %s\n", name, platforms.FormatAll(b.Platform), key[:digits])
			var needs []string
			for i, need := range b.Needs {
				needs = append(needs, shown(image.Needs[i].Name)+" "+need.Key.String()[:digits])
			}
			list("needs", needs)
			list("from", b.Recipe.Bases)
			list("reads", reads[key])
		}
		list("hosts", image.How.AddHost)
		list("network", slices.DeleteFunc([]string{image.How.Network}, isEmpty))
		list("ssh", slices.DeleteFunc([]string{image.How.SSH}, isEmpty))
		var secrets []string
		for _, s := range image.How.Secrets {
			secrets = append(secrets, s.ID)
		}
		list("secrets", secrets)
	}
}

func isEmpty(s string) bool { return s == "" }

func shown(name string) string {
	if name == "" {
		return "~"
	}
	return name
}

func printText(t *testing.T, out io.Writer, o Options) error {
	p, err := RenderProject(t.Context(), o)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = out.Write(p.Text)
	return err
}

func printList(t *testing.T, out io.Writer, o Options) error {
	return eachImage(t, o, func(name string, _ []werfyaml.Dependency) { fmt.Fprintln(out, name) })
}

func printGraph(t *testing.T, out io.Writer, o Options) error {
	return eachImage(t, o, func(name string, dependencies []werfyaml.Dependency) {
		var needs []string
		for _, d := range dependencies {
			needs = append(needs, shown(d.Image))
		}
		fmt.Fprintln(out, strings.TrimSpace(name+": "+strings.Join(needs, ", ")))
	})
}

// eachImage calls fn for each chosen image in the file's order, those included that
// cannot be built.
func eachImage(t *testing.T, o Options, fn func(name string, dependencies []werfyaml.Dependency)) error {
	p, err := OpenProject(t.Context(), o)
	if err != nil {
		return err
	}
	defer p.Close()
	if err := p.CheckUncommitted(t.Context(), o); err != nil {
		return err
	}
	images, others, err := p.Config.Match(o.Images, werfyaml.SelectOptions{FinalOnly: o.FinalOnly})
	for _, i := range images {
		for len(others) > 0 && others[0].Pos.Line < i.At("").Line {
			fn(shown(others[0].Name)+" (not supported)", nil)
			others = others[1:]
		}
		fn(shown(i.Name), i.Dependencies)
	}
	for _, u := range others {
		fn(shown(u.Name)+" (not supported)", nil)
	}
	return err
}
