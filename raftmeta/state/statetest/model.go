package statetest

import (
	"maps"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// Model is the naive filesystem.
type Model struct {
	formed      bool
	config      command.Init
	nextIno     fs.Ino
	nextSession fs.SessionID
	inodes      map[fs.Ino]*file
	blobs       map[fs.BlobID]*blob
	sessions    map[fs.SessionID]*session
	nodes       map[fs.NodeID]fs.NodeInfo
	storing     map[fs.NodeID]bool
	removed     map[fs.NodeID]bool
	tokens      map[string]*token
	index       uint64
	quotas      quotas
	before      usages // what was used before the operation at hand
}

// file is an inode. Nlink and Used of its Attr are not kept, but counted.
type file struct {
	attr     fs.Attr
	children map[string]fs.Ino
	target   string
	nameless bool
	home     fs.Ino // of an orphan: where its last name was
	data     []cell // one a byte
	xattrs   map[string]string
	tree     fs.Ino // that it is charged to; 0: none
	outer    fs.Ino // of the root of a tree: the one around it
}

// cell is one byte of a file: a hole, an inline byte or a blob's.
type cell struct {
	mapped bool
	blob   fs.BlobID
	value  byte
}

type blob struct {
	info    fs.BlobInfo
	wanted  int
	seq     uint64 // of its transaction
	index   uint64 // of that one's decision
	garbage bool
}

type session struct {
	fs.Session
	owner   fs.Owner
	mount   fs.Mount
	inos    []fs.InoRange // of a bound one
	done    uint64
	answers map[uint64]*fs.TxResult
}

// NewModel returns a model of a cluster that does not exist yet.
func NewModel() *Model {
	return &Model{inodes: map[fs.Ino]*file{}, blobs: map[fs.BlobID]*blob{}, sessions: map[fs.SessionID]*session{},
		nodes: map[fs.NodeID]fs.NodeInfo{}, storing: map[fs.NodeID]bool{}, removed: map[fs.NodeID]bool{}, tokens: map[string]*token{},
		quotas: quotas{users: map[uint32]fs.Limits{}, trees: map[fs.Ino]fs.Limits{}, leaves: map[fs.Ino]bool{}}}
}

// BlobByte is what byte off of a blob holds, in the model's world.
func BlobByte(id fs.BlobID, off uint64) byte {
	return byte(uint64(id.Session)*131 + id.Counter*31 + off*7 + 1)
}

// Apply carries out a command as state.Apply should. Versions in its results are 0.
func (m *Model) Apply(index uint64, cmd command.Command) state.Answer {
	m.index = index
	if first, ok := cmd.(*command.Init); ok {
		return state.Answer{Err: m.form(first)}
	}
	if !m.formed {
		return state.Answer{Err: fs.CodeUnavailable}
	}
	answer := m.apply(cmd)
	for _, b := range m.blobs {
		b.garbage = b.garbage || m.live(b.info.ID) == 0
	}
	return answer
}

func (m *Model) apply(cmd command.Command) state.Answer {
	switch c := cmd.(type) {
	case *command.Tx:
		return m.tx(&c.Tx)
	case *command.Abort:
		return m.abort(c)
	case *command.OpenSession:
		root, code := m.resolve(c.Mount.Subtree)
		if code != fs.CodeOK {
			return state.Answer{Err: code}
		}
		s := &session{owner: c.Owner, mount: c.Mount, done: 1, answers: map[uint64]*fs.TxResult{}}
		s.Session = fs.Session{ID: m.nextSession, Epoch: fs.Epoch(m.index), Cluster: m.config.Cluster,
			TimeoutMillis: m.config.SessionTimeout, Replicas: m.config.Replicas, MinReplicas: m.minReplicas(),
			Root: root, ReadOnly: c.Mount.ReadOnly, Claims: c.Owner.Scope.Subtree != ""}
		m.sessions[s.ID] = s
		m.nextSession++
		return state.Answer{Session: s.Session}
	case *command.EndSession:
		if s := m.sessions[c.Session]; s != nil && s.Epoch == c.Epoch {
			delete(m.sessions, c.Session)
		}
	case *command.AllocInos:
		s := m.sessions[c.Session]
		if s == nil || s.Epoch != c.Epoch {
			return state.Answer{Err: fs.CodeFenced}
		}
		if s.ReadOnly {
			return state.Answer{Err: fs.CodeReadOnly}
		}
		if c.N < 1 || c.N > fs.InoRangeMax {
			return state.Answer{Err: fs.CodeInvalid}
		}
		m.nextIno += fs.Ino(c.N)
		r := fs.InoRange{From: m.nextIno - fs.Ino(c.N), N: c.N}
		if s.Root != fs.RootIno {
			s.inos = append(s.inos, r)
			s.inos = s.inos[max(0, len(s.inos)-8):]
		}
		return state.Answer{Inos: r}
	case *command.Reap:
		m.reap(c)
	case *command.Forget:
		for _, id := range c.Blobs {
			if b := m.blobs[id]; b != nil && b.garbage {
				delete(m.blobs, id)
			}
		}
	case *command.SetReplicas:
		return state.Answer{Err: m.setReplicas(c)}
	case *command.PutNode:
		return state.Answer{Err: m.putNode(c.Node, c.Storing)}
	case *command.RemoveNode:
		m.removeNode(c.Node)
	case *command.PutToken:
		return state.Answer{Err: m.putToken(c)}
	case *command.RedeemToken:
		return state.Answer{Err: m.redeemToken(c)}
	case *command.RevokeToken:
		if m.tokens[c.ID] == nil {
			return state.Answer{Err: fs.CodeNotExist}
		}
		delete(m.tokens, c.ID)
	case *command.KeepAccounts:
		m.quotas.on = true
	case *command.SetQuota:
		return state.Answer{Err: m.setQuota(c)}
	case *command.Survey:
		m.before = usages{}
		m.survey()
	}
	return state.Answer{}
}

func (m *Model) form(c *command.Init) fs.Code {
	if m.formed {
		return fs.CodeOK
	}
	if c.Cluster == "" || c.MinReplicas < 1 || c.Replicas < c.MinReplicas || c.InlineMax < 0 || c.SessionTimeout < 1 {
		return fs.CodeInvalid
	}
	m.formed, m.config, m.nextIno, m.nextSession = true, *c, 2, 1
	for _, n := range c.Founders {
		m.putNode(n, true)
	}
	m.inodes[1] = &file{children: map[string]fs.Ino{}, xattrs: map[string]string{}, attr: fs.Attr{Ino: 1,
		Type: fs.TypeDir, Mode: 0o755, Size: 4096, Parent: 1, Atime: c.Time, Mtime: c.Time, Ctime: c.Time, Btime: c.Time}}
	return fs.CodeOK
}

// tree is a deep copy of what a transaction can change.
func (m *Model) tree() (map[fs.Ino]*file, map[fs.BlobID]*blob) {
	inodes := map[fs.Ino]*file{}
	for ino, f := range m.inodes {
		c := *f
		c.children, c.xattrs, c.data = maps.Clone(f.children), maps.Clone(f.xattrs), slices.Clone(f.data)
		inodes[ino] = &c
	}
	blobs := map[fs.BlobID]*blob{}
	for id, b := range m.blobs {
		c := *b
		blobs[id] = &c
	}
	return inodes, blobs
}

// attr is what stat(2) says of a file, with everything counted that can be.
func (m *Model) attr(f *file) fs.Attr {
	a := f.attr
	a.Nlink = uint32(m.names(a.Ino))
	if f.attr.Type == fs.TypeDir && (a.Ino == fs.RootIno || a.Nlink > 0) {
		a.Nlink = 2
		for _, child := range f.children {
			if m.inodes[child].attr.Type == fs.TypeDir {
				a.Nlink++
			}
		}
	}
	for _, c := range f.data {
		if c.mapped {
			a.Used++
		}
	}
	if a.Type == fs.TypeRegular {
		a.Size = uint64(len(f.data))
	}
	return a
}

// names counts the dentries that name an inode.
func (m *Model) names(ino fs.Ino) int {
	n := 0
	for _, f := range m.inodes {
		for _, child := range f.children {
			if child == ino {
				n++
			}
		}
	}
	return n
}

// live counts the bytes of files that lie in a blob.
func (m *Model) live(id fs.BlobID) uint64 {
	n := uint64(0)
	for _, f := range m.inodes {
		for _, c := range f.data {
			if c.mapped && c.blob == id {
				n++
			}
		}
	}
	return n
}

// homes are the directories that hold a name of an inode, or held its last.
func (m *Model) homes(ino fs.Ino) []fs.Ino {
	if m.orphan(ino) {
		if home := m.inodes[ino].home; home != 0 {
			return []fs.Ino{home}
		}
		return nil
	}
	var list []fs.Ino
	for _, dir := range slices.Sorted(maps.Keys(m.inodes)) {
		if slices.Contains(slices.Collect(maps.Values(m.inodes[dir].children)), ino) {
			list = append(list, dir)
		}
	}
	return list
}

// beneath is top and whatever lies somewhere under it, by walking down. Orphans lie where their last name was.
func (m *Model) beneath(top fs.Ino) map[fs.Ino]bool {
	found, left := map[fs.Ino]bool{}, map[fs.Ino][]fs.Ino{}
	for ino := range m.inodes {
		if m.orphan(ino) {
			left[m.inodes[ino].home] = append(left[m.inodes[ino].home], ino)
		}
	}
	var walk func(ino fs.Ino)
	walk = func(ino fs.Ino) {
		found[ino] = true
		for _, child := range m.inodes[ino].children {
			walk(child)
		}
		for _, child := range left[ino] {
			walk(child)
		}
	}
	if m.inodes[top] != nil {
		walk(top)
	}
	return found
}

// orphan reports whether an inode has no name.
func (m *Model) orphan(ino fs.Ino) bool { return ino != fs.RootIno && m.names(ino) == 0 }
