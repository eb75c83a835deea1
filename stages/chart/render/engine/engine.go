// Package engine is the process in which charts are rendered and checked: Helm's
// engine, its schema library and the types of Kubernetes, which are large, and of
// which the engine cannot be stopped but with its process.
//
// It must never know where a chart comes from, nor who asks. It reads no file and
// asks nobody, but for what a schema names by a URL, as Helm does; of its environment
// it has how the network is reached for that, and the time zone, which templates can
// print.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"slipway/stages/chart/render/wire"

	helm "helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
)

// Main does nothing, unless this process is one that renders: then it answers its
// request and exits. A program that renders charts in a process of its own calls it
// first of all, as do the tests of whatever does so (in TestMain).
func Main() {
	if len(os.Args) != 1 || os.Args[0] != wire.Name {
		return
	}
	// Ctrl-C is for the process that asks: it ends this one.
	signal.Ignore(os.Interrupt, syscall.SIGTERM)
	in, out := os.Stdin, os.Stdout
	os.Stdout = os.Stderr // the response is alone
	if err := serve(in, out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func serve(in io.Reader, out io.Writer) error {
	request, err := wire.ReadRequest(in)
	if err != nil {
		return fmt.Errorf("reading what is to be rendered: %w", err)
	}
	go func() {
		io.Copy(io.Discard, in) //nolint:errcheck // whatever the end is
		os.Exit(1)              // nobody waits for the response any more
	}()
	response, err := answer(request)
	if err != nil {
		var e *wire.Error
		if !errors.As(err, &e) {
			e = &wire.Error{Message: err.Error()}
		}
		response.Err = e
	}
	return wire.WriteResponse(out, response)
}

func answer(request wire.Request) (r wire.Response, err error) {
	switch {
	case request.Render != nil:
		c, err := load(request.Render.Chart)
		if err != nil {
			return r, err
		}
		if r.Manifests, err = watched(c, request.Render); err == nil && request.Render.Validate {
			r.Findings.Problems, r.Findings.Unchecked = Validate(r.Manifests)
		}
		return r, err
	case request.Schemas != nil:
		c, err := load(request.Schemas)
		if err != nil {
			return r, err
		}
		r.Mismatch, err = mismatch(c)
		return r, err
	}
	return r, errors.New("nothing is asked for")
}

// watched renders a chart, or says that this has no end: what does it goes on until
// the process ends.
func watched(c *helm.Chart, o *wire.Render) ([]wire.Manifest, error) {
	type result struct {
		manifests []wire.Manifest
		err       error
	}
	name, done := c.Name(), make(chan result, 1)
	go func() {
		var r result
		defer func() {
			if p := recover(); p != nil {
				r.err = &wire.Error{Message: fmt.Sprintf("Helm's engine failed on chart %s: %v", name, p)}
			}
			done <- r
		}()
		r.manifests, r.err = manifests(c, o)
	}()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	runaway := make(chan bool, 1)
	go func() { runaway <- endless(ctx) }()
	select {
	case r := <-done:
		return r.manifests, r.err
	case <-runaway:
		return nil, &wire.Error{Cause: wire.ErrEndless, Message: fmt.Sprintf("the templates of chart %s call themselves without end", name),
			Advice: "look for values that are given to tpl and name themselves, and for templates that include each other"}
	}
}

// load makes a chart of its files, as the process that asks has done before: what
// there is to warn of has been said.
func load(files []wire.File) (*helm.Chart, error) {
	log.SetOutput(io.Discard)
	defer log.SetOutput(os.Stderr)
	list := make([]*loader.BufferedFile, len(files))
	for i, f := range files {
		list[i] = &loader.BufferedFile{Name: f.Name, Data: f.Data}
	}
	return loader.LoadFiles(list)
}
