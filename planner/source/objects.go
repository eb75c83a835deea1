package source

import (
	"bytes"
	"context"
	"crypto/sha1" // git's choice, not ours
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
)

// maxBuffered is the size in bytes up to which a blob is read into memory at
// once. Anything larger is streamed from a process of its own for that time.
const maxBuffered = 1 << 20

// objects reads git objects through long-lived `git cat-file` processes: one for
// contents, one for sizes, each started when it is first needed.
//
// A process is used under its lock for whole answers only. One that has begun a
// large answer is handed over to its reader and comes back, or is replaced, so
// that no reader ever waits for another to be closed.
type objects struct {
	ctx      context.Context
	git      *git
	idLength int // of object ids in hexadecimal, which tells the repository's object format

	contents, sized atomic.Int64

	batchMu sync.Mutex
	batch   *process // idle cat-file --batch, or nil
	checkMu sync.Mutex
	check   *process // idle cat-file --batch-check, or nil

	mu    sync.Mutex
	sizes map[string]int64
	links map[string]string   // targets of symbolic links
	files map[string]diskFile // objects that the work tree stands in for
	ahead map[string][]byte   // contents that were read before they are opened
}

func newObjects(ctx context.Context, g *git, idLength int) *objects {
	return &objects{ctx: ctx, git: g, idLength: idLength,
		sizes: map[string]int64{}, links: map[string]string{}, files: map[string]diskFile{}, ahead: map[string][]byte{}}
}

// newHash is the hash that object ids are of.
func (o *objects) newHash() hash.Hash {
	if o.idLength == 2*sha256.Size {
		return sha256.New()
	}
	return sha1.New()
}

// begin starts the process for contents, which takes longer to start than to
// answer, before anything is asked. Whoever asks is told what is wrong.
func (o *objects) begin() {
	o.batchMu.Lock()
	defer o.batchMu.Unlock()
	_, _ = o.ready(&o.batch, "--batch")
}

// open returns an object's content and size.
func (o *objects) open(oid string) (io.ReadCloser, int64, error) {
	o.mu.Lock()
	file, ok := o.files[oid]
	size := o.sizes[oid]
	data, read := o.ahead[oid]
	delete(o.ahead, oid)
	o.mu.Unlock()
	if read {
		return io.NopCloser(bytes.NewReader(data)), int64(len(data)), nil
	}
	if ok {
		r, err := file.open(oid, size, o.newHash())
		return r, size, err
	}

	o.batchMu.Lock()
	defer o.batchMu.Unlock()
	p, err := o.ready(&o.batch, "--batch")
	if err != nil {
		return nil, 0, err
	}
	o.contents.Add(1)
	o.batch = nil // put back once the answer is complete
	size, err = p.ask(oid)
	if err != nil {
		if errors.Is(err, ErrMissingObject) && p.ctx.Err() == nil && !p.ended() {
			o.batch = p // it said so and goes on
		}
		return nil, 0, err
	}
	o.know(oid, size)
	if size > maxBuffered {
		return &stream{objects: o, process: p, oid: oid, left: size}, size, nil
	}
	data = make([]byte, size+1) // and the line feed that ends an answer
	if _, err := io.ReadFull(p.out, data); err != nil {
		return nil, 0, objectError(oid, p.stop(err))
	}
	o.batch = p
	return io.NopCloser(bytes.NewReader(data[:size])), size, nil
}

// isFile tells whether the work tree stands in for an object.
func (o *objects) isFile(oid string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.files[oid]
	return ok
}

// readAhead reads objects that are going to be opened, each once. What cannot be
// read is left for who opens it, who is told why.
func (o *objects) readAhead(oids []string) {
	_ = o.each(oids, func(p *process, oid string) error {
		if err := o.readAnswer(p, oid); err != nil && p.ended() {
			return err
		}
		return nil
	})
}

// each asks for objects in one go: asked for one by one, they cost two context
// switches each. read takes the answers, in the order of the ids; its first error
// ends it all.
func (o *objects) each(oids []string, read func(p *process, oid string) error) error {
	if len(oids) == 0 {
		return nil
	}
	o.batchMu.Lock()
	defer o.batchMu.Unlock()
	p, err := o.ready(&o.batch, "--batch")
	if err != nil {
		return err
	}
	o.batch = nil // put back once all answers are complete
	// Both pipes are finite: write and read at the same time.
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.WriteString(p.in, strings.Join(oids, "\n")+"\n") // a failure shows in the answers
	}()
	for _, oid := range oids {
		if err = read(p, oid); err != nil {
			_ = p.stop(nil) // the answers that are left are nobody's
			break
		}
	}
	<-written
	if !p.ended() {
		o.batch = p
	}
	return err
}

// readAnswer reads what was asked of the process, and keeps it if it is small.
func (o *objects) readAnswer(p *process, oid string) error {
	size, err := p.answer(oid)
	if err != nil {
		return err
	}
	o.know(oid, size)
	if size > maxBuffered {
		_, err = io.CopyN(io.Discard, p.out, size+1)
	} else {
		data := make([]byte, size+1) // and the line feed that ends an answer
		if _, err = io.ReadFull(p.out, data); err == nil {
			o.contents.Add(1)
			o.mu.Lock()
			o.ahead[oid] = data[:size]
			o.mu.Unlock()
		}
	}
	if err != nil {
		return p.stop(err)
	}
	return nil
}

