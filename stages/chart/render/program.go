package render

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"runtime"
	"time"

	"slipway/stages/chart/render/wire"
)

// Program is the program that renders, which has package engine in it and calls its
// Main. It calls start with a path of that program, and again with another one if
// the first could not be started; the error is that of the last. When the process
// has ended, done is called.
type Program func(start func(path string) error) (done func(), err error)

// ErrProcess is the cause of an error of the process that renders, and not of what
// is rendered.
var ErrProcess = errors.New("the process that renders charts")

// self is this program.
func self(start func(path string) error) (done func(), err error) {
	if os.Args[0] == wire.Name {
		return nil, errors.New("this process is one already, and did not call Main of package engine")
	}
	path := "/proc/self/exe" // even when the executable has been replaced meanwhile
	if runtime.GOOS != "linux" {
		if path, err = os.Executable(); err != nil {
			return nil, err
		}
	}
	return func() {}, start(path)
}

// ask has a process answer a request; about is what it works on. The process is gone
// when ask returns, and when this process ends, however that happens.
func (p Program) ask(ctx context.Context, about string, request wire.Request) (r *wire.Response, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if p == nil {
		p = self
	}
	var b bytes.Buffer
	if err := wire.WriteRequest(&b, request); err != nil {
		return nil, err
	}
	answered := make(chan struct{})
	go func() {
		// The process is killed when the thread that started it ends: this one waits
		// for it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(answered)
		r, err = p.run(ctx, about, b.Bytes())
	}()
	<-answered
	if err == nil && r.Err != nil {
		return nil, r.Err
	}
	return r, err
}

func (p Program) run(ctx context.Context, about string, request []byte) (*wire.Response, error) {
	var child *process
	running, kill := context.WithCancel(ctx)
	defer kill()
	done, err := p(func(path string) (err error) {
		child, err = start(running, path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("starting %w: %w", ErrProcess, err)
	}
	defer done()
	r, err := child.ask(request)
	if err != nil {
		defer time.AfterFunc(pipePatience, kill).Stop() // it has ended, unless it is another program
	}
	end := child.cmd.Wait()
	switch {
	case err == nil:
		log.Writer().Write(child.said.head) //nolint:errcheck // as the standard logger does it
		return r, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return nil, child.crashed(about, end)
}
