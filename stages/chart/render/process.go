package render

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"time"

	"slipway/stages/chart/render/wire"
)

// process is one that renders. Its stdin stays open until it has answered: by
// the end of that it knows that nobody waits for it.
type process struct {
	cmd    *exec.Cmd
	stdin  io.WriteCloser
	stdout io.Reader
	said   head
}

// inherited are the variables that a process which renders is given: the time zone,
// for templates, how to reach URLs that a schema may refer to, and Go's own.
var inherited = []string{
	"TZ", "ZONEINFO", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"GODEBUG", "GOGC", "GOMEMLIMIT", "GOMAXPROCS", "GOCOVERDIR",
}

func environment() []string {
	env := []string{"GOTRACEBACK=none"} // the first line of a crash says it
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// pipePatience is how long what a process has said may take to arrive when it has
// ended.
const pipePatience = time.Second

// start starts the program at path, which is killed when ctx is done.
func start(ctx context.Context, path string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, path)}
	p.cmd.Args = []string{wire.Name}
	p.cmd.Env = environment()
	p.cmd.Stderr = &p.said
	p.cmd.SysProcAttr = attributes()
	p.cmd.WaitDelay = pipePatience
	var err error
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if p.stdout, err = p.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	return p, p.cmd.Start()
}

// ask sends the request and waits for the response.
func (p *process) ask(request []byte) (*wire.Response, error) {
	defer p.stdin.Close()
	if _, err := p.stdin.Write(request); err != nil {
		return nil, err
	}
	return wire.ReadResponse(p.stdout)
}

// fatal is how Go says why a process ends that did not mean to.
var fatal = regexp.MustCompile(`(?m)^(?:fatal error|panic): .*`)

// crashed is the error of a process that ended without an answer. Of what it said, no
// warning of Helm's is quoted: they may have values in them.
func (p *process) crashed(about string, end error) error {
	said := bytes.TrimSpace(p.said.head)
	reason := fatal.Find(said)
	if reason == nil && p.cmd.ProcessState.Exited() {
		reason = said[bytes.LastIndexByte(said, '\n')+1:] // it knew why
	}
	text := "ended without an answer"
	if end != nil {
		text += ": " + end.Error()
	}
	if len(reason) > 0 {
		text += ": " + string(reason)
	}
	return fmt.Errorf("%w %s on %s; the chart may take more memory than there is, or call itself without end; if it is in order, this is a bug", ErrProcess, text, about)
}

// head keeps the beginning of what is written to it.
type head struct{ head []byte }

const headSize = 1 << 20

func (h *head) Write(p []byte) (int, error) {
	h.head = append(h.head, p[:min(len(p), headSize-len(h.head))]...)
	return len(p), nil
}
