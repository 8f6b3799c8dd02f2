package replica

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"dfs/blob"
	"dfs/blob/memstore"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

const blobLength = 100

// tb is what a *testing.T and a *rapid.T have in common.
type tb interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

// world is a cluster in one goroutine: a log, nodes that have applied a prefix of it each, disks, keepers whose rounds
// are run by hand, and a network that loses requests and answers, and delivers late.
type world struct {
	t tb

	mu      sync.Mutex              // what follows; rounds use a few goroutines
	chance  *rand.Rand              // nil: nothing goes wrong by chance
	at      func(step string) error // nil, or what happens at failpoints
	log     []entry
	truth   *state.Memory // the whole log, applied
	term    uint64
	leader  fs.NodeID
	nodes   map[fs.NodeID]*node
	ids     []fs.NodeID
	delayed []func()
}

type entry struct {
	term uint64
	cmd  command.Command
}

type node struct {
	w       *world
	id      fs.NodeID
	disk    *memstore.Store
	down    bool
	mem     *state.Memory
	applied int
	keeper  *Keeper
	set     *Set
}

func two() int { return 2 }

var errLost = fmt.Errorf("lost on the network: %w", fs.ErrUnavailable)

func newWorld(t tb, ids ...fs.NodeID) *world {
	w := &world{t: t, truth: state.NewMemory(), term: 1, leader: ids[0], nodes: map[fs.NodeID]*node{}, ids: ids}
	for _, id := range ids {
		n := &node{w: w, id: id, disk: memstore.New(memstore.Config{Node: id}), mem: state.NewMemory()}
		w.nodes[id] = n
		n.restart()
	}
	w.decide(&command.Init{Cluster: "test", Replicas: 3, MinReplicas: 2, InlineMax: 100, SessionTimeout: 1000})
	for _, id := range ids {
		w.decide(&command.PutNode{Node: fs.NodeInfo{ID: id, Addr: string(id)}, Storing: true})
	}
	w.catchUp()
	return w
}

// restart gives a node a new keeper, which remembers nothing.
func (n *node) restart() {
	if n.set != nil {
		_ = n.set.Close()
	}
	var err error
	n.set, err = NewSet(Config{Nodes: n.w.view, Open: n.w.open, Replicas: 3, MinReplicas: two, Faults: n.w.fault, patience: time.Minute})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.keeper, err = newKeeper(KeeperConfig{Node: n.id, Store: n.disk, Set: n.set, Meta: n, Faults: n.w.fault,
		RepairParallel: 1})
	if err != nil {
		n.w.t.Fatal(err)
	}
	n.keeper.cfg.Grace = 0
}

func (w *world) close() {
	for _, n := range w.nodes {
		_ = n.set.Close()
	}
}

func (w *world) view() []fs.NodeInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []fs.NodeInfo
	for _, id := range w.ids {
		s := fs.NodeAlive
		if w.nodes[id].down {
			s = fs.NodeDead
		}
		list = append(list, fs.NodeInfo{ID: id, Addr: string(id), State: s})
	}
	return list
}

func (w *world) open(n fs.NodeInfo) (blob.Store, error) { return &remote{w.nodes[n.ID]}, nil }

// oneIn reports whether a mishap happens that happens once in n times.
func (w *world) oneIn(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.chance != nil && w.chance.IntN(n) == 0
}

// fault is a failpoint of keepers and sets: the step, or its answer, is lost as if the process had died there.
func (w *world) fault(step string) error {
	if w.at != nil {
		return w.at(step)
	}
	if w.oneIn(25) {
		return fmt.Errorf("died at %s: %w", step, fs.ErrUnavailable)
	}
	return nil
}

// View implements Metadata.
func (n *node) View(fn func(state.View, Position) error) error {
	n.w.mu.Lock()
	mem, at := n.mem.Clone(), Position{Index: uint64(n.applied)}
	if n.applied > 0 {
		at.Term = n.w.log[n.applied-1].term
	}
	n.w.mu.Unlock()
	return fn(state.NewView(mem), at)
}

