package statetest

import (
	"strings"

	"dfs/fs"
)

// regular finds a file that has data.
func (m *Model) regular(ino fs.Ino) (*file, fs.Code) {
	f := m.inodes[ino]
	switch {
	case f == nil:
		return nil, fs.CodeNotExist
	case f.isDir():
		return nil, fs.CodeIsDir
	case f.attr.Type != fs.TypeRegular:
		return nil, fs.CodeInvalid
	}
	return f, fs.CodeOK
}

// resize truncates or extends with holes.
func (f *file) resize(size uint64) {
	for uint64(len(f.data)) < size {
		f.data = append(f.data, cell{})
	}
	f.data = f.data[:size]
}

func (f *file) grow(size uint64) { f.resize(max(size, uint64(len(f.data)))) }

// kill takes the set-id bits; set-gid without group execution is not one.
func (f *file) kill(yes bool) {
	if !yes || f.isDir() {
		return
	}
	f.attr.Mode &^= 0o4000
	if f.attr.Mode&0o010 != 0 {
		f.attr.Mode &^= 0o2000
	}
}

func (m *Model) setattr(o *fs.Setattr) (fs.Result, fs.Code) {
	f := m.inodes[o.Ino]
	if f == nil {
		return fs.Result{}, fs.CodeNotExist
	}
	a := &f.attr
	if o.Set&fs.SetSize != 0 {
		if _, code := m.regular(o.Ino); code != fs.CodeOK {
			return fs.Result{}, code
		}
		if o.Size > fs.SizeMax {
			return fs.Result{}, fs.CodeFileTooBig
		}
		f.resize(o.Size)
		a.Mtime = o.Time
	}
	if o.Set&fs.SetUID != 0 {
		a.UID = o.UID
	}
	if o.Set&fs.SetGID != 0 {
		a.GID = o.GID
	}
	f.kill(o.KillPriv || o.Set&(fs.SetUID|fs.SetGID) != 0)
	if o.Set&fs.SetMode != 0 {
		if a.Type == fs.TypeSymlink {
			return fs.Result{}, fs.CodeNotSupported
		}
		f.chmod(o.Mode)
	}
	if o.Set&fs.SetAtime != 0 {
		a.Atime = o.Atime
	}
	if o.Set&fs.SetMtime != 0 {
		a.Mtime = o.Mtime
	}
	a.Ctime = o.Time
	return m.result(f, nil, nil), fs.CodeOK
}

func (m *Model) write(o *fs.Write) (fs.Result, fs.Code) {
	f, code := m.regular(o.Ino)
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	end := uint64(0)
	for _, e := range o.Extents {
		if e.Len == 0 || e.Off < end {
			return fs.Result{}, fs.CodeInvalid
		}
		if e.Off > fs.SizeMax-e.Len {
			return fs.Result{}, fs.CodeFileTooBig
		}
		end = e.Off + e.Len
		if e.Inline() {
			if uint64(len(e.Data)) != e.Len {
				return fs.Result{}, fs.CodeInvalid
			}
			continue
		}
		b := m.blobs[e.Blob]
		if b == nil || b.garbage {
			return fs.Result{}, fs.CodeStale
		}
		if e.BlobOff+e.Len > uint64(b.info.Length) {
			return fs.Result{}, fs.CodeInvalid
		}
	}
	for _, e := range o.Extents {
		f.grow(e.Off + e.Len)
		for n := range e.Len {
			c := cell{mapped: true, blob: e.Blob}
			if e.Inline() {
				c.value = e.Data[n]
			} else {
				c.value = BlobByte(e.Blob, e.BlobOff+n)
			}
			f.data[e.Off+n] = c
		}
	}
	f.kill(o.KillPriv)
	f.stamp(o.Time)
	return m.result(f, nil, nil), fs.CodeOK
}

func (m *Model) allocate(o *fs.Allocate) (fs.Result, fs.Code) {
	f, code := m.regular(o.Ino)
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	if o.Len == 0 || o.Mode > fs.AllocateZero {
		return fs.Result{}, fs.CodeInvalid
	}
	if o.Len > fs.SizeMax || o.Off > fs.SizeMax-o.Len {
		return fs.Result{}, fs.CodeFileTooBig
	}
	if o.Mode != fs.AllocatePlain {
		for n := o.Off; n < o.Off+o.Len && n < uint64(len(f.data)); n++ {
			f.data[n] = cell{}
		}
	}
	if !o.KeepSize && o.Mode != fs.AllocatePunch {
		f.grow(o.Off + o.Len)
	}
	f.kill(o.KillPriv)
	f.stamp(o.Time)
	return m.result(f, nil, nil), fs.CodeOK
}

func (m *Model) clone(o *fs.Clone) (fs.Result, fs.Code) {
	src, code := m.regular(o.Src)
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	dst, code := m.regular(o.Dst)
	if code != fs.CodeOK {
		return fs.Result{}, code
	}
	var cells []cell
	for n := uint64(0); n < o.Len && o.SrcOff+n < uint64(len(src.data)); n++ {
		cells = append(cells, src.data[o.SrcOff+n])
	}
	n := uint64(len(cells))
	if n == 0 {
		return m.result(dst, nil, nil), fs.CodeOK
	}
	if o.DstOff > fs.SizeMax-n {
		return fs.Result{}, fs.CodeFileTooBig
	}
	if src == dst && o.SrcOff < o.DstOff+n && o.DstOff < o.SrcOff+n {
		return fs.Result{}, fs.CodeInvalid
	}
	dst.grow(o.DstOff + n)
	copy(dst.data[o.DstOff:], cells)
	dst.kill(o.KillPriv)
	dst.stamp(o.Time)
	r := m.result(dst, nil, nil)
	r.N = n
	return r, fs.CodeOK
}

func (m *Model) setxattr(o *fs.Setxattr) (fs.Result, fs.Code) {
	f := m.inodes[o.Ino]
	if f == nil {
		return fs.Result{}, fs.CodeNotExist
	}
	_, exists := f.xattrs[o.Name]
	if exists && o.Flags == fs.XattrCreate {
		return fs.Result{}, fs.CodeExist
	}
	if !exists && o.Flags == fs.XattrReplace {
		return fs.Result{}, fs.CodeNoXattr
	}
	keep := true
	if strings.HasPrefix(o.Name, "system.posix_acl_") {
		var code fs.Code
		if keep, code = f.setACL(o); code != fs.CodeOK {
			return fs.Result{}, code
		}
	}
	f.xattrs[o.Name] = string(o.Value)
	if !keep {
		delete(f.xattrs, o.Name)
	}
	f.attr.Ctime = o.Time
	return m.result(f, nil, nil), fs.CodeOK
}

func (m *Model) removexattr(o *fs.Removexattr) (fs.Result, fs.Code) {
	f := m.inodes[o.Ino]
	if f == nil {
		return fs.Result{}, fs.CodeNotExist
	}
	if _, exists := f.xattrs[o.Name]; !exists {
		if strings.HasPrefix(o.Name, "system.posix_acl_") {
			return m.result(f, nil, nil), fs.CodeOK
		}
		return fs.Result{}, fs.CodeNoXattr
	}
	delete(f.xattrs, o.Name)
	f.attr.Ctime = o.Time
	return m.result(f, nil, nil), fs.CodeOK
}
