package oci

import (
	"context"
	"time"
)

// turns bound how many questions to one host are under way at once, and with them,
// under HTTP/1.1, how many connections there are. Opening one costs both sides several
// times what a question does, so a question waits a little for another's answer before
// it makes a turn of its own. How long answers take decides by itself how many there
// will be: few for a registry that is near, and about as many as there are questions
// for one that is far away. What is in the channel are turns that nobody has.
type turns chan struct{}

const (
	// firstTurns keep two processors busy with answers that come at once.
	firstTurns = 16
	// turnPatience is several times what a near registry takes when both are busy, and
	// a third of what one takes that is a continent away.
	turnPatience = 10 * time.Millisecond
)

func newTurns() turns {
	t := make(turns, fanOut)
	for range firstTurns {
		t.leave()
	}
	return t
}

// take waits for a turn; leave is to be called when the question is answered.
func (t turns) take(ctx context.Context) error {
	select {
	case <-t:
		return nil
	default: // so that most need no timer
	}
	patience := time.NewTimer(turnPatience)
	defer patience.Stop()
	select {
	case <-t:
		return nil
	case <-patience.C: // one more
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turns) leave() {
	select {
	case t <- struct{}{}:
	default: // there are enough
	}
}
