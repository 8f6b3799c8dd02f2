package metarpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

const (
	watchLines   = 2                // nodes that tell the same, so that nothing is lost when one of them dies
	watchSilence = 10 * time.Second // a node that says nothing for so long is given up; it speaks every second
	watchPause   = time.Second      // between two rounds of looking for another node
)

var _ fs.Watcher = (*Client)(nil)

// Watch implements fs.Watcher. Two nodes are listened to, if there are two: what one tells the other tells too, and is told once.
// The stream ends with ErrUnavailable when no node has answered for OpTimeout.
func (c *Client) Watch(ctx context.Context, r fs.WatchRequest) (fs.ChangeStream, error) {
	if err := checkWatch(toWatchRequest(r)); err != nil {
		return nil, err
	}
	if status, err := c.Status(ctx); err == nil {
		var nodes []fs.NodeInfo
		for i := range status.Nodes {
			nodes = append(nodes, status.Nodes[i].NodeInfo)
		}
		c.peers.learn(nodes)
	}
	w := &watch{client: c}
	w.life, w.cancel = context.WithCancel(c.base)
	first, err := w.first(ctx, r)
	if err != nil {
		return nil, errors.Join(err, w.Close())
	}
	w.lines[0] = first
	w.ino, w.merge.last = first.ahead.Watched, first.ahead.From
	return w, nil
}

// watch is an fs.ChangeStream.
type watch struct {
	client *Client
	life   context.Context // of everything below
	cancel context.CancelFunc
	ino    fs.Ino

	lines   [watchLines]*watchLine
	merge   merge
	looking *watchSearch // for one more node; nil: there is none
	vain    bool         // all have been asked since the last line was lost
	alone   time.Time    // since when there is no line
	loops   sync.WaitGroup
}

// watchSearch is a goroutine that looks for another node.
type watchSearch struct {
	used   []string // not these
	found  chan *watchLine
	failed chan struct{} // all have been asked once more, in vain
	end    context.CancelFunc
}

// watchLine is one node's stream.
type watchLine struct {
	addr  string
	come  chan fs.Changes // closed when the line ends
	ahead *fs.Changes     // has come, and is not told yet
	end   context.CancelFunc
}

// first opens a line at the first node that answers.
func (w *watch) first(ctx context.Context, r fs.WatchRequest) (*watchLine, error) {
	var causes []string
	for _, addr := range w.client.peers.list() {
		line, err := w.open(ctx, addr, r)
		if err == nil {
			return line, nil
		}
		if again, err := elsewhere(err); !again || ctx.Err() != nil {
			return nil, err
		}
		causes = append(causes, fmt.Sprintf("%s: %v", addr, err))
	}
	return nil, &unansweredError{causes}
}

// open opens a line whose life is the watch's, while ctx can still break off the opening; its first message is there then.
func (w *watch) open(ctx context.Context, addr string, r fs.WatchRequest) (*watchLine, error) {
	conn, err := w.client.cfg.Dial(addr)
	if err != nil {
		return nil, err
	}
	life, cancel := context.WithCancel(w.life)
	stop := context.AfterFunc(ctx, cancel)
	late := time.AfterFunc(2*w.client.cfg.AttemptTimeout, cancel)
	rpc, err := metapb.NewClusterClient(conn).Watch(life, toWatchRequest(r), callOptions()...)
	var first *metapb.Changes
	if err == nil {
		first, err = rpc.Recv()
	}
	if err == nil && !(stop() && late.Stop()) {
		err = noAnswer(2 * w.client.cfg.AttemptTimeout)
	}
	if err != nil {
		late.Stop()
		cancel()
		return nil, err
	}
	c := fromChanges(first)
	line := &watchLine{addr: addr, come: make(chan fs.Changes), ahead: &c, end: cancel}
	w.loops.Go(func() { line.listen(life, rpc) })
	return line, nil
}

// listen passes messages on until the line ends.
func (l *watchLine) listen(life context.Context, rpc grpc.ServerStreamingClient[metapb.Changes]) {
	defer close(l.come)
	for {
		silence := time.AfterFunc(watchSilence, l.end)
		m, err := rpc.Recv()
		silence.Stop()
		if err != nil {
			l.end()
			return
		}
		select {
		case l.come <- fromChanges(m):
		case <-life.Done():
			return
		}
	}
}

