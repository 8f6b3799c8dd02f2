package metarpc

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// Attach implements fs.Meta. ctx bounds the opening only.
func (c *Client) Attach(ctx context.Context, s fs.Session, held fs.Held) (fs.Stream, error) {
	hello := &metapb.Hello{Session: toSession(s), Pins: each(held.Pins, toIno), Leases: toHeld(held.Leases)}
	if err := checkHello(hello); err != nil {
		return nil, err
	}
	var line *stream
	err := c.retry(ctx, "attach", func(ctx context.Context, v view, conn grpc.ClientConnInterface) (err error) {
		line, err = c.attach(ctx, v, conn, hello)
		return err
	})
	if err != nil {
		return nil, err
	}
	return line, nil
}

// attach opens a stream whose life is the Client's, while ctx can still break off the opening.
func (c *Client) attach(ctx context.Context, v view, conn grpc.ClientConnInterface, hello *metapb.Hello) (*stream, error) {
	life, cancel := context.WithCancel(c.base)
	stop := context.AfterFunc(ctx, cancel)
	rpc, err := open(life, conn, hello)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		cancel()
		return nil, err
	}
	s := &stream{client: c, view: v, rpc: rpc, life: life, cancel: cancel}
	c.finder.spawn(s.follow)
	return s, nil
}

// open sends the hello and waits for the header that says it was taken.
func open(ctx context.Context, conn grpc.ClientConnInterface, hello *metapb.Hello) (metapb.Meta_AttachClient, error) {
	rpc, err := metapb.NewMetaClient(conn).Attach(ctx, callOptions()...)
	if err != nil {
		return nil, err
	}
	// An error of Send is io.EOF; what really happened comes from Header or Recv.
	sent := rpc.Send(&metapb.FromMount{Kind: &metapb.FromMount_Hello{Hello: hello}})
	header, err := rpc.Header()
	if err != nil {
		return nil, err
	}
	if len(header.Get(attachedHeader)) == 0 {
		_, err = rpc.Recv()
		if err == nil {
			err = fmt.Errorf("attach: the server sent a notice before its header: %w", fs.ErrInternal)
		}
		return nil, err
	}
	return rpc, sent
}

// stream is a session's line to the leader.
type stream struct {
	client *Client
	view   view // the leader it was opened at
	rpc    metapb.Meta_AttachClient
	life   context.Context
	cancel context.CancelFunc // of life
	closed atomic.Bool

	mu      sync.Mutex
	settled func() // ends the doubt about the leader; nil: everything that was sent has been answered
}

// follow ends the stream when somebody else leads.
func (s *stream) follow() {
	select {
	case <-s.client.finder.away(s.view):
		s.cancel()
	case <-s.life.Done():
	}
}

// waits begins to doubt the leader, as long as nothing is heard.
func (s *stream) waits() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled == nil {
		s.settled = s.client.suspect(s.life, s.view, s.cancel)
	}
}

func (s *stream) heard() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.settled != nil {
		s.settled()
		s.settled = nil
	}
}

// Send implements fs.Stream.
func (s *stream) Send(b fs.Beat) error {
	beat := toBeat(b)
	if err := checkBeat(beat); err != nil {
		return err
	}
	if err := s.rpc.Send(&metapb.FromMount{Kind: &metapb.FromMount_Beat{Beat: beat}}); err != nil {
		return s.broken(err)
	}
	s.waits()
	return nil
}

// Recv implements fs.Stream.
func (s *stream) Recv() (fs.Notice, error) {
	m, err := s.rpc.Recv()
	if err != nil {
		return fs.Notice{}, s.broken(err)
	}
	s.heard()
	n := fromNotice(m)
	s.client.peers.learn(n.Nodes)
	return n, nil
}

// broken says why the stream ended. Whatever it was, its leader has to prove itself again.
func (s *stream) broken(err error) error {
	s.cancel()
	if s.closed.Load() || s.client.base.Err() != nil {
		return fmt.Errorf("session stream: %w", fs.ErrClosed)
	}
	again, err := elsewhere(err)
	if again {
		s.client.finder.distrust(s.view, hintOf(err), err)
	}
	return fmt.Errorf("session stream to %s: %w", s.view.addr, err)
}

// Close implements fs.Stream.
func (s *stream) Close() error {
	s.closed.Store(true)
	s.cancel()
	return nil
}
