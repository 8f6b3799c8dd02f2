package fusefs

import (
	"context"
	"errors"
	"sync"

	"dfs/fs"
)

// The kernel checks permissions by an inode's ACL, which it asks for by GETXATTR, and forgets it whenever it is told the
// inode's attributes. It is answered from memory as long as the Version that it was told last is the one that the ACL was
// asked for at: then the ACL is as old as the mode that the kernel goes by, and no older.

// aclsMax bounds how many inodes are remembered; then all are forgotten.
const aclsMax = 8192

// acls remembers the ACLs of what the kernel has been told of.
type acls struct {
	mu    sync.Mutex
	known map[fs.Ino]*aclsOf
}

// aclsOf is the ACLs of an inode at one Version. It is replaced when the kernel is told of another one.
type aclsOf struct {
	version uint64
	values  map[string][]byte // by the attribute's name; empty for none
}

// told notes what the kernel is told of an inode.
func (m *acls) told(a *fs.Attr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o := m.known[a.Ino]; o != nil && o.version == a.Version {
		return
	}
	if m.known == nil || len(m.known) >= aclsMax {
		m.known = make(map[fs.Ino]*aclsOf)
	}
	m.known[a.Ino] = &aclsOf{version: a.Version}
}

// changed forgets an inode that is being changed here: the kernel asks for its ACL without being told its attributes first.
func (m *acls) changed(ino fs.Ino) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, ino)
}

// get is an ACL as the kernel may be told it, empty for none. Not ok: it must be asked for, and put with o.
func (m *acls) get(ino fs.Ino, name string) (value []byte, o *aclsOf, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if o = m.known[ino]; o != nil {
		value, ok = o.values[name]
	}
	return value, o, ok
}

// put remembers an ACL that was asked for after o was got. It is right for o's Version if that is the one that the kernel
// is told next: Versions only rise, so nobody has changed the inode in between.
func (m *acls) put(o *aclsOf, name string, value []byte) {
	if o == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if o.values == nil {
		o.values = make(map[string][]byte, 1)
	}
	o.values[name] = value
}

// getACL answers a GETXATTR of an ACL; ErrNoXattr for none.
func (f *front) getACL(r *request, name string) ([]byte, error) {
	value, o, ok := f.acls.get(r.ino(), name)
	if !ok {
		var err error
		var known bool
		if value, known, err = f.askACL(r, name); err != nil {
			return nil, err
		}
		if known {
			f.acls.put(o, name, value)
		}
	}
	if len(value) == 0 {
		return nil, fs.ErrNoXattr
	}
	return value, nil
}

// askACL asks for an ACL, empty for none. The root has none when the cluster is gone, but that is not known: see root.
func (f *front) askACL(r *request, name string) (value []byte, known bool, err error) {
	ask := func(ctx context.Context) error {
		value, err = f.fs.Getxattr(ctx, r.ino(), name)
		return err
	}
	if f.ask(r, ask) {
		return nil, false, nil
	}
	if errors.Is(err, fs.ErrNoXattr) {
		return nil, true, nil
	}
	return value, err == nil, err
}
