package statetest

import (
	"strings"

	"dfs/fs"
)

// op makes an operation.
func (g *Generator) op(c *client) fs.Op {
	switch g.choose(27) {
	case 0, 1, 2, 3, 4, 5:
		return g.create(c)
	case 6, 7:
		return &fs.Link{Ino: g.spot(fs.TypeRegular, fs.TypeSymlink, fs.TypeFIFO).ino, Parent: g.dir(), Name: g.name(),
			Time: g.tick()}
	case 8, 9:
		s := g.spot(fs.TypeRegular, fs.TypeSymlink, fs.TypeFIFO, fs.TypeChar)
		return &fs.Unlink{Parent: s.dir, Name: s.name, Time: g.tick()}
	case 10:
		s := g.spot(fs.TypeDir)
		return &fs.Rmdir{Parent: s.dir, Name: s.name, Time: g.tick()}
	case 11, 12, 13:
		return g.rename()
	case 14:
		return g.setattr()
	case 15, 16, 17, 18:
		return g.write()
	case 19:
		return &fs.Allocate{Ino: g.file(), Off: g.offset(), Len: uint64(g.choose(sizeMax / 2)),
			Mode: fs.AllocateMode(g.choose(4)), KeepSize: g.choose(2) == 0, Time: g.tick(),
			KillPriv: g.choose(2) == 0}
	case 20, 21:
		return &fs.Clone{Src: g.file(), SrcOff: g.offset() / 2, Dst: g.file(), DstOff: g.offset(),
			Len: uint64(g.choose(sizeMax)), Time: g.tick(), KillPriv: g.choose(2) == 0}
	case 22:
		return &fs.Removexattr{Ino: g.any().ino, Name: "user." + names[g.choose(2)], Time: g.tick()}
	case 23, 24:
		if g.choose(6) == 0 {
			return &fs.Removexattr{Ino: g.any().ino, Name: []string{fs.XattrACLAccess, fs.XattrACLDefault}[g.choose(2)], Time: g.tick()}
		}
		return g.setACL()
	case 25:
		return &fs.Access{Ino: g.any().ino, Seen: g.now - fs.Time(g.choose(40)), Time: g.tick()}
	}
	return &fs.Setxattr{Ino: g.any().ino, Name: "user." + names[g.choose(2)], Value: make([]byte, g.choose(5)),
		Flags: fs.XattrFlags(g.choose(3)), Time: g.tick()}
}

// any picks a name that exists, of any type.
func (g *Generator) any() spot {
	return g.spot(fs.TypeRegular, fs.TypeDir, fs.TypeSymlink, fs.TypeFIFO, fs.TypeChar)
}

// rename picks two names, or one and a place that may be free, or the loops that must be refused.
func (g *Generator) rename() fs.Op {
	from := g.any()
	if g.choose(2) == 0 {
		from = g.spot(fs.TypeDir)
	}
	o := &fs.Rename{Parent: from.dir, Name: from.name, NewParent: g.dir(), NewName: g.name(), Time: g.tick()}
	if g.choose(2) == 0 {
		to := g.any()
		o.NewParent, o.NewName = to.dir, to.name
	}
	if g.choose(2) == 0 {
		o.Flags = fs.RenameFlags(g.choose(4))
	}
	return o
}

func (g *Generator) create(c *client) fs.Op {
	types := []fs.FileType{fs.TypeRegular, fs.TypeRegular, fs.TypeRegular, fs.TypeDir, fs.TypeDir, fs.TypeSymlink,
		fs.TypeFIFO, fs.TypeChar}
	o := &fs.Create{Parent: g.dir(), Name: g.name(), Type: types[g.choose(len(types))], Mode: uint32(g.choose(0o10000)),
		Umask: uint32(g.choose(0o2000)), UID: uint32(g.choose(3)), GID: uint32(g.choose(3)), Rdev: 7, Time: g.tick()}
	if o.Type == fs.TypeSymlink && g.choose(20) > 0 {
		o.Target = "to/" + names[g.choose(len(names))]
	}
	if g.choose(12) == 0 {
		o.Parent, o.Name = 0, ""
	}
	if o.Parent == 0 && g.choose(2) == 0 || g.choose(100) == 0 {
		o.Near = g.dir()
	}
	if c.inos.N == 0 || g.choose(40) == 0 {
		o.Ino = g.anyIno()
		return o
	}
	o.Ino = c.inos.From
	c.inos.From, c.inos.N = c.inos.From+1, c.inos.N-1
	g.inos = append(g.inos, o.Ino)
	return o
}

func (g *Generator) setattr() fs.Op {
	o := &fs.Setattr{Ino: g.any().ino, Set: fs.SetMask(g.choose(64)) &^ fs.SetSize, Mode: uint32(g.choose(0o10000)), UID: uint32(g.choose(3)),
		GID: uint32(g.choose(3)), Size: g.offset(), Atime: g.tick(), Mtime: g.tick(), Time: g.tick(),
		KillPriv: g.choose(4) == 0}
	if g.choose(2) == 0 {
		o.Ino, o.Set = g.file(), o.Set|fs.SetSize
	}
	if g.choose(30) == 0 {
		o.Size = fs.SizeMax + 1
	}
	return o
}

// write makes extents: inline ones, and pieces of blobs, often such as continue the one before.
func (g *Generator) write() fs.Op {
	o := &fs.Write{Ino: g.file(), Time: g.tick(), KillPriv: g.choose(2) == 0}
	at := g.offset()
	var last fs.Extent
	for range 1 + g.choose(3) {
		e := g.extent(at, last)
		o.Extents = append(o.Extents, e)
		last, at = e, e.End()+uint64(g.choose(3))
	}
	if g.choose(40) == 0 {
		o.Extents[0].Off = fs.SizeMax - o.Extents[0].Len + uint64(g.choose(4)) + 1
	}
	return o
}

func (g *Generator) extent(at uint64, last fs.Extent) fs.Extent {
	if g.choose(3) == 0 {
		data := make([]byte, 1+g.choose(6))
		for n := range data {
			data[n] = byte(g.choose(256))
		}
		return fs.Extent{Off: at, Len: uint64(len(data)), Data: data}
	}
	info := g.blob()
	off := uint64(g.choose(int(info.Length)))
	if last.Off+last.Len == at && !last.Inline() && g.choose(2) == 0 {
		return fs.Extent{Off: at, Len: 1, Blob: last.Blob, BlobOff: last.BlobOff + last.Len}
	}
	length := 1 + uint64(g.choose(int(info.Length)))
	if g.choose(20) > 0 {
		length = min(length, uint64(info.Length)-off)
	}
	return fs.Extent{Off: at, Len: length, Blob: info.ID, BlobOff: off}
}

func (g *Generator) offset() uint64 { return uint64(g.choose(sizeMax)) }

func (g *Generator) name() string {
	switch g.choose(80) {
	case 0:
		return []string{"", ".", "..", "a/b", "a\x00"}[g.choose(5)]
	case 1:
		return strings.Repeat("x", fs.NameMax+g.choose(2))
	}
	return names[g.choose(len(names))]
}
