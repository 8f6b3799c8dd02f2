package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"dfs/fs"
)

// Times of the ring. Together they find a dead node within about three to five seconds, and bear that a machine with
// two busy cores answers a probe two seconds late.
const (
	beatInterval     = time.Second // between a node's reports
	probeEvery       = 750 * time.Millisecond
	probeTimeout     = 400 * time.Millisecond
	suspicionMult    = 3 // × probeEvery: silence after the first missed probe until death
	suspicionMaxMult = 2 // × that, while nobody confirms the suspicion
	pushPullEvery    = 10 * time.Second
	streamTimeout    = 2 * time.Second
	reclaimAfter     = time.Second // a dead node may come back at another address
	leaveTimeout     = time.Second
)

// RingConfig makes a Ring.
type RingConfig struct {
	Node      fs.NodeID
	Listen    string   // host:port of gossip, TCP and UDP; port 0 takes any free one
	Advertise string   // host:port that others are told; empty means Listen
	Join      []string // host:port of any members; they need not be there yet
	Insecure  bool     // allow plaintext beyond loopback
	SecretKey []byte   // 16, 24 or 32 bytes encrypt gossip with AES; nil: plaintext

	Addr    string // host:port of RPC and Raft, as others reach it
	Zone    string
	Version string
	Cluster string // id; empty while the node belongs to none, see [Ring.SetCluster]
	Expect  int    // --bootstrap-expect; 0: not a candidate

	// Load and Applied (the Raft index) are asked about once a second; they must answer at once. Nil: zero.
	Load    func() fs.Load
	Applied func() uint64
	// Dialer, if any, breaks its connections to members that are declared dead.
	Dialer *Dialer
	Log    *slog.Logger // nil: none
}

func (c *RingConfig) validate() error {
	check := func(what, value string, limit int) error {
		if len(value) > limit {
			return fmt.Errorf("%s is %d bytes long, at most %d are allowed: %w", what, len(value), limit, fs.ErrInvalid)
		}
		return nil
	}
	err := errors.Join(check("node id", string(c.Node), nodeIDMax), check("address", c.Addr, addrMax),
		check("zone", c.Zone, zoneMax), check("version", c.Version, versionMax), check("cluster id", c.Cluster, clusterMax))
	if c.Node == "" {
		err = errors.Join(err, fmt.Errorf("the node has no id: %w", fs.ErrInvalid))
	}
	if _, _, e := net.SplitHostPort(c.Addr); e != nil {
		err = errors.Join(err, fmt.Errorf("address %q is not HOST:PORT: %w", c.Addr, fs.ErrInvalid))
	}
	if c.Expect < 0 || c.Expect > ExpectMax {
		err = errors.Join(err, fmt.Errorf("bootstrap-expect %d is not between 0 and %d: %w", c.Expect, ExpectMax, fs.ErrInvalid))
	}
	if n := len(c.SecretKey); n != 0 && n != 16 && n != 24 && n != 32 {
		err = errors.Join(err, fmt.Errorf("the gossip key is %d bytes long, it must be 16, 24 or 32: %w", n, fs.ErrInvalid))
	}
	return err
}

// Ring is this node's place in the gossip. All methods may be called from any goroutine.
type Ring struct {
	cfg      RingConfig
	log      *slog.Logger
	identity *identity
	table    *table
	list     *memberlist.Memberlist
	gossip   string // own advertised host:port

	cancel context.CancelFunc
	loops  sync.WaitGroup
	kick   chan struct{} // report now
	once   sync.Once
	closed error

	mu      sync.Mutex
	beat    uint64
	leaving bool
}

// OpenRing starts gossiping and returns at once: members are found in the background, for as long as it takes.
// The errors say which flag to change, as those of [Listen] do.
func OpenRing(ctx context.Context, cfg RingConfig) (*Ring, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("gossip: %w", err)
	}
	log := logger(cfg.Log)
	life, cancel := context.WithCancel(context.WithoutCancel(ctx)) // until Close; ctx is for opening only
	r := &Ring{
		cfg: cfg, log: log, table: newTable(), cancel: cancel, kick: make(chan struct{}, 1),
		identity: &identity{self: cfg.Node, cluster: cfg.Cluster, log: log, rejected: make(map[fs.NodeID]Rejection)},
	}
	if err := r.open(ctx, life); err != nil {
		cancel()
		return nil, err
	}
	r.loops.Go(func() { r.beatLoop(life) })
	r.loops.Go(func() { r.joinLoop(life) })
	return r, nil
}

func (r *Ring) open(ctx, life context.Context) error {
	bind, err := resolveBind(ctx, r.cfg.Listen)
	if err != nil {
		return err
	}
	mlog := gossipLogger(r.log)
	transport, err := openGossip(life, bind, exposure{r.cfg.Insecure || len(r.cfg.SecretKey) > 0}, mlog)
	if err != nil {
		return err
	}
	conf, err := r.memberlistConfig(ctx, bind, transport)
	if err == nil {
		conf.Logger = mlog
		r.list, err = memberlist.Create(conf)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("start gossip: %w", err), transport.Shutdown())
	}
	r.gossip = r.list.LocalNode().Address()
	return nil
}

