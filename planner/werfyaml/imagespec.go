package werfyaml

import (
	"fmt"
	"maps"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"
)

// ImageSpec is what is changed in an image's config after the build: first what
// is cleared and removed, then what is set and added.
type ImageSpec struct {
	Author       string
	ClearHistory bool

	Cmd         []string // nil when not given
	Entrypoint  []string // nil when not given
	Env         map[string]string
	Expose      []string     // PORT/PROTOCOL
	Healthcheck *Healthcheck // nil when not given
	Labels      map[string]string
	StopSignal  string
	User        string
	Volumes     []string
	WorkingDir  string

	RemoveEnv     []Pattern
	RemoveLabels  []Pattern
	RemoveVolumes []string

	ClearCmd, ClearEntrypoint, ClearUser, ClearWorkingDir bool
	// The last two are about labels that the reference tool makes.
	ClearWerfLabels, KeepEssentialWerfLabels bool
}

// Healthcheck is as the image config has it: a time of 0 is the engine's own.
type Healthcheck struct {
	Test                           []string // begins with CMD or CMD-SHELL, or is NONE
	Interval, Timeout, StartPeriod time.Duration
	Retries                        int
}

const ownSpecOnly = "only an image's own imageSpec can have it; labels can be given for all images"

// globalSpec reads build.imageSpec, where most keys have no place.
func (s *section) globalSpec(spec *ImageSpec) func(field) {
	keys := s.specConfigKeys(spec)
	for i, k := range keys {
		switch k.name {
		case "labels", "removeLabels", "keepEssentialWerfLabels", "clearWerfLabels":
		default:
			keys[i].read, keys[i].why = nil, ownSpecOnly
		}
	}
	return s.spec(spec, keys)
}

func (s *section) ownSpec(spec *ImageSpec) func(field) { return s.spec(spec, s.specConfigKeys(spec)) }

func (s *section) spec(spec *ImageSpec, config []key) func(field) {
	return s.object(
		key{name: "author", read: s.textTo(&spec.Author)},
		key{name: "clearHistory", read: s.boolTo(&spec.ClearHistory)},
		key{name: "config", read: s.object(config...)},
	)
}

func (s *section) specConfigKeys(spec *ImageSpec) []key {
	return []key{
		{name: "cmd", read: s.textsTo(&spec.Cmd, nil)},
		{name: "entrypoint", read: s.textsTo(&spec.Entrypoint, nil)},
		{name: "env", read: s.mapTo(&spec.Env, entry{"variable", variableName, written})},
		{name: "expose", read: s.expose(&spec.Expose)},
		{name: "healthcheck", read: func(f field) { spec.Healthcheck = s.healthcheck(f) }},
		{name: "labels", read: s.labels(&spec.Labels)},
		{name: "stopSignal", read: s.stopSignal(&spec.StopSignal)},
		{name: "user", read: s.textTo(&spec.User)},
		{name: "volumes", read: s.textsTo(&spec.Volumes, absolute)},
		{name: "workingDir", read: s.workingDir(&spec.WorkingDir)},
		{name: "removeEnv", read: s.patterns(&spec.RemoveEnv)},
		{name: "removeLabels", read: s.patterns(&spec.RemoveLabels)},
		{name: "removeVolumes", read: s.textsTo(&spec.RemoveVolumes, notEmpty)},
		{name: "clearCmd", read: s.boolTo(&spec.ClearCmd)},
		{name: "clearEntrypoint", read: s.boolTo(&spec.ClearEntrypoint)},
		{name: "clearUser", read: s.boolTo(&spec.ClearUser)},
		{name: "clearWorkingDir", read: s.boolTo(&spec.ClearWorkingDir)},
		{name: "clearWerfLabels", read: s.boolTo(&spec.ClearWerfLabels)},
		{name: "keepEssentialWerfLabels", read: s.boolTo(&spec.KeepEssentialWerfLabels)},
	}
}

// patterns adds to what is there.
func (s *section) patterns(into *[]Pattern) func(field) {
	return func(f field) {
		// What is there may be shared with other images.
		patterns := slices.Clone(*into)
		for _, item := range s.items(f) {
			if p, ok := s.pattern(item); ok {
				patterns = append(patterns, p)
			}
		}
		*into = patterns
	}
}

var exposed = regexp.MustCompile(`^([0-9]{1,5})(?:/(tcp|udp|sctp))?$`)

