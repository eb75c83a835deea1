// Package wire is what the process that renders charts and the one that started
// it say to each other: one request, one response. Values come out as the Go types
// that went in, since templates print these differently, and text with the bytes
// that it had.
// It also has the few things that both do to texts in Helm's way.
//
// It must never know Helm's engine, nor how a process is started.
package wire

import (
	"encoding/gob"
	"fmt"
	"io"
)

// Name is argv[0] of the process that renders: by it a program knows that it is
// one. It has no arguments.
const Name = "slipway: renderer"

// Request is one of its fields.
type Request struct {
	Render  *Render
	Schemas []File // a chart, whose own values are checked against its schemas
}

// Render asks for a chart's manifests. Nothing has a default.
type Render struct {
	Chart              []File
	Release, Namespace string
	Values             map[string]any
	KubeVersion        string
	APIVersions        []string
	Upgrade            bool
	IncludeCRDs        bool
	SkipSchema         bool
	Secrets            bool
	Validate           bool // what is rendered, against the types of Kubernetes
}

// File is a file of a chart, by its path in it.
type File struct {
	Name string
	Data []byte
}

// Manifest is one resource as a template made it.
type Manifest struct {
	Path    string // of the template: CHART/templates/x.yaml
	Content string // YAML, one document; a file of CRDs may have several
	Hook    bool   // a hook of Helm's
}

// Mismatch is a chart's values that do not match its schema.
type Mismatch struct {
	Place   string // directory in the whole chart of the one that has the schema
	Values  string // what its values are called there: .Values.sub
	Message string
}

// Findings are what checking manifests comes to.
type Findings struct {
	Problems []*Problem
	// Unchecked are the versions and kinds of resources that cannot be checked, as
	// their groups are not Kubernetes' own; sorted.
	Unchecked []string
}

// Response answers a request.
type Response struct {
	Manifests []Manifest // of Render
	Findings  Findings   // of Render with Validate
	Mismatch  *Mismatch  // of Schemas; nil if all match
	// Err is what the user has to mend; Endless says that its cause is ErrEndless.
	Err     *Error
	Endless bool
}

// request is a Request on the wire: gob has no nil among what can be anything.
type request struct {
	Request
	Values value
}

// WriteRequest writes a request. It fails for values of a type that no reader of
// YAML or JSON makes.
func WriteRequest(w io.Writer, r Request) error {
	out := request{Request: r}
	if r.Render != nil {
		render := *r.Render
		var err error
		if out.Values, err = encode(render.Values); err != nil {
			return fmt.Errorf("values of a chart: %w", err)
		}
		render.Values, out.Render = nil, &render
	}
	return gob.NewEncoder(w).Encode(out)
}

// ReadRequest reads a request.
func ReadRequest(r io.Reader) (Request, error) {
	var in request
	if err := gob.NewDecoder(r).Decode(&in); err != nil {
		return Request{}, err
	}
	present(in.Schemas)
	if in.Render != nil {
		present(in.Render.Chart)
		in.Render.Values, _ = in.Values.decode().(map[string]any)
	}
	return in.Request, nil
}

// present makes empty files of those that gob takes for none: an empty schema is
// one, and wrong.
func present(files []File) {
	for i := range files {
		if files[i].Data == nil {
			files[i].Data = []byte{}
		}
	}
}

// WriteResponse writes a response.
func WriteResponse(w io.Writer, r Response) error {
	if r.Err != nil {
		err := *r.Err
		r.Endless = err.Cause == ErrEndless
		err.Cause, r.Err = nil, &err
	}
	return gob.NewEncoder(w).Encode(r)
}

// ReadResponse reads a response.
func ReadResponse(r io.Reader) (*Response, error) {
	in := new(Response)
	if err := gob.NewDecoder(r).Decode(in); err != nil {
		return nil, err
	}
	if in.Err != nil && in.Endless {
		in.Err.Cause = ErrEndless
	}
	return in, nil
}
