package fusefs

import (
	"fmt"
	"strings"

	"dfs/fs"

	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// capabilityName is what the kernel asks for before the first write to a file. A mount that honours no set-id bits
	// honours no file capabilities either, and answers without asking anybody.
	capabilityName = "security.capability"
	// trustedPrefix begins the names that only the superuser sees.
	trustedPrefix = "trusted."
)

// supported refuses the attributes that this mount could store but not honour: those of no namespace, for whose access
// there is no rule, those of "system." that are no ACLs, and ACLs if nobody checks permissions. The kernel checks who may use
// the others.
func (f *front) supported(name string) error {
	known := strings.HasPrefix(name, "user.") || strings.HasPrefix(name, "security.") || strings.HasPrefix(name, trustedPrefix) ||
		f.acl && fs.IsACL(name)
	if !known || name == capabilityName && !f.suid {
		return fmt.Errorf("extended attribute %q: %w", name, fs.ErrNotSupported)
	}
	return nil
}

// GetXAttr implements fuse.RawFileSystem.
func (f *front) GetXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (n uint32, status fuse.Status) {
	status = f.do(OpGetxattr, cancel, in, func(r *request) error {
		if name == capabilityName && !f.suid {
			return fs.ErrNoXattr
		}
		if err := f.supported(name); err != nil {
			return err
		}
		value, err := f.getxattr(r, name)
		if err != nil {
			return gone(err)
		}
		n, err = answer(dest, value)
		return err
	})
	return n, status
}

func (f *front) getxattr(r *request, name string) ([]byte, error) {
	if fs.IsACL(name) {
		return f.getACL(r, name)
	}
	return f.fs.Getxattr(r, r.ino(), name)
}

// ListXAttr implements fuse.RawFileSystem.
func (f *front) ListXAttr(cancel <-chan struct{}, in *fuse.InHeader, dest []byte) (n uint32, status fuse.Status) {
	status = f.do(OpListxattr, cancel, in, func(r *request) error {
		names, err := f.fs.Listxattr(r, r.ino())
		if err != nil {
			return gone(err)
		}
		n, err = answer(dest, joinNames(names, in.Uid == 0))
		return err
	})
	return n, status
}

// answer copies a value out. An empty dest asks for the length only; one that is too small is ERANGE.
func answer(dest, value []byte) (uint32, error) {
	n := uint32(len(value))
	switch {
	case len(dest) == 0:
		return n, nil
	case len(dest) < len(value):
		return n, errRange
	}
	copy(dest, value)
	return n, nil
}

// joinNames ends each name with a NUL, as listxattr(2) does.
func joinNames(names []string, trusted bool) []byte {
	var b []byte
	for _, name := range names {
		if !trusted && strings.HasPrefix(name, trustedPrefix) {
			continue
		}
		b = append(append(b, name...), 0)
	}
	return b
}

// SetXAttr implements fuse.RawFileSystem.
func (f *front) SetXAttr(cancel <-chan struct{}, in *fuse.SetXAttrIn, name string, value []byte) fuse.Status {
	return f.do(OpSetxattr, cancel, &in.InHeader, func(r *request) error {
		if err := f.supported(name); err != nil {
			return err
		}
		defer f.acls.changed(r.ino())
		return gone(f.fs.SetxattrOp(r, fs.Setxattr{Ino: r.ino(), Name: name, Value: value, Flags: fs.XattrFlags(in.Flags),
			KillSetgid: in.SetXAttrFlags&fuse.SETXATTR_ACL_KILL_SGID != 0}))
	})
}

// RemoveXAttr implements fuse.RawFileSystem.
func (f *front) RemoveXAttr(cancel <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.do(OpRemovexattr, cancel, in, func(r *request) error {
		if err := f.supported(name); err != nil {
			return err
		}
		defer f.acls.changed(r.ino())
		return gone(f.fs.Removexattr(r, r.ino(), name))
	})
}
