package host

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// message is the request to a task, or its answer.
type message struct {
	Isolation Isolation // in a request
	NoProc    bool      `json:",omitempty"` // the answer is errNoProc
	Error     string    `json:",omitempty"` // the answer is another error
	Value     any       `json:",omitempty"`
}

// errNoProc says that a PID namespace is of no use, as its /proc is not to be had.
var errNoProc = errors.New("/proc of a new PID namespace cannot be mounted")

// maxMessage is more than any message needs.
const maxMessage = 1 << 20

// A message on the wire is its length in four bytes, the highest first, and JSON:
// nothing of what follows it may be read with it.
func writeMessage(w io.Writer, m message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

func readMessage(r io.Reader, m any) error {
	var size [4]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxMessage {
		return fmt.Errorf("a message of %d bytes", n)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return json.Unmarshal(body, m)
}