// Recv implements fs.ChangeStream.
func (w *watch) Recv(ctx context.Context) (fs.Changes, error) {
	for {
		if c, ok := w.merge.next(w.ahead(), w.vain || w.full()); ok {
			return c, nil
		}
		if !w.full() && w.looking == nil {
			w.look()
		}
		if err := w.wait(ctx); err != nil {
			return fs.Changes{}, err
		}
	}
}

// ahead lists the lines: what each has brought, nil while it has not.
func (w *watch) ahead() (list []**fs.Changes) {
	for _, l := range w.lines {
		if l != nil {
			list = append(list, &l.ahead)
		}
	}
	return list
}

func (w *watch) full() bool { return !slices.Contains(w.lines[:], nil) }

// wait waits until something has come from a line, or from the search for one.
func (w *watch) wait(ctx context.Context) error {
	var limit <-chan time.Time
	if w.lines == [watchLines]*watchLine{} {
		limit = time.After(time.Until(w.alone.Add(w.client.cfg.OpTimeout)))
	}
	var found chan *watchLine
	var failed chan struct{}
	if w.looking != nil {
		found, failed = w.looking.found, w.looking.failed
	}
	select {
	case c, ok := <-w.come(0):
		w.came(0, c, ok)
	case c, ok := <-w.come(1):
		w.came(1, c, ok)
	case line := <-found:
		w.looking.end()
		w.looking = nil
		w.lines[slices.Index(w.lines[:], nil)] = line
	case <-failed:
		w.vain = true
	case <-limit:
		return fmt.Errorf("watch: no node has answered for %v: %w", w.client.cfg.OpTimeout, fs.ErrUnavailable)
	case <-ctx.Done():
		return ctx.Err()
	case <-w.life.Done():
		return fmt.Errorf("watch: %w", fs.ErrClosed)
	}
	return nil
}

// come is where a line's next message comes from; from one that is ahead nothing is taken.
func (w *watch) come(i int) <-chan fs.Changes {
	if l := w.lines[i]; l != nil && l.ahead == nil {
		return l.come
	}
	return nil
}

func (w *watch) came(i int, c fs.Changes, ok bool) {
	if ok {
		w.lines[i].ahead = &c
		return
	}
	w.lines[i], w.vain, w.alone = nil, false, time.Now()
	if w.looking != nil { // it takes that node for one that is listened to
		w.looking.end()
		w.looking = nil
	}
}

// look has a goroutine look for one more node that goes on where we are, until it is found.
func (w *watch) look() {
	ctx, cancel := context.WithCancel(w.life)
	w.looking = &watchSearch{found: make(chan *watchLine), failed: make(chan struct{}), end: cancel}
	for _, l := range w.lines {
		if l != nil {
			w.looking.used = append(w.looking.used, l.addr)
		}
	}
	search, r := w.looking, fs.WatchRequest{Ino: w.ino, After: w.merge.last}
	w.loops.Go(func() {
		for !w.round(ctx, search, r) {
			select {
			case search.failed <- struct{}{}:
			case <-ctx.Done():
				return
			}
			select {
			case <-time.After(watchPause):
			case <-ctx.Done():
				return
			}
		}
	})
}

// round asks all nodes but those used, and hands over the first that answers; true if there is nothing more to do.
func (w *watch) round(ctx context.Context, search *watchSearch, r fs.WatchRequest) bool {
	for _, addr := range w.client.peers.list() {
		if slices.Contains(search.used, addr) {
			continue
		}
		line, err := w.open(ctx, addr, r)
		if err != nil {
			w.client.cfg.Logger.Debug("a node does not tell of changes", "addr", addr, "err", err)
			continue
		}
		select {
		case search.found <- line:
		case <-ctx.Done():
			line.end()
		}
		return true
	}
	return ctx.Err() != nil
}

// Close implements fs.ChangeStream.
func (w *watch) Close() error {
	w.cancel()
	w.loops.Wait()
	return nil
}
