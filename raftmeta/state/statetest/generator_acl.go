package statetest

import "dfs/fs"

// setACL makes an operation that sets an ACL, mostly a valid one, mostly on a directory.
func (g *Generator) setACL() fs.Op {
	o := &fs.Setxattr{Ino: g.spot(fs.TypeDir).ino, Name: fs.XattrACLDefault, Value: g.acl(), Flags: fs.XattrFlags(g.choose(10)),
		Time: g.tick(), KillSetgid: g.choose(4) == 0}
	if o.Flags > fs.XattrReplace {
		o.Flags = 0
	}
	if g.choose(2) == 0 {
		o.Ino, o.Name = g.any().ino, fs.XattrACLAccess
	}
	return o
}

// acl makes the value of an ACL.
func (g *Generator) acl() []byte {
	tags := []byte{1}
	for range g.choose(3) {
		tags = append(tags, 2)
	}
	tags = append(tags, 4)
	for range g.choose(2) {
		tags = append(tags, 8)
	}
	if len(tags) > 2 && g.choose(10) > 0 || g.choose(4) == 0 {
		tags = append(tags, 16)
	}
	tags = append(tags, 32)
	switch g.choose(12) {
	case 0:
		tags = tags[:g.choose(len(tags))]
	case 1:
		tags[g.choose(len(tags))] = []byte{1, 4, 16, 32, 64}[g.choose(5)]
	}
	v := []byte{2, 0, 0, 0}
	for n, tag := range tags {
		v = append(v, tag, 0, byte(g.choose(8)), 0, byte(n), 0, 0, 0)
	}
	if g.choose(20) == 0 {
		v[g.choose(len(v))] ^= 0x88
	}
	return v[:len(v)-g.choose(20)/19]
}
