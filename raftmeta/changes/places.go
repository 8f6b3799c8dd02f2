package changes

import (
	"errors"
	"slices"
	"strings"

	"dfs/fs"
	"dfs/raftmeta/state"
)

const (
	placesMax = 16       // names that are told of an inode; it may have more
	depthMax  = 4096     // directories above one another
	pathMax   = 16 << 10 // bytes of a path; of a longer one the upper part is left out
)

// place is where an inode has a name.
type place struct {
	dir  fs.Ino
	name string
}

// where is a place as the root sees it.
type where struct {
	path string
	dirs []fs.Ino // above it, the nearest first, the root last
}

// places are those of all inodes that a transaction speaks of, and of the directories above them, while it is being followed.
type places map[fs.Ino][]place

// load reads where an inode lies, and all that is above it. What has no name, or is not there, has no place.
func (p places) load(v state.View, n *names, ino fs.Ino) error {
	for todo := []fs.Ino{ino}; len(todo) > 0; todo = todo[1:] {
		ino := todo[0]
		if _, known := p[ino]; known || ino == 0 {
			continue
		}
		list, err := placesOf(v, n, ino)
		if err != nil {
			return err
		}
		p[ino] = list
		for _, at := range list {
			todo = append(todo, at.dir)
		}
	}
	return nil
}

func placesOf(v state.View, n *names, ino fs.Ino) ([]place, error) {
	attr, err := v.Getattr(ino)
	if errors.Is(err, fs.ErrNotExist) || err == nil && attr.Nlink == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	homes, err := v.Homes(ino)
	if err != nil {
		return nil, err
	}
	var list []place
	for _, dir := range homes[:min(len(homes), placesMax)] {
		name, err := n.of(v, dir, ino)
		if err != nil {
			return nil, err
		}
		list = append(list, place{dir, name})
	}
	return list, nil
}

// add and remove follow what the transaction does.
func (p places) add(ino fs.Ino, at place) { p[ino] = append(p[ino], at) }

func (p places) remove(ino fs.Ino, at place) {
	p[ino] = slices.DeleteFunc(slices.Clone(p[ino]), func(o place) bool { return o == at || o.dir == at.dir && o.name == unknown })
}

// see climbs from a place to the root; nil if it does not lead there.
func (p places) see(at place) *where {
	w, names, length := &where{}, []string{at.name}, len(at.name)
	for dir := at.dir; ; {
		w.dirs = append(w.dirs, dir)
		if dir == fs.RootIno {
			break
		}
		up := p[dir]
		if len(up) == 0 || len(w.dirs) > depthMax {
			return nil
		}
		if length += 1 + len(up[0].name); length <= pathMax {
			names = append(names, up[0].name)
		}
		dir = up[0].dir
	}
	if length > pathMax {
		names = append(names, "…")
	}
	slices.Reverse(names)
	w.path = "/" + strings.Join(names, "/")
	return w
}

// all is where an inode lies, by each of its names.
func (p places) all(ino fs.Ino) []*where {
	if ino == fs.RootIno {
		return []*where{{path: "/"}}
	}
	var list []*where
	for _, at := range p[ino] {
		if w := p.see(at); w != nil {
			list = append(list, w)
		}
	}
	return list
}
