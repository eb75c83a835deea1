package dockerfile

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"slipway/engine"
	"slipway/planner/diag"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/frontend/dockerfile/command"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TargetError is a target that no stage of the Dockerfile has. The mistake is where
// the target is named, so it is no diagnostic of the Dockerfile.
type TargetError struct {
	Target string
	Stages []string // names of stages in lower case, sorted
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("target stage %q could not be found", e.Target)
}

// diagnose gives an error of the conversion the place in the Dockerfile that
// BuildKit attached to it.
func diagnose(in Input, err error) error {
	var target *TargetError
	if errors.As(err, &target) {
		return err
	}
	d := diag.Diagnostic{File: in.Path, Message: err.Error()}
	var loc *parser.LocationError
	if errors.As(err, &loc) {
		d.Message = loc.Error()
		if len(loc.Locations) > 0 && len(loc.Locations[0]) > 0 {
			start := loc.Locations[0][0].Start
			d.Line, d.Column = start.Line, start.Character+1
			d.Source = engine.Redact(line(in.Text, d.Line))
		}
	}
	// BuildKit's own guess is any of the names that are equally close.
	var unknown *instructions.UnknownInstructionError
	if errors.As(err, &unknown) {
		d.Message = unknown.Error()
		d.Advice = diag.DidYouMean(strings.ToUpper(unknown.Instruction), instructionNames())
	}
	if asked, ok := newerSyntax(in); ok && d.Advice == "" {
		d.Advice = fmt.Sprintf("the file asks for %s; version %s is built in, and may not know this yet", asked.ref, builtIn())
	}
	d.Message = engine.Redact(d.Message)
	var resolve *resolveError
	if errors.As(err, &resolve) {
		return &solveError{diagnostic: &d, cause: err}
	}
	return &d
}

// line is a line of a Dockerfile, counted from 1; "" if there is none.
func line(text []byte, n int) string {
	lines := strings.Split(string(text), "\n")
	if n < 1 || n > len(lines) {
		return ""
	}
	return strings.TrimRight(lines[n-1], "\r")
}

func instructionNames() []string {
	var names []string
	for name := range command.Commands {
		names = append(names, strings.ToUpper(name))
	}
	slices.Sort(names)
	return names
}

// solveError is an error found while building, not while reading the user's
// input: it has the place in the Dockerfile and is no diagnostic.
type solveError struct {
	diagnostic error
	cause      error
}

func (e *solveError) Error() string { return e.diagnostic.Error() }
func (e *solveError) Unwrap() error { return e.cause }

// predefinedArgs are the arguments that the builder sets in the global scope of
// every Dockerfile (docs.docker.com/reference/dockerfile, "Automatic platform
// ARGs in the global scope").
func predefinedArgs(builder, platform ocispec.Platform, target string) map[string]string {
	if target == "" {
		target = "default"
	}
	return map[string]string{
		"BUILDPLATFORM": platforms.Format(builder), "BUILDOS": builder.OS, "BUILDARCH": builder.Architecture,
		"BUILDVARIANT": builder.Variant, "BUILDOSVERSION": builder.OSVersion,
		"TARGETPLATFORM": platforms.FormatAll(platform), "TARGETOS": platform.OS, "TARGETARCH": platform.Architecture,
		"TARGETVARIANT": platform.Variant, "TARGETOSVERSION": platform.OSVersion,
		"TARGETSTAGE": target,
	}
}
