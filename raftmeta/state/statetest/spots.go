package statetest

import (
	"slices"

	"dfs/fs"
)

// spot is a name that exists, as far as the Generator knows from the answers.
type spot struct {
	dir  fs.Ino
	name string
	ino  fs.Ino
	typ  fs.FileType
}

// learn follows what a transaction did to the names.
func (g *Generator) learn(tx *fs.Tx, r *fs.TxResult) {
	if r == nil || r.Err != fs.CodeOK {
		return
	}
	for n, op := range tx.Ops {
		switch o := op.(type) {
		case *fs.Create:
			if o.Parent != 0 {
				g.place(o.Parent, o.Name, r.Results[n].Attr)
			}
		case *fs.Link:
			g.place(o.Parent, o.Name, r.Results[n].Attr)
		case *fs.Unlink:
			g.displace(o.Parent, o.Name)
		case *fs.Rmdir:
			g.displace(o.Parent, o.Name)
		case *fs.Rename:
			g.displace(o.Parent, o.Name)
			g.place(o.NewParent, o.NewName, r.Results[n].Attr)
			if o.Flags == fs.RenameExchange {
				g.place(o.Parent, o.Name, r.Results[n].Replaced)
			}
		}
	}
}

func (g *Generator) place(dir fs.Ino, name string, a fs.Attr) {
	g.displace(dir, name)
	g.spots = append(g.spots, spot{dir, name, a.Ino, a.Type})
}

func (g *Generator) displace(dir fs.Ino, name string) {
	g.spots = slices.DeleteFunc(g.spots, func(s spot) bool { return s.dir == dir && s.name == name })
}

// spot picks a name: one that exists and, mostly, is of a wanted type; sometimes any.
func (g *Generator) spot(want ...fs.FileType) spot {
	var fit []spot
	for _, s := range g.spots {
		if slices.Contains(want, s.typ) && g.beneath(s.dir) {
			fit = append(fit, s)
		}
	}
	if len(fit) == 0 || g.choose(10) == 0 {
		return spot{dir: g.dir(), name: g.name(), ino: g.anyIno()}
	}
	return fit[g.choose(len(fit))]
}

// beneath reports whether a directory is g.root or lies somewhere under it, as far as the Generator knows.
func (g *Generator) beneath(dir fs.Ino) bool {
	for range g.spots {
		if dir == g.root {
			return true
		}
		i := slices.IndexFunc(g.spots, func(s spot) bool { return s.ino == dir })
		if i < 0 {
			return false
		}
		dir = g.spots[i].dir
	}
	return dir == g.root
}

// file picks an inode that has data, mostly.
func (g *Generator) file() fs.Ino { return g.spot(fs.TypeRegular).ino }

// anyIno picks a number that some Create used, most often lately, or none.
func (g *Generator) anyIno() fs.Ino {
	if g.choose(10) == 0 {
		return fs.Ino(g.choose(10000))
	}
	return g.inos[len(g.inos)-1-g.choose(min(len(g.inos), 10))]
}

// dir picks a directory, mostly.
func (g *Generator) dir() fs.Ino {
	if g.choose(30) == 0 {
		return g.anyIno()
	}
	dirs := []fs.Ino{g.root}
	for _, s := range g.spots {
		if s.typ == fs.TypeDir && g.beneath(s.dir) {
			dirs = append(dirs, s.ino)
		}
	}
	return dirs[g.choose(len(dirs))]
}
