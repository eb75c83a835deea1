package dockerfile

import (
	"fmt"
	"regexp"
	"strings"

	"slipway/planner/diag"

	"github.com/Masterminds/semver/v3"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/version"
)

// syntax is the frontend that a Dockerfile asks for
// (docs.docker.com/reference/dockerfile, "syntax").
type syntax struct {
	ref  string // as it is written
	line int    // 0 where a build argument asks
}

// syntaxOf is not ok for a Dockerfile that asks for nothing.
func syntaxOf(in Input) (s syntax, ok bool) {
	if ref, set := in.Args["BUILDKIT_SYNTAX"]; set { // it wins over the file's line
		return syntax{ref: ref}, true
	}
	ref, _, loc, ok := parser.DetectSyntax(in.Text)
	if len(loc) > 0 {
		s.line = loc[0].Start.Line
	}
	s.ref = ref
	return s, ok
}

// dockersOwn are the names of Docker's frontend: releases, the labs channel of
// them, and what they are made from. The group is the version.
var dockersOwn = regexp.MustCompile(`^(?:(?:index\.)?docker\.io/)?docker/dockerfile(?:-upstream)?` +
	`(?::(?:latest|labs|experimental|(master(?:-labs)?|\d+(?:\.\d+){0,2}(?:-[a-z0-9.-]+)?)))?(?:@.*)?$`)

// checkSyntax refuses frontends other than Docker's own, which is the one that
// is linked in and never pulled, and what that one would not be told.
func checkSyntax(in Input) error {
	if value, set := in.Args["BUILDKIT_DOCKERFILE_CHECK"]; set {
		return &diag.Diagnostic{File: in.Path, Message: "the build argument BUILDKIT_DOCKERFILE_CHECK is not supported", Advice: "write it into the Dockerfile: # check=" + value}
	}
	s, ok := syntaxOf(in)
	if !ok || dockersOwn.MatchString(s.ref) {
		return nil
	}
	d := diag.Diagnostic{
		File:    in.Path,
		Message: `the Dockerfile frontend "` + s.ref + `" is not supported`,
		Advice:  "use docker/dockerfile:1, which is built in and never pulled, or leave the line out",
	}
	if s.line > 0 {
		d.Line, d.Column = s.line, 1
		d.Source = line(in.Text, d.Line)
	}
	return &d
}

// builtIn is the version of the frontend that is linked in.
func builtIn() *semver.Version {
	v, err := semver.NewVersion(version.Version())
	if err != nil {
		return semver.New(1, 0, 0, "", "")
	}
	return semver.New(v.Major(), v.Minor(), v.Patch(), "", "")
}

// newerSyntax is what a Dockerfile asks for if that is newer than what is there.
func newerSyntax(in Input) (s syntax, newer bool) {
	s, ok := syntaxOf(in)
	m := dockersOwn.FindStringSubmatch(s.ref)
	if !ok || m == nil || m[1] == "" {
		return s, false
	}
	if strings.HasPrefix(m[1], "master") {
		return s, true
	}
	v, err := semver.NewVersion(m[1])
	return s, err == nil && v.GreaterThan(builtIn())
}

// syntaxWarning says that a Dockerfile asks for a newer frontend than there is.
func syntaxWarning(in Input) (w Warning, ok bool) {
	s, newer := newerSyntax(in)
	return Warning{
		File: in.Path, Line: s.line,
		Text: fmt.Sprintf("%s is asked for; %s, which is built in, is used instead: what is newer does not work", s.ref, builtIn()),
	}, newer
}
