package localmeta

import (
	"fmt"
	"sync"
	"time"

	"dfs/fs"
	"dfs/fs/lock"
	"dfs/raftmeta/command"
	"dfs/raftmeta/leasedesk"
	"dfs/raftmeta/room"
	"dfs/raftmeta/state"
)

// Config is what the cluster is formed with. Zero fields take the defaults.
type Config struct {
	Replicas      int   // 1
	MinReplicas   int   // 1
	InlineMax     int   // fs.InlineMax, bytes
	TimeoutMillis int64 // of sessions, 10,000
	// ReapDelay is how long an orphan is left alone. The leader's is some seconds, so that whoever has looked up a name a
	// moment before it was taken away can still open the inode, as on a local disk; 0 frees it at once.
	ReapDelay time.Duration
	Nodes     []fs.NodeInfo // the founders, told to every mount in its first notice
	Space     fs.Statfs     // what Statfs answers; Inodes is counted
}

// Cluster is the replicated metadata, unreplicated. Its methods may be called from any goroutine.
type Cluster struct {
	cfg Config

	mu       sync.Mutex
	kv       *state.Memory
	index    uint64
	pins     map[fs.SessionID]map[fs.Ino]uint64 // the round in which each was last registered
	rounds   map[fs.SessionID]uint64            // how many streams each session has had
	streams  map[fs.SessionID]*stream
	awaiting map[fs.SessionID]bool // sessions that have to attach, and to beat, before anything is reaped
	nodes    []fs.NodeInfo
	term     uint64          // counts the failovers, from 1
	desk     *leasedesk.Desk // of this term; it may be called with mu held, and never takes it
	locks    *lock.Table
	rooms    *room.Table
}

// New forms a cluster with an empty root directory.
func New(cfg Config) (*Cluster, error) {
	cfg.Replicas = max(cfg.Replicas, 1)
	cfg.MinReplicas = max(cfg.MinReplicas, 1)
	if cfg.InlineMax == 0 {
		cfg.InlineMax = fs.InlineMax
	}
	if cfg.TimeoutMillis == 0 {
		cfg.TimeoutMillis = 10_000
	}
	if cfg.Space == (fs.Statfs{}) {
		cfg.Space = fs.Statfs{TotalBytes: 1 << 40, FreeBytes: 1 << 39}
	}
	c := &Cluster{
		cfg: cfg, kv: state.NewMemory(), nodes: cfg.Nodes, rooms: room.NewTable(),
		pins:     make(map[fs.SessionID]map[fs.Ino]uint64),
		rounds:   make(map[fs.SessionID]uint64),
		streams:  make(map[fs.SessionID]*stream),
		awaiting: make(map[fs.SessionID]bool),
		term:     1, desk: leasedesk.New(1, nil),
		locks: lock.NewTable(),
	}
	_, err := c.apply(&command.Init{Cluster: "local", Time: 1, Replicas: cfg.Replicas, MinReplicas: cfg.MinReplicas,
		InlineMax: cfg.InlineMax, SessionTimeout: cfg.TimeoutMillis, Founders: cfg.Nodes})
	if err == nil {
		_, err = c.apply(&command.KeepAccounts{})
	}
	return c, err
}

// apply carries out the next command of the log, through its encoding; mu is held (or c is not shared yet).
func (c *Cluster) apply(cmd command.Command) (state.Answer, error) {
	decoded, err := command.Decode(command.Encode(cmd))
	if err != nil {
		return state.Answer{}, fmt.Errorf("%T: %w", cmd, err)
	}
	c.index++
	answer, err := state.Apply(c.kv, c.index, decoded)
	if err != nil {
		return answer, fmt.Errorf("the state machine is broken: %w", err)
	}
	if answer.Err != fs.CodeOK {
		return answer, fmt.Errorf("%T: %w", cmd, fs.FromCode(answer.Err))
	}
	return answer, nil
}

// View calls fn with a view of the state as it is now.
func (c *Cluster) View(fn func(state.View)) {
	c.mu.Lock()
	kv := c.kv.Clone()
	c.mu.Unlock()
	fn(state.NewView(kv))
}

// Check audits the state; nil means that all of its invariants hold.
func (c *Cluster) Check() error {
	c.mu.Lock()
	kv := c.kv.Clone()
	c.mu.Unlock()
	return state.Check(kv)
}

// Expire ends a session as the leader does when it hears nothing from it: whatever the session still does is fenced.
func (c *Cluster) Expire(s fs.Session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.apply(&command.EndSession{Session: s.ID, Epoch: s.Epoch, Expired: true})
	c.leave(s.ID, fs.ErrFenced)
	return err
}

// ExpireAll ends every session.
func (c *Cluster) ExpireAll() error {
	var all []state.SessionRecord
	var err error
	c.View(func(v state.View) { all, err = v.Sessions() })
	for _, s := range all {
		if err == nil {
			err = c.Expire(s.Session)
		}
	}
	return err
}

// Failover breaks every stream and forgets the pins, the leases and the locks, as a change of leaders does. Nothing is reaped until
// every live session has attached again and beaten once, and no lease granted until all have attached. Calls that wait for leases
// go on waiting, in the new term.
func (c *Cluster) Failover() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	live, err := state.NewView(c.kv).Sessions()
	if err != nil {
		return err
	}
	clear(c.pins)
	c.locks = lock.NewTable()
	owing := make([]fs.SessionID, 0, len(live))
	for _, s := range live {
		c.awaiting[s.ID] = true
		c.locks.Owe(s.ID)
		owing = append(owing, s.ID)
	}
	c.desk.Close(errDeposed)
	c.term++
	c.desk = leasedesk.New(c.term, owing)
	for id, s := range c.streams {
		s.end(fs.ErrUnavailable)
		delete(c.streams, id)
	}
	return nil
}

// news is what mounts are told of the nodes; mu is held.
func (c *Cluster) news() fs.Notice {
	least, err := state.NewView(c.kv).MinReplicas()
	if err != nil {
		panic(err) // a map of ours does not fail
	}
	limited, err := state.NewView(c.kv).Limited()
	if err != nil {
		panic(err)
	}
	return fs.Notice{Nodes: c.nodes, MinReplicas: least, Limits: limited}
}

// Record has the state machine record a node that stores blobs, of which mounts are not told; see Tell.
func (c *Cluster) Record(node fs.NodeInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err := c.apply(&command.PutNode{Node: node, Storing: true})
	return err
}

// Tell sends every attached mount a new list of nodes.
func (c *Cluster) Tell(nodes []fs.NodeInfo) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.nodes = nodes
	for _, s := range c.streams {
		s.push(c.news())
	}
}

// leave forgets what the leader's memory holds of a session; mu is held.
func (c *Cluster) leave(id fs.SessionID, why error) {
	if s := c.streams[id]; s != nil {
		s.end(why)
		delete(c.streams, id)
	}
	pins := c.pins[id]
	delete(c.pins, id)
	delete(c.rounds, id)
	delete(c.awaiting, id)
	c.desk.Drop(id)
	c.locks.Drop(id)
	c.wakeWaiters()
	for ino := range pins {
		c.reapSoon(ino)
	}
}
