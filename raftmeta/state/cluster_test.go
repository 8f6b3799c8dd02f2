package state_test

import (
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// cluster is a formed state with one session, and helpers that fail the test.
type cluster struct {
	t     *testing.T
	kv    *state.Memory
	index uint64
	s     fs.Session
	seq   uint64
	blobs uint64
	now   fs.Time
}

func newCluster(t *testing.T) *cluster {
	c := &cluster{t: t, kv: state.NewMemory(), now: 100}
	c.do(&command.Init{Cluster: "c", Time: 1, Replicas: 3, MinReplicas: 2, InlineMax: 16, SessionTimeout: 500,
		Founders: []fs.NodeInfo{{ID: "n1"}, {ID: "n2"}, {ID: "n3"}}})
	c.s = c.do(&command.OpenSession{}).Session
	inos := c.do(&command.AllocInos{Session: c.s.ID, Epoch: c.s.Epoch, N: 1000}).Inos
	if inos.From != 2 || inos.N != 1000 {
		t.Fatalf("allotted %+v, want 2 and on", inos)
	}
	t.Cleanup(func() {
		if err := state.Check(c.kv); err != nil {
			t.Errorf("at the end of the test: %v", err)
		}
	})
	return c
}

// send applies a command, whatever its answer.
func (c *cluster) send(cmd command.Command) state.Answer {
	c.t.Helper()
	c.index++
	answer, err := state.Apply(c.kv, c.index, cmd)
	if err != nil {
		c.t.Fatalf("apply %+v: %v", cmd, err)
	}
	return answer
}

// do applies a command that must succeed.
func (c *cluster) do(cmd command.Command) state.Answer {
	c.t.Helper()
	answer := c.send(cmd)
	if answer.Err != fs.CodeOK {
		c.t.Fatalf("%+v is refused: %v", cmd, fs.FromCode(answer.Err))
	}
	return answer
}

func (c *cluster) newTx(ops ...fs.Op) *command.Tx {
	c.seq++
	return &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: c.s.ID, Seq: c.seq}, Epoch: c.s.Epoch, Ops: ops, Replicas: 3}}
}

// try sends operations in one transaction.
func (c *cluster) try(ops ...fs.Op) *fs.TxResult {
	c.t.Helper()
	return c.do(c.newTx(ops...)).Tx
}

// ok sends operations that must succeed and returns the last one's result.
func (c *cluster) ok(ops ...fs.Op) fs.Result {
	c.t.Helper()
	r := c.try(ops...)
	if r.Err != fs.CodeOK {
		c.t.Fatalf("operation %d, %+v: %v", r.Failed, ops[r.Failed], fs.FromCode(r.Err))
	}
	return r.Results[len(r.Results)-1]
}

// refused sends a transaction that must fail.
func (c *cluster) refused(want fs.Code, ops ...fs.Op) {
	c.t.Helper()
	if r := c.try(ops...); r.Err != want || r.Results != nil {
		c.t.Errorf("%T %+v: %v, want %v", ops[len(ops)-1], ops[len(ops)-1], fs.FromCode(r.Err), fs.FromCode(want))
	}
}

func (c *cluster) tick() fs.Time { c.now++; return c.now }

// file, dir and such make inodes with the number and name given, in root.
func (c *cluster) make(typ fs.FileType, parent, ino fs.Ino, name string) fs.Attr {
	c.t.Helper()
	o := &fs.Create{Parent: parent, Name: name, Ino: ino, Type: typ, Mode: 0o755, UID: 1, GID: 1, Time: c.tick()}
	if typ == fs.TypeSymlink {
		o.Target = "target"
	}
	return c.ok(o).Attr
}

func (c *cluster) file(ino fs.Ino, name string) { c.t.Helper(); c.make(fs.TypeRegular, 1, ino, name) }

func (c *cluster) dir(ino fs.Ino, name string) { c.t.Helper(); c.make(fs.TypeDir, 1, ino, name) }

func (c *cluster) view() state.View { return state.NewView(c.kv) }

func (c *cluster) attr(ino fs.Ino) fs.Attr {
	c.t.Helper()
	a, err := c.view().Getattr(ino)
	if err != nil {
		c.t.Fatal(err)
	}
	return a
}

func (c *cluster) stats() state.Stats {
	c.t.Helper()
	s, err := c.view().Stats()
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

func (c *cluster) digest() [32]byte {
	c.t.Helper()
	d, err := state.Digest(c.kv)
	if err != nil {
		c.t.Fatal(err)
	}
	return d
}

// info is a new blob of the session.
func (c *cluster) info(length uint32, replicas ...fs.NodeID) fs.BlobInfo {
	if replicas == nil {
		replicas = []fs.NodeID{"n1", "n2", "n3"}
	}
	c.blobs++
	return fs.BlobInfo{ID: fs.BlobID{Session: c.s.ID, Counter: c.blobs}, Length: length, Sum: 7, Replicas: replicas}
}

// store writes a new blob over a file, from offset off on, in extents of the lengths given.
func (c *cluster) store(ino fs.Ino, off uint64, info fs.BlobInfo) {
	c.t.Helper()
	tx := c.newTx(&fs.Write{Ino: ino, Time: c.tick(),
		Extents: []fs.Extent{{Off: off, Len: uint64(info.Length), Blob: info.ID}}})
	tx.Blobs = []fs.BlobInfo{info}
	if r := c.do(tx).Tx; r.Err != fs.CodeOK {
		c.t.Fatal(fs.FromCode(r.Err))
	}
}

func (c *cluster) extents(ino fs.Ino) []fs.Extent {
	c.t.Helper()
	l, err := c.view().Layout(ino, 0, fs.SizeMax)
	if err != nil {
		c.t.Fatal(err)
	}
	return l.Extents
}
