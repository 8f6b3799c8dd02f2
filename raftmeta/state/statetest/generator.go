package statetest

import (
	"fmt"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// Chooser returns a number in [0, n): the only source of chance. rand.IntN is one; a drawing rapid generator another.
type Chooser func(n int) int

// Generator makes random commands, most of them sensible. It learns session ids and inode numbers from the answers, so
// Observe every one. The same Chooser and answers make the same commands.
type Generator struct {
	// KeepAccounts has the cluster count what is used from its first command on; else from its first quota on.
	KeepAccounts bool
	// SurveyInodes is how many inodes a Survey looks at. 0: every quota is counted at once.
	SurveyInodes int

	choose   Chooser
	now      fs.Time
	step     int
	sessions []*client
	ended    []*client
	inos     []fs.Ino // numbers that were used in a Create, and a few that were not
	spots    []spot
	sent     []*command.Tx // the last ones, to be repeated
	blobs    []fs.BlobInfo // that a Tx carried
	fresh    []fs.BlobInfo // those of the Tx being made
	nodes    []fs.NodeID   // that blobs are put on: recorded, and not yet
	gone     fs.NodeID     // removed last
	named    int           // nodes that have had a name
	root     fs.Ino        // what the session whose Tx is being made is bound to

	accounts bool // are kept
	survey   bool // comes next
}

// client is a session as its mount knows it.
type client struct {
	fs.Session
	seq     uint64
	counter uint64
	inos    fs.InoRange
}

// The bounds of what is generated: small, so that things collide.
const (
	sizeMax  = 48 // bytes of a file
	blobMax  = 24 // bytes of a blob
	inlineIs = 8  // Config.InlineMax
	allotted = 64 // inode numbers at once
)

var (
	names = []string{"a", "b", "c", "d", "e"}
	first = []fs.NodeID{"g1", "g2", "g3", "g4"} // none that a test of whole nodes uses: a leader takes the removed out of Raft
)

// NewGenerator returns a Generator; its first commands form a cluster.
func NewGenerator(choose Chooser) *Generator {
	return &Generator{choose: choose, now: 1000, inos: []fs.Ino{fs.RootIno}, nodes: slices.Clone(first), named: len(first)}
}

// Next makes the next command.
func (g *Generator) Next() command.Command {
	g.step++
	switch g.step {
	case 1:
		return g.init()
	case 2, 3:
		return &command.PutNode{Node: fs.NodeInfo{ID: first[g.step-1], Addr: "host:1", Zone: "z"}, Storing: g.choose(2) == 0}
	}
	if g.KeepAccounts && !g.accounts {
		g.accounts = true
		return &command.KeepAccounts{}
	}
	if g.survey {
		g.survey = false
		return &command.Survey{Inodes: surveyAll}
	}
	if len(g.sessions) == 0 {
		return g.open("", false)
	}
	c := g.sessions[g.choose(len(g.sessions))]
	if c.inos.N == 0 && !c.ReadOnly {
		return &command.AllocInos{Session: c.ID, Epoch: c.Epoch, N: allotted}
	}
	if g.choose(4) > 0 {
		return g.tx(c)
	}
	return g.housekeeping(c)
}

// Observe tells the Generator what a command was answered.
func (g *Generator) Observe(cmd command.Command, answer state.Answer) {
	switch m := cmd.(type) {
	case *command.OpenSession:
		if answer.Err == fs.CodeOK {
			g.sessions = append(g.sessions, &client{Session: answer.Session})
		}
	case *command.Tx:
		g.learn(&m.Tx, answer.Tx)
	case *command.AllocInos:
		for _, c := range g.sessions {
			if c.ID == m.Session && answer.Err == fs.CodeOK {
				c.inos = answer.Inos
			}
		}
	}
}

func (g *Generator) tick() fs.Time {
	g.now++
	return g.now
}

func (g *Generator) init() command.Command {
	return &command.Init{Cluster: "test", Time: g.tick(), Replicas: 3, MinReplicas: 2, InlineMax: inlineIs,
		SessionTimeout: 1000, Founders: []fs.NodeInfo{{ID: first[0], Addr: "host:1", Zone: "z"}}}
}

func (g *Generator) housekeeping(c *client) command.Command {
	switch g.choose(34) {
	case 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33:
		return g.quota()
	case 0:
		return g.init()
	case 1, 19, 20:
		return g.open(g.subtree(), g.choose(8) == 0)
	case 2:
		return g.end(c)
	case 3:
		return &command.AllocInos{Session: c.ID, Epoch: c.Epoch, N: g.choose(allotted)}
	case 4:
		return &command.Abort{Tx: fs.TxID{Session: c.ID, Seq: c.seq + uint64(g.choose(3))}, Epoch: c.Epoch}
	case 5, 6:
		return &command.Reap{Inos: g.some(g.inos), Extents: 1000}
	case 7:
		return g.forget()
	case 8, 9:
		return &command.SetReplicas{Blob: g.blob().ID, Add: g.replicas(), Remove: g.replicas()}
	case 10, 13, 14:
		return g.putNode()
	case 11:
		return g.removeNode()
	case 15, 16, 17, 18:
		return g.token()
	case 12: // from a session that has ended, or with a foreign epoch
		if len(g.ended) > 0 {
			return g.tx(g.ended[g.choose(len(g.ended))])
		}
		t := g.tx(c)
		t.Epoch++
		return t
	}
	if len(g.sent) == 0 {
		return g.tx(c)
	}
	return g.sent[g.choose(len(g.sent))]
}

// open opens a session, bound by its certificate or by what the mount asks for.
func (g *Generator) open(subtree string, readOnly bool) command.Command {
	c := &command.OpenSession{Mount: fs.Mount{Host: "h", PID: g.step, Path: "/mnt", Version: "1", Opened: g.tick(),
		Subtree: subtree, ReadOnly: readOnly}}
	if g.choose(2) == 0 {
		c.Owner = fs.Owner{Name: "n", Role: "mount", Scope: fs.Scope{Subtree: subtree, ReadOnly: readOnly}}
	}
	return c
}

// subtree is a path, mostly of a directory that exists.
func (g *Generator) subtree() string {
	path := ""
	if g.choose(4) == 0 {
		for range g.choose(3) {
			path += "/" + g.name()
		}
		return path
	}
	g.root = fs.RootIno
	dir := g.dir()
	for range g.spots {
		if i := slices.IndexFunc(g.spots, func(s spot) bool { return s.ino == dir }); i >= 0 {
			path, dir = "/"+g.spots[i].name+path, g.spots[i].dir
		}
	}
	return path
}

func (g *Generator) end(c *client) command.Command {
	for n := range g.sessions {
		if g.sessions[n] == c {
			g.sessions = append(g.sessions[:n:n], g.sessions[n+1:]...)
			break
		}
	}
	g.ended = append(g.ended, c)
	return &command.EndSession{Session: c.ID, Epoch: c.Epoch, Expired: g.choose(2) == 0}
}

// node picks a node, now and then the one that was removed last.
func (g *Generator) node() fs.NodeID {
	if g.gone != "" && g.choose(8) == 0 {
		return g.gone
	}
	return g.nodes[g.choose(len(g.nodes))]
}

// putNode records a new node, moves one or has it store, or tries to bring back one that was removed.
func (g *Generator) putNode() command.Command {
	return &command.PutNode{Node: fs.NodeInfo{ID: g.node(), Addr: "host:2"}, Storing: g.choose(2) == 0}
}

// removeNode removes a node; another one will come in its place.
func (g *Generator) removeNode() command.Command {
	place := g.choose(len(g.nodes))
	g.named++
	g.gone, g.nodes[place] = g.nodes[place], fs.NodeID(fmt.Sprintf("g%d", g.named))
	return &command.RemoveNode{Node: g.gone}
}

func (g *Generator) forget() command.Command {
	f := &command.Forget{}
	for range 4 {
		f.Blobs = append(f.Blobs, g.blob().ID)
	}
	return f
}

// some picks a few of a list, with repetitions.
func (g *Generator) some(list []fs.Ino) []fs.Ino {
	var out []fs.Ino
	for range 1 + g.choose(6) {
		out = append(out, list[g.choose(len(list))])
	}
	return out
}

func (g *Generator) replicas() []fs.NodeID {
	var out []fs.NodeID
	for range g.choose(4) {
		out = append(out, g.node())
	}
	return out
}

// blob picks a blob that some transaction carried, or one that none did.
func (g *Generator) blob() fs.BlobInfo {
	if len(g.fresh) > 0 && g.choose(3) > 0 {
		return g.fresh[g.choose(len(g.fresh))]
	}
	if len(g.blobs) == 0 || g.choose(16) == 0 {
		return fs.BlobInfo{ID: fs.BlobID{Session: 99, Counter: 1}, Length: blobMax}
	}
	return g.blobs[len(g.blobs)-1-g.choose(min(len(g.blobs), 12))]
}

// tx makes a transaction of a few operations, with blobs of its own.
func (g *Generator) tx(c *client) *command.Tx {
	c.seq++
	t := &command.Tx{}
	if g.root = c.Root; g.choose(4) == 0 {
		g.root = fs.RootIno
	}
	t.ID, t.Epoch, t.Replicas = fs.TxID{Session: c.ID, Seq: c.seq}, c.Epoch, 3
	if g.choose(2) == 0 {
		t.Done = c.seq - min(c.seq, uint64(g.choose(4)))
	}
	for range g.choose(3) {
		c.counter++
		info := fs.BlobInfo{ID: fs.BlobID{Session: c.ID, Counter: c.counter}, Length: uint32(1 + g.choose(blobMax)),
			Sum: uint32(c.counter), Replicas: []fs.NodeID{g.nodes[g.choose(2)], g.nodes[2+g.choose(2)]}}
		switch k := g.choose(60); {
		case k < 25:
			info.Replicas = append(info.Replicas, g.nodes...)
		case k < 30:
			info.Replicas = info.Replicas[:1] // enough as long as one node counts
		case k == 30:
			info.Replicas = g.replicas()
		}
		t.Blobs = append(t.Blobs, info)
		g.blobs = append(g.blobs, info)
	}
	g.fresh = t.Blobs
	for range 1 + g.choose(3) {
		t.Ops = append(t.Ops, g.op(c))
	}
	if g.sent = append(g.sent, t); len(g.sent) > 8 {
		g.sent = g.sent[1:]
	}
	return t
}
