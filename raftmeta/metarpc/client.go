package metarpc

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"time"

	"google.golang.org/grpc"

	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// Config of a Client.
type Config struct {
	// Peers are addresses to start from, host:port; one that answers is enough.
	Peers []string
	// Dial returns the connection to an address, without waiting for it to be established. It is called for every
	// attempt: it should keep connections, and owns them.
	Dial func(addr string) (grpc.ClientConnInterface, error)
	// OpTimeout bounds every call; default 30 s.
	OpTimeout time.Duration
	// AttemptTimeout bounds a call's first attempt at one node; default 2.5 s.
	AttemptTimeout time.Duration
	Logger         *slog.Logger // nil: none
}

// doubtAfter is how long an answer is waited for before it is asked whether somebody else leads.
func (c *Config) doubtAfter() time.Duration { return c.AttemptTimeout * 2 / 5 }

// Validate fills in the defaults.
func (c *Config) Validate() error {
	if len(c.Peers) == 0 {
		return fmt.Errorf("metadata client: no peer addresses: %w", fs.ErrInvalid)
	}
	if c.Dial == nil {
		return fmt.Errorf("metadata client: no Dial: %w", fs.ErrInvalid)
	}
	if c.OpTimeout <= 0 {
		c.OpTimeout = 30 * time.Second
	}
	if c.AttemptTimeout <= 0 {
		c.AttemptTimeout = 2500 * time.Millisecond
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return nil
}

// Client is the cluster's metadata seen from elsewhere. It implements fs.Meta and fs.Membership at the leader, and
// fs.Admin at whichever node answers first; see Admin for a chosen one.
type Client struct {
	cfg    Config
	peers  *peers
	finder *finder
	base   context.Context // lives until Close; streams and the finder end with it
	cancel context.CancelFunc
}

var (
	_ fs.Meta       = (*Client)(nil)
	_ fs.Admin      = (*Client)(nil)
	_ fs.Membership = (*Client)(nil)
)

// NewClient makes a Client; it connects when it is first used.
func NewClient(cfg Config) (*Client, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, peers: newPeers(cfg.Peers)}
	c.base, c.cancel = context.WithCancel(context.Background())
	c.finder = newFinder(c.base, c.peers, c.probe, cfg.AttemptTimeout, cfg.Logger)
	return c, nil
}

// Close ends calls and streams with ErrClosed and waits for the Client's goroutines.
func (c *Client) Close() error {
	c.cancel()
	c.finder.close()
	return nil
}

// absentIno is no inode. Who asks for it waits for nobody's lease.
const absentIno = fs.Ino(math.MaxUint64)

// probe asks a node for something that only the leader answers, that there is no such inode. Any answer but "go elsewhere" is the
// leader's.
func (c *Client) probe(ctx context.Context, addr string) error {
	conn, err := c.cfg.Dial(addr)
	if err != nil {
		return err
	}
	_, err = metapb.NewMetaClient(conn).Getattr(ctx, &metapb.InoRequest{Ino: uint64(absentIno)}, callOptions()...)
	if again, err := elsewhere(err); again {
		return err
	}
	return nil
}

func callOptions() []grpc.CallOption {
	return []grpc.CallOption{grpc.MaxCallRecvMsgSize(MessageBytesMax)}
}
