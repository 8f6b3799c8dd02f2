package state_test

import (
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// history remembers what every inode looked like, to check the rules about change: versions rise with every visible
// change, and a cookie that has gone never comes again.
type history map[fs.Ino]*past

type past struct {
	version uint64
	looks   string // all that is visible but the version, and the atime, which Access changes without one
	cookies map[fs.Cookie]bool
	highest fs.Cookie
}

func (h history) follow(kv *state.Memory) error {
	v := state.NewView(kv)
	next, err := state.AllInos(kv)
	if err != nil {
		return err
	}
	for _, ino := range next {
		p := h[ino]
		if p == nil {
			p = &past{cookies: map[fs.Cookie]bool{}}
			h[ino] = p
		}
		if err := p.follow(v, ino); err != nil {
			return fmt.Errorf("inode %d: %w", ino, err)
		}
	}
	return nil
}

func (p *past) follow(v state.View, ino fs.Ino) error {
	attr, err := v.Getattr(ino)
	if err != nil {
		return err
	}
	version := attr.Version
	attr.Version, attr.Atime = 0, 0
	looks := fmt.Sprintf("%+v", attr)
	switch attr.Type {
	case fs.TypeDir:
		list, err := v.Readdir(ino, 0, fs.ReaddirMax)
		if err != nil {
			return err
		}
		for _, d := range list.Entries {
			looks += fmt.Sprintf(" %s=%d@%d", d.Name, d.Attr.Ino, d.Cookie)
		}
		if err := p.followCookies(list.Entries); err != nil {
			return err
		}
	case fs.TypeRegular:
		l, err := v.Layout(ino, 0, attr.Size)
		if err != nil {
			return err
		}
		looks += fmt.Sprintf(" %+v", l.Extents)
	}
	if looks != p.looks && version <= p.version || version < p.version {
		return fmt.Errorf("version %d after %d:\n%s\n%s", version, p.version, p.looks, looks)
	}
	p.looks, p.version = looks, version
	return nil
}

func (p *past) followCookies(list []fs.Dirent) error {
	before, highest := p.cookies, p.highest
	p.cookies = map[fs.Cookie]bool{}
	for _, d := range list {
		if !before[d.Cookie] && d.Cookie <= highest {
			return fmt.Errorf("cookie %d of %q was used before: the highest was %d", d.Cookie, d.Name, highest)
		}
		p.cookies[d.Cookie] = true
		p.highest = max(p.highest, d.Cookie)
	}
	return nil
}