// Leader implements Metadata.
func (n *node) Leader() (uint64, bool) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	return n.w.term, n.w.leader == n.id && n.applied == len(n.w.log)
}

// ProposeIn implements Metadata.
func (n *node) ProposeIn(_ context.Context, term uint64, cmd command.Command) (state.Answer, error) {
	n.w.mu.Lock()
	leads := n.w.leader == n.id && n.w.term == term
	n.w.mu.Unlock()
	if !leads {
		return state.Answer{}, fs.ErrNotLeader
	}
	if n.w.oneIn(20) {
		return state.Answer{}, errLost
	}
	answer := n.w.decide(cmd)
	n.apply(n.w.end())
	if n.w.oneIn(20) {
		return state.Answer{}, errLost
	}
	return answer, nil
}

// decide appends an entry, as committed.
func (w *world) decide(cmd command.Command) state.Answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.log = append(w.log, entry{w.term, cmd})
	answer, err := state.Apply(w.truth, uint64(len(w.log)), cmd)
	if err != nil {
		w.t.Fatalf("apply %T: %v", cmd, err)
	}
	return answer
}

// apply brings a node's state to a position, which may lie behind: then it is built anew.
func (n *node) apply(to int) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	if to < n.applied {
		n.mem, n.applied = state.NewMemory(), 0
	}
	for ; n.applied < to; n.applied++ {
		if _, err := state.Apply(n.mem, uint64(n.applied)+1, n.w.log[n.applied].cmd); err != nil {
			n.w.t.Fatalf("apply: %v", err)
		}
	}
}

func (w *world) end() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.log)
}

func (w *world) catchUp() {
	for _, n := range w.nodes {
		n.apply(w.end())
	}
}

// lead makes a node the leader of the next term; its first entry is of that term.
func (w *world) lead(id fs.NodeID) {
	w.mu.Lock()
	w.term++
	w.leader = id
	w.mu.Unlock()
	w.decide(&command.Forget{}) // changes nothing
	w.nodes[id].apply(w.end())
}

// remote is a node's disk across the network.
type remote struct{ n *node }

func (r *remote) send(ctx context.Context, late bool, call func(context.Context) error) error {
	r.n.w.mu.Lock()
	down := r.n.down
	r.n.w.mu.Unlock()
	switch {
	case down || r.n.w.oneIn(15):
		return errLost
	case late && r.n.w.oneIn(15):
		r.n.w.mu.Lock()
		r.n.w.delayed = append(r.n.w.delayed, func() { _ = call(context.Background()) })
		r.n.w.mu.Unlock()
		return errLost
	}
	err := call(ctx)
	if err == nil && r.n.w.oneIn(15) {
		return errLost
	}
	return err
}

func (r *remote) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) (voters []fs.NodeID, err error) {
	b = blob.New(b.ID, slices.Clone(b.Data))
	err = r.send(ctx, true, func(ctx context.Context) error {
		v, err := r.n.disk.Stage(ctx, tx, b)
		voters = v
		return err
	})
	return voters, err
}

func (r *remote) Commit(ctx context.Context, ids []fs.BlobID) error {
	return r.send(ctx, true, func(ctx context.Context) error { return r.n.disk.Commit(ctx, ids) })
}

func (r *remote) Drop(ctx context.Context, staged []blob.Staged) error {
	return r.send(ctx, true, func(ctx context.Context) error { return r.n.disk.Drop(ctx, staged) })
}

func (r *remote) Delete(ctx context.Context, ids []fs.BlobID) error {
	return r.send(ctx, true, func(ctx context.Context) error { return r.n.disk.Delete(ctx, ids) })
}

