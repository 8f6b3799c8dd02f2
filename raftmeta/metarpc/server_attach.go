package metarpc

import (
	"fmt"

	"google.golang.org/grpc/metadata"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// attachedHeader is sent once the implementation has taken the session: from then on the stream lives.
const attachedHeader = "dfs-attached"

// Attach implements metapb.MetaServer.
func (s *Server) Attach(stream metapb.Meta_AttachServer) error {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		return rpcerr.ToStatus(fmt.Errorf("%d sessions are attached, no more are taken: %w", cap(s.streams), fs.ErrUnavailable))
	}
	line, err := s.attach(stream)
	if err != nil {
		return rpcerr.ToStatus(err)
	}
	if err := stream.SendHeader(metadata.Pairs(attachedHeader, "1")); err != nil {
		s.closeLine(line)
		return err // the transport's own status
	}
	return s.relay(stream, line)
}

func (s *Server) attach(stream metapb.Meta_AttachServer) (fs.Stream, error) {
	first, err := stream.Recv()
	if err != nil {
		return nil, fmt.Errorf("attach: no hello: %w", rpcerr.FromStatus(err))
	}
	hello := first.GetHello()
	if hello == nil {
		return nil, invalid("attach: the first message is no hello")
	}
	if err := checkHello(hello); err != nil {
		return nil, err
	}
	held := fs.Held{Pins: each(hello.GetPins(), fromIno), Leases: fromLeases(hello.GetLeases())}
	return s.meta.Attach(stream.Context(), fromSession(hello.GetSession()), held)
}

// relay runs until either side ends. The goroutine ends when the handler has returned, since that breaks the stream; it
// closes the line in any case.
func (s *Server) relay(stream metapb.Meta_AttachServer, line fs.Stream) error {
	up := make(chan error, 1)
	s.beats.Add(1)
	go func() {
		defer s.beats.Done()
		up <- beatsUp(stream, line)
		s.closeLine(line) // ends Recv below
	}()
	for {
		n, err := line.Recv()
		if err == nil {
			err = stream.Send(toNotice(n))
		}
		if err != nil {
			return ended(up, err)
		}
	}
}

// ended prefers why the mount's side ended over the error that this made on the other side.
func ended(up <-chan error, down error) error {
	select {
	case err := <-up:
		if err != nil {
			return rpcerr.ToStatus(err)
		}
		return nil
	default:
		return rpcerr.ToStatus(down)
	}
}

// beatsUp passes beats on; nil when the mount hung up.
func beatsUp(stream metapb.Meta_AttachServer, line fs.Stream) error {
	for {
		m, err := stream.Recv()
		if err != nil {
			return nil // the mount is gone: there is nobody to tell
		}
		beat := m.GetBeat()
		if beat == nil {
			return invalid("attached stream: a message that is no beat")
		}
		if err := checkBeat(beat); err != nil {
			return err
		}
		if err := line.Send(fromBeat(beat)); err != nil {
			return err
		}
	}
}

func (s *Server) closeLine(line fs.Stream) {
	if err := line.Close(); err != nil {
		s.log.Debug("closing a session's stream", "err", err)
	}
}