func (r *Ring) memberlistConfig(ctx context.Context, bind netip.AddrPort, transport *gossipNet) (*memberlist.Config, error) {
	port := transport.GetAutoBindPort()
	tell, err := advertised(r.cfg.Advertise, net.TCPAddrFromAddrPort(netip.AddrPortFrom(bind.Addr(), uint16(port))))
	if err != nil {
		return nil, err
	}
	own, err := resolveBind(ctx, string(tell))
	if err != nil {
		return nil, err
	}
	conf := memberlist.DefaultLANConfig()
	conf.Name = string(r.cfg.Node)
	conf.Label = "dfs-gossip" // turns away other programs that gossip with the same library
	conf.Transport = transport
	conf.BindAddr, conf.BindPort = bind.Addr().String(), port
	conf.AdvertiseAddr, conf.AdvertisePort = own.Addr().String(), int(own.Port())
	conf.SecretKey = r.cfg.SecretKey
	conf.ProbeInterval, conf.ProbeTimeout = probeEvery, probeTimeout
	conf.SuspicionMult, conf.SuspicionMaxTimeoutMult = suspicionMult, suspicionMaxMult
	conf.AwarenessMaxMultiplier = 4
	conf.GossipInterval = 100 * time.Millisecond
	conf.PushPullInterval = pushPullEvery
	conf.TCPTimeout = streamTimeout
	conf.DeadNodeReclaimTime = reclaimAfter
	conf.EnableCompression = false // reports are small, and the cores are busy
	d := (*delegate)(r)
	conf.Delegate, conf.Events, conf.Alive, conf.Merge, conf.Conflict = d, d, d, d, d
	return conf, nil
}

// Gossip is the advertised host:port of this node's gossip, for others' Join.
func (r *Ring) Gossip() string { return r.gossip }

// Members lists the nodes that were heard of in the last day, this one included, ordered by id.
func (r *Ring) Members() []fs.NodeInfo {
	details := r.Details()
	infos := make([]fs.NodeInfo, len(details))
	for i := range details {
		infos[i] = details[i].NodeInfo
	}
	return infos
}

// Details is Members with all that gossip knows.
func (r *Ring) Details() []Member {
	members := r.table.list(time.Now())
	for i := range members {
		if members[i].ID == r.cfg.Node { // no rumour about ourselves counts
			members[i].State = fs.NodeAlive
		}
	}
	return members
}

// Changed returns a channel that is closed when next a member appears, dies, leaves, moves or changes its cluster. Ask
// for it before Members, so that nothing falls in between. Loads change without it, and so does suspicion.
func (r *Ring) Changed() <-chan struct{} { return r.table.watch() }

// Rejected lists nodes that were turned away, oldest first: of another cluster, of a version that this build cannot
// read, or a second machine with a node id that is taken.
func (r *Ring) Rejected() []Rejection { return r.identity.list() }

// Cluster is the id of the cluster that this node belongs to; empty if none.
func (r *Ring) Cluster() string { return r.identity.own() }

// SeenCluster is the id of the cluster that this node belongs to or, while it belongs to none, of the first one that it
// has met since it started, even if that is silent now: a node that has met a cluster joins it and forms none.
func (r *Ring) SeenCluster() string { return r.identity.seen() }

// SetCluster says that this node now belongs to a cluster and tells the others. It may be repeated; another id than
// before is fs.ErrWrongCluster.
func (r *Ring) SetCluster(id string) error {
	if err := r.identity.set(id); err != nil {
		return err
	}
	select {
	case r.kick <- struct{}{}:
	default: // one is waiting already
	}
	return nil
}

// Close says goodbye, within about two seconds, and stops.
func (r *Ring) Close() error {
	r.once.Do(func() { r.closed = r.close(true) })
	return r.closed
}

func (r *Ring) close(goodbye bool) error {
	r.cancel()
	r.loops.Wait()
	if goodbye {
		r.mu.Lock()
		r.leaving = true
		r.mu.Unlock()
		r.announce(leaveTimeout)
		if err := r.list.Leave(leaveTimeout); err != nil {
			r.log.Debug("nobody took the goodbye; the others will find out", "err", err)
		}
	}
	if err := r.list.Shutdown(); err != nil {
		return fmt.Errorf("stop gossip: %w", err)
	}
	return nil
}

func (r *Ring) beatLoop(ctx context.Context) {
	tick := time.NewTicker(beatInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-r.kick:
		}
		r.announce(beatInterval)
	}
}

// announce gossips a new report of this node.
func (r *Ring) announce(timeout time.Duration) {
	r.mu.Lock()
	r.beat++
	r.mu.Unlock()
	if err := r.list.UpdateNode(timeout); err != nil {
		r.log.Debug("nobody took the report in time; the next one will do", "err", err)
	}
}

// report is what this node says about itself now.
func (r *Ring) report() report {
	r.mu.Lock()
	beat, leaving := r.beat, r.leaving
	r.mu.Unlock()
	rep := report{
		addr: r.cfg.Addr, zone: r.cfg.Zone, version: r.cfg.Version, cluster: r.identity.own(),
		expect: uint32(r.cfg.Expect), leaving: leaving, beat: beat,
	}
	if r.cfg.Load != nil {
		rep.load = r.cfg.Load()
	}
	if r.cfg.Applied != nil {
		rep.applied = r.cfg.Applied()
	}
	return rep
}
