package fusefs

import (
	"strings"

	"dfs/fs"
)

// echoKind is what a helper does once more.
type echoKind uint8

const (
	echoMake echoKind = iota + 1 // a name
	echoRemove
	echoMove
	echoModify // of a file's data
	echoAttrib
)

// echo is one call of the helper. A directory is a node id; 0 is the aside, a directory that is nowhere.
type echo struct {
	Kind   echoKind
	Dir    uint64
	Name   string
	ToDir  uint64 // of echoMove
	ToName string
	Node   uint64 // of echoModify and echoAttrib; of echoRemove: what is gone for good and watched itself; else 0
	Type   fs.FileType
	ByNode bool // echoModify, echoAttrib: it is found by its number, and not by its name
}

// asideName is what a name is called in the aside.
const asideName = "x"

// plan is what must be echoed of a change of another mount so that those who watch inodes hear of it. node turns an inode number
// into a node id.
func plan(c *fs.Change, watched map[fs.Ino]bool, node func(fs.Ino) uint64) []echo {
	name, dir := lastPart(c.Path), uint64(0)
	if watched[c.Dir] {
		dir = node(c.Dir)
	}
	switch c.Kind {
	case fs.ChangeCreate, fs.ChangeMkdir, fs.ChangeSymlink, fs.ChangeLink:
		if dir == 0 {
			return nil
		}
		return []echo{{Kind: echoMake, Dir: dir, Name: name, Type: c.Type}}
	case fs.ChangeUnlink, fs.ChangeRmdir:
		return planRemoval(dir, name, c.Ino, c.Type, watched[c.Ino] && c.Nlink == 0, node)
	case fs.ChangeRename:
		return planMove(c, dir, name, watched, node)
	}
	return planTouch(c, dir, name, watched[c.Ino], node)
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// planRemoval has the kernel see the inode itself off if it is watched and has no name left.
func planRemoval(dir uint64, name string, ino fs.Ino, t fs.FileType, gone bool, node func(fs.Ino) uint64) []echo {
	e := echo{Kind: echoRemove, Dir: dir, Name: name, Type: t}
	if gone {
		e.Node = node(ino)
	}
	if dir == 0 {
		if !gone {
			return nil
		}
		e.Name = asideName
	}
	return []echo{e}
}

// planMove moves a name between what is watched and the aside: who watches one side only sees that half, as inotify has it.
func planMove(c *fs.Change, dir uint64, name string, watched map[fs.Ino]bool, node func(fs.Ino) uint64) (list []echo) {
	e := echo{Kind: echoMove, Dir: dir, Name: name, ToName: lastPart(c.To), Type: c.Type}
	if watched[c.ToDir] {
		e.ToDir = node(c.ToDir)
	}
	if e.Dir == 0 {
		e.Name = asideName
	}
	if e.ToDir == 0 {
		e.ToName = asideName
	}
	if e.Dir != 0 || e.ToDir != 0 {
		list = append(list, e)
	}
	if c.Replaced != 0 {
		list = append(list, planRemoval(0, "", c.Replaced, c.ReplacedType, watched[c.Replaced] && c.Nlink == 0, node)...)
	}
	return list
}

// planTouch is about what an inode holds.
func planTouch(c *fs.Change, dir uint64, name string, watched bool, node func(fs.Ino) uint64) []echo {
	e := echo{Kind: echoAttrib, Dir: dir, Name: name, Node: node(c.Ino), Type: c.Type}
	if (c.Kind == fs.ChangeWrite || c.Kind == fs.ChangeTruncate) && c.Type == fs.TypeRegular {
		e.Kind = echoModify
	}
	if dir == 0 || name == "" || name == "?" {
		e.ByNode = true
		if !watched {
			return nil
		}
	}
	return []echo{e}
}
