package torture

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"
)

func (w *worker) doNames(r *Record) error {
	dir, name := w.dirs[r.Name.Dir], r.Name.base()
	switch r.Kind {
	case Create:
		return w.open(r, unix.O_CREAT|unix.O_EXCL)
	case Open:
		return w.open(r, unix.O_CREAT)
	case Stat:
		return w.stat(r)
	case Unlink:
		return unix.Unlinkat(dir, name, 0)
	case Mkdir:
		return unix.Mkdirat(dir, name, 0o755)
	case Rmdir:
		return unix.Unlinkat(dir, name, unix.AT_REMOVEDIR)
	case Rename, NoReplace, Exchange:
		flags := map[Kind]uint{NoReplace: unix.RENAME_NOREPLACE, Exchange: unix.RENAME_EXCHANGE}
		return unix.Renameat2(dir, name, w.dirs[r.To.Dir], r.To.base(), flags[r.Kind])
	case Link:
		return w.link(r)
	case List:
		return w.list(r)
	case SyncDir:
		return unix.Fsync(dir)
	}
	return fmt.Errorf("no operation on names: %s", r.Kind)
}

// open opens or creates, and says which inode that is.
func (w *worker) open(r *Record, flags int) error {
	fd, err := unix.Openat(w.dirs[r.Name.Dir], r.Name.base(), flags|unix.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	r.Ino = st.Ino
	return errors.Join(err, unix.Close(fd))
}

func (w *worker) stat(r *Record) error {
	var st unix.Stat_t
	if err := unix.Fstatat(w.dirs[r.Name.Dir], r.Name.base(), &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	r.fromStat(&st)
	return nil
}

func (r *Record) fromStat(st *unix.Stat_t) {
	r.Ino, r.Nlink, r.IsDir = st.Ino, uint64(st.Nlink), st.Mode&unix.S_IFMT == unix.S_IFDIR
}

// link links an inode, not a name: what the name meant is found out first, and told. Ino stays 0 if it is none that can be linked.
func (w *worker) link(r *Record) error {
	fd, err := unix.Openat(w.dirs[r.Name.Dir], r.Name.base(), unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return nil // there is nothing to link, which a stat finds out as well
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG {
		return unix.Close(fd)
	}
	r.Ino = st.Ino
	r.Call = Now() // the name does not matter any more
	err = unix.Linkat(fd, "", w.dirs[r.To.Dir], r.To.base(), unix.AT_EMPTY_PATH)
	return errors.Join(err, unix.Close(fd))
}

func (w *worker) list(r *Record) error {
	fd, err := unix.Openat(w.dirs[r.Name.Dir], ".", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := unix.Getdents(fd, buf)
		if err != nil || n == 0 {
			return errors.Join(err, unix.Close(fd))
		}
		if err := r.take(buf[:n]); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
	}
}

// take takes the entries of one getdents64(2).
func (r *Record) take(buf []byte) error {
	const typeAt, nameAt = 18, 19
	for len(buf) > nameAt {
		length := int(buf[16]) | int(buf[17])<<8
		name := string(buf[nameAt : nameAt+slices.Index(buf[nameAt:length], 0)])
		if name != "." && name != ".." {
			if slices.ContainsFunc(r.Names, func(e Entry) bool { return e.Name == name }) {
				return fmt.Errorf("%q is listed twice", name)
			}
			r.Names = append(r.Names, Entry{name, buf[typeAt] == unix.DT_DIR})
		}
		buf = buf[length:]
	}
	return nil
}
