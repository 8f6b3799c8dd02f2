package leasedesk

import (
	"dfs/fs"
)

// Resolver tells what a name means in the state as it is applied now; 0: nothing.
type Resolver func(dir fs.Ino, name string) (fs.Ino, error)

// touched is what a transaction changes, if it is carried out: all inodes of which attributes, data, extended attributes or
// names become others. Those that it makes are in born only, whatever else it does to them.
type touched struct {
	changes map[fs.Ino]bool // true: only by pages of a shared mapping
	looks   map[fs.Ino]bool // read, and not changed
	born    map[fs.Ino]bool
	names   []name // what it resolves or binds
}

// touch lists what a transaction touches by number. What it touches by name is for resolve, once its names are locked.
func touch(tx *fs.Tx, stray bool) *touched {
	t := &touched{changes: map[fs.Ino]bool{}, looks: map[fs.Ino]bool{}, born: map[fs.Ino]bool{}}
	for _, op := range tx.Ops {
		t.touch(op, stray)
	}
	t.names = sorted(t.names)
	return t
}

func (t *touched) touch(op fs.Op, stray bool) {
	switch o := op.(type) {
	case *fs.Create:
		t.born[o.Ino] = true
		if o.Parent != 0 {
			t.bind(o.Parent, o.Name)
		} else if o.Near != 0 {
			t.looks[o.Near] = true
		}
	case *fs.Link:
		t.change(o.Ino)
		t.bind(o.Parent, o.Name)
	case *fs.Unlink:
		t.bind(o.Parent, o.Name)
	case *fs.Rmdir:
		t.bind(o.Parent, o.Name)
	case *fs.Rename:
		t.bind(o.Parent, o.Name)
		t.bind(o.NewParent, o.NewName)
	case *fs.Write:
		if _, ok := t.changes[o.Ino]; !ok && stray {
			t.changes[o.Ino] = true
		} else if !stray {
			t.change(o.Ino)
		}
	case *fs.Setattr:
		t.change(o.Ino)
	case *fs.Allocate:
		t.change(o.Ino)
	case *fs.Clone:
		t.looks[o.Src] = true
		t.change(o.Dst)
	case *fs.Setxattr:
		t.change(o.Ino)
	case *fs.Removexattr:
		t.change(o.Ino)
	case *fs.Check:
		t.looks[o.Ino] = true
	case *fs.Access: // changes nothing that a lease covers: the atime of a read may come late
	}
}

func (t *touched) change(ino fs.Ino) { t.changes[ino] = false }

func (t *touched) bind(dir fs.Ino, called string) {
	t.change(dir)
	t.names = append(t.names, name{dir, called})
}

// resolve lists what a transaction changes by name. Its operations see what those before them have done to the names; that
// one would be refused does not matter, since then nothing is changed at all.
func resolve(tx *fs.Tx, now Resolver) (map[fs.Ino]bool, error) {
	v := view{now: now, then: map[name]fs.Ino{}, found: map[fs.Ino]bool{}}
	for _, op := range tx.Ops {
		if err := v.apply(op); err != nil {
			return nil, err
		}
	}
	return v.found, nil
}

// view is the names as a transaction's operations see them.
type view struct {
	now   Resolver
	then  map[name]fs.Ino // what it has bound so far; 0: nothing
	found map[fs.Ino]bool // what its names meant when they were changed
}

func (v *view) apply(op fs.Op) error {
	switch o := op.(type) {
	case *fs.Create:
		v.then[name{o.Parent, o.Name}] = o.Ino
	case *fs.Link:
		v.then[name{o.Parent, o.Name}] = o.Ino
	case *fs.Unlink:
		return v.remove(name{o.Parent, o.Name})
	case *fs.Rmdir:
		return v.remove(name{o.Parent, o.Name})
	case *fs.Rename:
		return v.rename(name{o.Parent, o.Name}, name{o.NewParent, o.NewName}, o.Flags)
	}
	return nil
}

func (v *view) remove(n name) error {
	_, err := v.find(n)
	v.then[n] = 0
	return err
}

func (v *view) rename(from, to name, flags fs.RenameFlags) error {
	moved, err := v.find(from)
	if err != nil {
		return err
	}
	other, err := v.find(to)
	switch {
	case err != nil:
		return err
	case moved == other: // two names of one file: both stay
		return nil
	case flags == fs.RenameExchange:
		v.then[from] = other
	default:
		v.then[from] = 0
	}
	v.then[to] = moved
	return nil
}

// find is what a name means, which is thereby found.
func (v *view) find(n name) (fs.Ino, error) {
	ino, ok := v.then[n]
	if !ok {
		var err error
		if ino, err = v.now(n.dir, n.name); err != nil {
			return 0, err
		}
		v.then[n] = ino
	}
	if ino != 0 {
		v.found[ino] = true
	}
	return ino, nil
}
