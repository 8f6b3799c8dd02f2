package changes

import (
	"dfs/fs"
	"dfs/raftmeta/state"
)

const (
	namesMax = 64 << 10 // names that are remembered
	scanMax  = 16 << 10 // entries of directories that are read for one transaction
	scanStep = 512      // … at once
)

// unknown is the name of what was not found within scanMax.
const unknown = "?"

// link is an inode in a directory.
type link struct{ dir, ino fs.Ino }

// names finds out what an inode is called in a directory. The state has no index for that: directories are read from their
// beginning, each only once, and what was read is remembered. It must be told of every change (put, drop), and is of no use
// any more when one was missed.
type names struct {
	known map[link]string
	read  map[fs.Ino]fs.Cookie // how far a directory has been read
	left  int                  // entries that may still be read for the transaction at hand
}

func newNames() *names {
	n := &names{}
	n.forget()
	return n
}

func (n *names) forget() {
	n.known, n.read = make(map[link]string), make(map[fs.Ino]fs.Cookie)
}

// put records a name. When there is no more room everything is forgotten.
func (n *names) put(dir, ino fs.Ino, name string) {
	if len(n.known) >= namesMax {
		n.forget()
	}
	n.known[link{dir, ino}] = name
}

// drop records that a name is gone. Another name of the inode in the same directory is looked for anew.
func (n *names) drop(dir, ino fs.Ino, name string) {
	if n.known[link{dir, ino}] == name {
		delete(n.known, link{dir, ino})
		delete(n.read, dir)
	}
}

// of is a name of an inode in a directory that has one.
func (n *names) of(v state.View, dir, ino fs.Ino) (string, error) {
	for {
		if name, ok := n.known[link{dir, ino}]; ok {
			return name, nil
		}
		if n.left <= 0 {
			return unknown, nil
		}
		list, err := v.Names(dir, n.read[dir], min(scanStep, n.left))
		if err != nil {
			return "", err
		}
		if len(list) == 0 {
			delete(n.read, dir) // room was made meanwhile
			return unknown, nil
		}
		n.left -= len(list)
		last := list[len(list)-1].Cookie
		for i := range list {
			n.put(dir, list[i].Attr.Ino, list[i].Name)
		}
		n.read[dir] = last
	}
}