func (r *remote) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (out *blob.Range, err error) {
	err = r.send(ctx, false, func(ctx context.Context) error {
		out, err = r.n.disk.Get(ctx, info, off, n)
		return err
	})
	return out, err
}

func (r *remote) List(ctx context.Context, after fs.BlobID, limit int) ([]blob.Entry, error) {
	return r.n.disk.List(ctx, after, limit)
}

func (r *remote) Usage(ctx context.Context) (blob.Usage, error) {
	var u blob.Usage
	err := r.send(ctx, false, func(ctx context.Context) (err error) {
		u, err = r.n.disk.Usage(ctx)
		return err
	})
	return u, err
}

// blobOf makes the one blob that has an id.
func blobOf(id fs.BlobID) *blob.Blob {
	data := make([]byte, blobLength)
	for i := range data {
		data[i] = byte(uint64(i) * (id.Counter + uint64(id.Session)*31 + 7))
	}
	return blob.New(id, data)
}

// intact reports whether a node's disk has a blob, staged or live, with the right bytes.
func (n *node) intact(id fs.BlobID) bool {
	info := blobOf(id).Info(nil)
	r, err := n.disk.Get(context.Background(), &info, 0, info.Length)
	if err != nil {
		return false
	}
	_, err = r.Verify(&info, 0, info.Length)
	return err == nil
}

func (w *world) table() []state.BlobRecord {
	list, err := state.NewView(w.truth).Blobs(fs.BlobID{}, 1<<20)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// settled says in which way the world is not at rest: every disk holds what the table says, live, and nothing else.
func (w *world) settled() error {
	want := map[fs.NodeID][]fs.BlobID{}
	for _, r := range w.table() {
		if r.LiveBytes == 0 {
			return fmt.Errorf("blob %s is garbage still", r.ID)
		}
		if len(r.Replicas) < r.Wanted {
			return fmt.Errorf("blob %s has %d replicas, wants %d", r.ID, len(r.Replicas), r.Wanted)
		}
		for _, id := range r.Replicas {
			want[id] = append(want[id], r.ID)
		}
	}
	for _, id := range w.ids {
		if err := w.nodes[id].holdsExactly(want[id]); err != nil {
			return fmt.Errorf("node %s: %w", id, err)
		}
	}
	return nil
}

func (n *node) holdsExactly(want []fs.BlobID) error {
	list, err := n.disk.List(context.Background(), fs.BlobID{}, blob.ListMax)
	if err != nil {
		return err
	}
	var got []fs.BlobID
	for _, e := range list {
		if e.Staged {
			return fmt.Errorf("blob %s is still staged, under %s", e.ID, e.Tx.ID)
		}
		if !n.intact(e.ID) {
			return fmt.Errorf("blob %s is damaged", e.ID)
		}
		got = append(got, e.ID)
	}
	if !slices.Equal(got, want) {
		return fmt.Errorf("has %v, should have %v", got, want)
	}
	return nil
}

// rest runs rounds, undisturbed, until the world is settled.
func (w *world) rest() {
	w.mu.Lock()
	w.chance = nil
	late := w.delayed
	w.delayed = nil
	w.mu.Unlock()
	for _, deliver := range late {
		deliver()
	}
	for _, n := range w.nodes {
		n.down = false
		n.restart()
	}
	w.lead(w.leader)
	err := errors.New("not looked yet")
	for range 12 {
		w.round()
		if err = w.settled(); err == nil {
			return
		}
	}
	w.t.Fatalf("the world does not come to rest: %v", err)
}

// round has every keeper do everything once.
func (w *world) round() {
	ctx := context.Background()
	w.catchUp()
	for _, id := range w.ids {
		k := w.nodes[id].keeper
		if err := errors.Join(k.sweepStaged(ctx), k.inspect(ctx, true)); err != nil {
			w.t.Fatalf("node %s: %v", id, err)
		}
		k.collect(ctx)
		k.repair(ctx)
		w.catchUp()
	}
}