// expose reads ports; one with no protocol is TCP's, as in a Dockerfile.
func (s *section) expose(into *[]string) func(field) {
	return func(f field) {
		s.textsTo(into, func(text string) error {
			if m := exposed.FindStringSubmatch(text); m != nil {
				if port, _ := strconv.Atoi(m[1]); port > 0 && port < 1<<16 {
					return nil
				}
			}
			return fmt.Errorf("must be a port such as 80, 80/tcp or 53/udp, found %.60q", text)
		})(f)
		for i, text := range *into {
			if !strings.Contains(text, "/") {
				(*into)[i] = text + "/tcp"
			}
		}
	}
}

func (s *section) healthcheck(f field) *Healthcheck {
	fields, ok := s.submapping(f)
	if !ok {
		return nil
	}
	h := &Healthcheck{}
	startPeriod := s.oneKey("write startPeriod", s.durationTo(&h.StartPeriod, true))
	s.read(fields, vocabulary{strconv.Quote(f.path), []key{
		{name: "test", read: func(f field) {
			s.textsTo(&h.Test, nil)(f)
			if len(h.Test) > 0 && !slices.Contains([]string{"NONE", "CMD", "CMD-SHELL"}, h.Test[0]) {
				s.errs.Add(f.at.Errorf("%q must begin with CMD, CMD-SHELL or NONE, found %.60q", f.path, h.Test[0]).
					Advise("for example [CMD, curl, -f, http://localhost/] or [CMD-SHELL, \"curl -f http://localhost/ || exit 1\"]"))
			}
		}},
		{name: "interval", read: s.durationTo(&h.Interval, true)},
		{name: "timeout", read: s.durationTo(&h.Timeout, true)},
		{name: "startPeriod", read: startPeriod},
		// What the reference tool reads, though its documentation has the other.
		{name: "startperiod", read: startPeriod},
		{name: "retries", read: s.intTo(&h.Retries, 0)},
	}})
	return h
}

var labelWord = regexp.MustCompile(`%\s*([A-Za-z_]+)\s*%`)

// labels reads labels, in whose names and values %image% and %project% stand
// for those names.
func (s *section) labels(into *map[string]string) func(field) {
	return func(f field) {
		// What is there may be shared with other images.
		*into = maps.Clone(*into)
		s.mapTo(into, entry{"label", func(name string) error {
			if err := notEmpty(name); err != nil {
				return err
			}
			return checkLabel(name)
		}, func(n *yaml.Node) (string, error) {
			text, err := written(n)
			if err == nil {
				err = checkLabel(text)
			}
			return text, err
		}})(f)
	}
}

func checkLabel(text string) error {
	for _, m := range labelWord.FindAllStringSubmatch(text, -1) {
		if m[1] != "image" && m[1] != "project" {
			return fmt.Errorf("has %s; only %%image%% and %%project%% stand for something", m[0])
		}
	}
	return nil
}

var signalName = regexp.MustCompile(`^(?i:(?:SIG)?[A-Z][A-Z0-9]*(?:[+-][0-9]+)?|[0-9]{1,3})$`)

func (s *section) stopSignal(into *string) func(field) {
	return func(f field) {
		if text, ok := s.text(f); ok && text != "" && !signalName.MatchString(text) {
			s.errs.Add(f.at.Errorf("%q must be a signal such as SIGTERM or 15, found %.60q", f.path, text))
		} else if ok {
			*into = text
		}
	}
}

func (s *section) workingDir(into *string) func(field) {
	return func(f field) {
		text, ok := s.text(f)
		if !ok || text == "" {
			return
		}
		if err := absolute(text); err != nil {
			s.errs.Add(f.at.Errorf("%q %v", f.path, err))
			return
		}
		*into = text
	}
}

func absolute(text string) error {
	if !path.IsAbs(text) {
		return fmt.Errorf("must be an absolute path, found %.60q", text)
	}
	return nil
}

// forImage is the spec with its labels as they are for one image of a project;
// nil when it changes nothing.
func (spec ImageSpec) forImage(project, image string) *ImageSpec {
	if reflect.ValueOf(spec).IsZero() {
		return nil
	}
	if spec.Labels != nil {
		expand := func(text string) string {
			return labelWord.ReplaceAllStringFunc(text, func(word string) string {
				if strings.Trim(word, "% \t\r\n") == "image" {
					return image
				}
				return project
			})
		}
		labels := map[string]string{}
		// In order, so that of two names that become one the same always wins.
		for _, name := range slices.Sorted(maps.Keys(spec.Labels)) {
			labels[expand(name)] = expand(spec.Labels[name])
		}
		spec.Labels = labels
	}
	return &spec
}
