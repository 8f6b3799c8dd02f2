package statetest

import (
	"fmt"
	"maps"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// quotas is what the model knows of quotas: no usage, which it counts whenever it is asked for.
type quotas struct {
	on     bool
	users  map[uint32]fs.Limits
	trees  map[fs.Ino]fs.Limits // by the directory that each begins at
	leaves map[fs.Ino]bool      // trees that were removed, and are left at the next Survey
}

// usages are by account: "u" or "q" with its number, as QuotaID.
type usages map[fs.QuotaID]fs.Usage

// used counts what everybody uses.
func (m *Model) used() usages {
	all := usages{}
	if !m.quotas.on {
		return all
	}
	for _, f := range m.inodes {
		a := m.attr(f)
		add := func(id fs.QuotaID) {
			u := all[id]
			all[id] = fs.Usage{Bytes: u.Bytes + a.Used, Inodes: u.Inodes + 1}
		}
		add(fs.QuotaID{User: true, Number: uint64(a.UID)})
		for tree := f.tree; tree != 0; tree = m.inodes[tree].outer {
			add(fs.QuotaID{Number: uint64(tree)})
		}
	}
	return all
}

// affords reports whether no limit speaks against what an operation has made of the usage before it.
func (m *Model) affords(before usages) bool {
	for id, u := range m.used() {
		limits := m.quotas.trees[fs.Ino(id.Number)]
		if id.User {
			limits = m.quotas.users[uint32(id.Number)]
		}
		if limits.Exceeds(before[id], u) {
			return false
		}
	}
	return true
}

// freely does what no limit speaks against: before is made to hold it already.
func (m *Model) freely(do func()) {
	from := m.used()
	do()
	for id, u := range m.used() {
		b := m.before[id]
		m.before[id] = fs.Usage{Bytes: b.Bytes + u.Bytes - from[id].Bytes, Inodes: b.Inodes + u.Inodes - from[id].Inodes}
	}
}

// takeIn puts a file into its directory's tree, if all of its names are there.
func (m *Model) takeIn(f, dir *file) {
	if f.isDir() || f.tree == dir.tree {
		return
	}
	for _, home := range m.homes(f.attr.Ino) {
		if m.inodes[home].tree != dir.tree {
			return
		}
	}
	m.freely(func() { f.tree = dir.tree })
}

// enrol is asked before an inode gets a name in dir.
func (m *Model) enrol(f, dir *file) fs.Code {
	homes, names := m.homes(f.attr.Ino), m.names(f.attr.Ino)
	if names == 0 {
		f.tree = dir.tree
		return fs.CodeOK
	}
	if names == 1 {
		m.takeIn(f, m.inodes[homes[0]])
	}
	if f.tree != dir.tree {
		return fs.CodeCrossDevice
	}
	return fs.CodeOK
}

// cross is asked before a name moves.
func (m *Model) cross(f, from, to *file) fs.Code {
	m.takeIn(f, from)
	switch {
	case from.tree == to.tree:
		return fs.CodeOK
	case f.isDir() || m.names(f.attr.Ino) > 1:
		return fs.CodeCrossDevice
	}
	f.tree = to.tree
	return fs.CodeOK
}

func (m *Model) setQuota(c *command.SetQuota) fs.Code {
	q := &m.quotas
	if !q.on {
		return fs.CodeNotSupported
	}
	if c.Of.User {
		l := q.users[c.Of.UID]
		if c.Remove && l == (fs.Limits{}) {
			return fs.CodeNotExist
		}
		if c.Change.Apply(&l); c.Remove {
			l = fs.Limits{}
		}
		q.users[c.Of.UID] = l
		return fs.CodeOK
	}
	ino, code := m.resolve(c.Of.Path)
	if code != fs.CodeOK {
		return code
	}
	l, known := q.trees[ino]
	switch {
	case c.Remove && !known:
		return fs.CodeNotExist
	case c.Remove:
		q.trees[ino] = fs.Limits{}
		q.leaves[ino] = true
		return fs.CodeOK
	}
	c.Change.Apply(&l)
	q.trees[ino] = l
	if m.before = (usages{}); !known && len(m.inodes[ino].children) == 0 {
		m.survey() // there is nothing to walk through
	}
	return fs.CodeOK
}

// survey puts everything where it belongs since the quotas have changed.
func (m *Model) survey() {
	for ino := range m.quotas.leaves {
		m.leave(ino)
	}
	clear(m.quotas.leaves)
	found := map[fs.Ino]bool{}
	for _, ino := range m.downwards() {
		d := m.inodes[ino]
		was := d.tree
		around := fs.Ino(0)
		if ino != fs.RootIno {
			around = m.inodes[d.attr.Parent].tree
		}
		if _, ok := m.quotas.trees[ino]; ok {
			d.tree, d.outer = ino, around
		} else {
			d.tree = around
		}
		found[ino] = d.tree != was
	}
	m.settle(found)
}

// leave ends a tree.
func (m *Model) leave(root fs.Ino) {
	outer := m.inodes[root].outer
	m.inodes[root].outer = 0
	delete(m.quotas.trees, root)
	turned := map[fs.Ino]bool{}
	for ino, f := range m.inodes {
		if f.tree == root {
			turned[ino] = f.isDir()
			f.tree = outer
		} else if f.outer == root {
			f.outer = outer
		}
	}
	m.settle(turned)
}

// settle takes in the files with names in certain directories, by walking through those.
func (m *Model) settle(dirs map[fs.Ino]bool) {
	for dir, yes := range dirs {
		if !yes {
			continue
		}
		for _, child := range m.inodes[dir].children {
			m.takeIn(m.inodes[child], m.inodes[dir])
		}
	}
}

// downwards lists the directories with a name, and the root, each behind the one that it lies in.
func (m *Model) downwards() []fs.Ino {
	list := []fs.Ino{fs.RootIno}
	for n := 0; n < len(list); n++ {
		for _, child := range m.inodes[list[n]].children {
			if m.inodes[child].isDir() {
				list = append(list, child)
			}
		}
	}
	return list
}

// compareQuotas compares limits and usage, where nothing is under way.
func (m *Model) compareQuotas(v state.View) error {
	if busy, err := v.Surveying(); err != nil || busy {
		return err
	}
	list, err := v.Quotas(fs.QuotaID{}, fs.QuotasMax, true)
	if err != nil {
		return err
	}
	used := m.used()
	for id := range m.quotas.users {
		if _, ok := used[fs.QuotaID{User: true, Number: uint64(id)}]; !ok && m.quotas.users[id] != (fs.Limits{}) {
			used[fs.QuotaID{User: true, Number: uint64(id)}] = fs.Usage{}
		}
	}
	if len(list) != len(used) {
		return fmt.Errorf("quotas %+v, in the model %v", list, used)
	}
	for _, q := range list {
		limits := m.quotas.trees[fs.Ino(q.ID.Number)]
		if q.ID.User {
			limits = m.quotas.users[uint32(q.ID.Number)]
		}
		if u, ok := used[q.ID]; !ok || q.Used != u || q.Limits != limits || q.State != fs.QuotaCounted {
			return fmt.Errorf("quota %+v, in the model %+v of %+v", q, u, limits)
		}
	}
	return m.comparePayers(v)
}

// comparePayers compares who pays for each inode.
func (m *Model) comparePayers(v state.View) error {
	used := m.used()
	for _, ino := range slices.Sorted(maps.Keys(m.inodes)) {
		f := m.inodes[ino]
		var want []state.Payer
		add := func(id fs.QuotaID, l fs.Limits) {
			if l != (fs.Limits{}) {
				want = append(want, state.Payer{ID: id, Limits: l, Used: used[id]})
			}
		}
		add(fs.QuotaID{User: true, Number: uint64(f.attr.UID)}, m.quotas.users[f.attr.UID])
		for tree := f.tree; tree != 0; tree = m.inodes[tree].outer {
			add(fs.QuotaID{Number: uint64(tree)}, m.quotas.trees[tree])
		}
		if got, err := v.Payers(ino); err != nil || !slices.Equal(got, want) {
			return fmt.Errorf("inode %d is paid for by %+v (%w), in the model by %+v", ino, got, err, want)
		}
	}
	return nil
}