// read returns the whole content of an object.
func (o *objects) read(oid string) ([]byte, error) {
	r, size, err := o.open(oid)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	buf := bytes.NewBuffer(make([]byte, 0, size+bytes.MinRead))
	if _, err := buf.ReadFrom(r); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// link returns the target of a symbolic link.
func (o *objects) link(oid string) (string, error) {
	o.mu.Lock()
	link, ok := o.links[oid]
	o.mu.Unlock()
	if ok {
		return link, nil
	}
	data, err := o.read(oid)
	if err != nil {
		return "", fmt.Errorf("read a symbolic link: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.links[oid] = string(data)
	return string(data), nil
}

// know records a size.
func (o *objects) know(oid string, size int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sizes[oid] = size
}

func (o *objects) knownSize(oid string) (int64, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	size, ok := o.sizes[oid]
	return size, ok
}

// size returns the size of an object in bytes. Asking git one by one would cost
// two context switches each, so the caller names the objects that will be asked
// for next, and they travel together. It is not an error if those are missing.
func (o *objects) size(oid string, next func() []string) (int64, error) {
	if size, ok := o.knownSize(oid); ok {
		return size, nil
	}
	o.checkMu.Lock()
	defer o.checkMu.Unlock()
	if size, ok := o.knownSize(oid); ok {
		return size, nil // a concurrent walk was faster
	}
	p, err := o.ready(&o.check, "--batch-check")
	if err != nil {
		return 0, err
	}
	ask := []string{oid}
	for _, n := range next() {
		if _, ok := o.knownSize(n); !ok {
			ask = append(ask, n)
		}
	}
	o.sized.Add(int64(len(ask)))

	// Both pipes are finite: write and read at the same time.
	written := make(chan struct{})
	go func() {
		defer close(written)
		io.WriteString(p.in, strings.Join(ask, "\n")+"\n") // a failure shows in the answers
	}()
	var failure error
	for i, id := range ask {
		size, err := p.answer(id)
		switch {
		case err == nil:
			o.know(id, size)
		case i == 0:
			failure = err
		}
		if err != nil && p.ended() {
			break
		}
	}
	<-written
	if p.ended() {
		o.check = nil
	}
	size, ok := o.knownSize(oid)
	if !ok && failure == nil {
		failure = objectError(oid, ErrMissingObject)
	}
	return size, failure
}

// ready returns the process in slot, started if need be.
func (o *objects) ready(slot **process, mode string) (*process, error) {
	if o.ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", errClosed, context.Cause(o.ctx))
	}
	if *slot == nil {
		p, err := o.git.start(o.ctx, "cat-file", mode)
		if err != nil {
			return nil, err
		}
		*slot = p
	}
	return *slot, nil
}

// close ends the idle processes; the context of all of them has ended before.
func (o *objects) close() {
	o.batchMu.Lock()
	defer o.batchMu.Unlock()
	o.checkMu.Lock()
	defer o.checkMu.Unlock()
	for _, slot := range []**process{&o.batch, &o.check} {
		if *slot != nil {
			(*slot).stop(nil)
			*slot = nil
		}
	}
}

// ask sends one object id and reads the head of the answer.
func (p *process) ask(oid string) (int64, error) {
	if _, err := io.WriteString(p.in, oid+"\n"); err != nil {
		return 0, objectError(oid, p.stop(err))
	}
	return p.answer(oid)
}

// answer reads the head of an answer.
func (p *process) answer(oid string) (size int64, err error) {
	_, size, err = p.head(oid)
	return size, err
}

// head reads "<object id> <type> <size>" or "<object id> missing". After any
// other answer the process is ended.
func (p *process) head(oid string) (kind string, size int64, err error) {
	line, err := p.out.ReadString('\n')
	if err != nil {
		return "", 0, objectError(oid, p.stop(err))
	}
	f := strings.Fields(line)
	switch {
	case len(f) == 2 && f[0] == oid && f[1] == "missing":
		return "", 0, objectError(oid, ErrMissingObject)
	case len(f) == 3 && f[0] == oid:
		if size, err := strconv.ParseInt(f[2], 10, 64); err == nil {
			return f[1], size, nil
		}
	}
	return "", 0, objectError(oid, p.stop(fmt.Errorf("unexpected answer %q", line)))
}

// ended tells whether the process was stopped or ended by itself.
func (p *process) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func objectError(oid string, err error) error {
	return fmt.Errorf("read git object %s: %w", oid, err)
}

// stream reads a large object from a process that nobody else uses meanwhile.
type stream struct {
	objects *objects
	process *process // nil once it was given back or ended
	oid     string
	left    int64
}

func (s *stream) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	if s.process == nil {
		return 0, objectError(s.oid, errors.New("read after close"))
	}
	if int64(len(b)) > s.left {
		b = b[:s.left]
	}
	n, err := s.process.out.Read(b)
	s.left -= int64(n)
	if err != nil {
		err = objectError(s.oid, s.process.stop(err))
		s.process = nil
	}
	return n, err
}

func (s *stream) Close() error {
	p := s.process
	s.process = nil
	if p == nil {
		return nil
	}
	if s.left == 0 {
		if end, err := p.out.ReadByte(); err == nil && end == '\n' {
			s.objects.batchMu.Lock()
			defer s.objects.batchMu.Unlock()
			if s.objects.batch == nil {
				s.objects.batch = p
				return nil
			}
		}
	}
	p.stop(nil) // unread, or no longer needed: its failure is nobody's
	return nil
}
