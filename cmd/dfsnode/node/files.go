package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/fs/rest"
	"dfs/fs/vfs"
)

const (
	filesConnect  = 10 * time.Second // to find the leader and open the session
	filesOp       = 30 * time.Second
	filesCloseMax = 3 * time.Second
)

// restFront makes the front of the files.
func (n *Node) restFront() (*rest.Server, error) {
	cfg, err := n.cfg.REST.Front()
	if err != nil {
		return nil, err
	}
	cfg.FS, cfg.Observe, cfg.Logger = n.files.get, n.measures.rest.observe, n.log
	return rest.New(cfg), nil
}

// admitFiles refuses to serve files to everybody who reaches an address beyond loopback. With TLS it is not everybody; see
// forMounts.
func (n *Node) admitFiles(bound string) error {
	if n.cfg.REST.TokenFile != "" || n.cfg.Insecure || n.tls != nil || cluster.IsLoopback(bound) {
		return nil
	}
	return fmt.Errorf("%w: --http %s would let everybody who reaches it read and write all files: give --rest-token-file, or --insecure to allow it", config.ErrUsage, bound)
}

// forMounts lets only those at the files whose certificate lets them mount everything: the front has one session for all, which is
// the node's. Without TLS it lets everybody: then it is the address, or a token, that decides.
func forMounts(files http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS == nil || !strings.HasPrefix(r.URL.EscapedPath(), rest.Prefix) {
			files.ServeHTTP(w, r)
			return
		}
		peer, _ := pki.PeerOf(*r.TLS) // nobody: refused
		switch {
		case peer.Role != pki.RoleMount && peer.Role != pki.RoleNode:
			forbid(w, "files are for certificates of the role mount")
		case peer.Scope != fs.Scope{}:
			forbid(w, "this certificate is bound to a part of the tree or to reading: use a mount (dfsmount)")
		default:
			files.ServeHTTP(w, r)
		}
	})
}

func forbid(w http.ResponseWriter, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusForbidden)
	_, _ = fmt.Fprintf(w, `{"code":"forbidden","message":%q}`+"\n", why) // who has gone needs no answer
}

// filesSession is the session that the front works under. It is opened by the first request: a node whose front nobody
// uses is no mount.
type filesSession struct {
	turn   chan struct{}                                // held by who opens or closes
	open   func(context.Context) (*mount.Client, error) // nil: the node is starting
	client *mount.Client
	closed bool
}

// take takes the turn.
func (s *filesSession) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", fs.ErrUnavailable, ctx.Err())
	}
}

// get is the session's engine. While there is no cluster, who waits for another's try to end does not then try for as long
// again: a queue of them would wait for ever.
func (s *filesSession) get(ctx context.Context) (*vfs.FS, error) {
	ctx, cancel := context.WithTimeout(ctx, filesConnect)
	defer cancel()
	if err := s.take(ctx); err != nil {
		return nil, err
	}
	defer func() { <-s.turn }()
	switch {
	case s.closed:
		return nil, fs.ErrClosed
	case s.open == nil:
		return nil, fmt.Errorf("the node is starting: %w", fs.ErrUnavailable)
	case s.client != nil:
		return s.client.FS, nil
	}
	c, err := s.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", fs.ErrUnavailable, err)
	}
	s.client = c
	return c.FS, nil
}

// openFiles lets requests open the session from now on, and closes it before the services that it needs.
func (n *Node) openFiles(ctx context.Context) error {
	if err := n.files.take(ctx); err != nil {
		return err
	}
	n.files.open = n.openSession
	<-n.files.turn
	n.onClose("REST session", n.closeFiles)
	return nil
}

// openSession opens a session as a mount does, with this node's own connections and disk.
func (n *Node) openSession(ctx context.Context) (*mount.Client, error) {
	c, err := mount.Open(ctx, mount.Config{
		Hosts: n.transport.Addr(), Dir: fs.RestPath + string(n.dir.id), WritePolicy: n.cfg.Placement, ReadPolicy: "p2c", Zone: n.cfg.Zone,
		DirtyMax: 64 << 20, FlushAge: time.Second, ConnectTimeout: filesConnect, OpTimeout: filesOp, Insecure: n.cfg.Insecure,
	}, mount.Deps{Version: n.deps.Version, Faults: n.deps.Faults, Logger: n.log, Dialer: n.transport.Dialer, OpenStore: n.openPeer})
	if err != nil {
		return nil, err
	}
	c.CountBy(n.measures.rest.activity)
	return c, nil
}

func (n *Node) closeFiles() error {
	ctx, cancel := context.WithTimeout(context.Background(), filesCloseMax)
	defer cancel()
	if err := n.files.take(ctx); err != nil {
		return err
	}
	defer func() { <-n.files.turn }()
	n.files.closed = true
	if n.files.client == nil {
		return nil
	}
	err := n.files.client.Close(ctx)
	if errors.Is(err, fs.ErrUnavailable) || errors.Is(err, fs.ErrFenced) {
		n.log.Warn("uploads that were under way are lost", "err", err) // and were never acknowledged
		return nil
	}
	return err
}
