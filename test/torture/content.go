package torture

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openFile is a file as a worker has it open.
type openFile struct {
	path    string
	file    int // which
	fd      int
	append  int    // descriptor with O_APPEND
	mapping []byte // shared, for reading
}

func openContent(path string, file int) (*openFile, error) {
	fd, err := unix.Open(path, unix.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	appending, err := unix.Open(path, unix.O_RDWR|unix.O_APPEND, 0)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	mapping, err := unix.Mmap(fd, 0, slots*wideApart, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd), unix.Close(appending))
	}
	return &openFile{path: path, file: file, fd: fd, append: appending, mapping: mapping}, nil
}

func (f *openFile) sync() error {
	return errors.Join(unix.Fsync(f.fd), unix.Fsync(f.append))
}

func (f *openFile) close() error {
	return errors.Join(unix.Munmap(f.mapping), unix.Close(f.fd), unix.Close(f.append))
}

func (w *worker) doContent(r *Record) error {
	f := w.files[r.File]
	if f == nil { // it could not be opened again
		var err error
		if f, err = openContent(fmt.Sprintf("%s/f%d", w.round, r.File), r.File); err != nil {
			return err
		}
		w.files[r.File] = f
	}
	switch at := int64(r.Slot) * stride(r.File); r.Kind {
	case Write:
		return f.write(r.Op, f.fd, func(b []byte) (int, error) { return unix.Pwrite(f.fd, b, at) })
	case Append:
		return f.write(r.Op, f.append, func(b []byte) (int, error) { return unix.Write(f.append, b) })
	case Truncate:
		if err := unix.Ftruncate(f.fd, at); err != nil || !r.Op.Sync {
			return err
		}
		return unix.Fsync(f.fd)
	case Read:
		return f.read(r, at)
	case ReadAll:
		return f.readAll(r)
	case ReadMap:
		// A mount that is cut off for longer than its session keeps what is mapped. This asks whether it is, and nothing of the file.
		if err := unix.Fstat(w.dirs[0], &unix.Stat_t{}); err != nil {
			return err
		}
		return f.readMap(r, at)
	case Size:
		var st unix.Stat_t
		err := unix.Fstat(f.fd, &st)
		r.Size = st.Size
		return err
	case Sync:
		return f.sync()
	case Reopen:
		err := f.close()
		again, openErr := openContent(f.path, f.file)
		w.files[r.File] = again
		return errors.Join(err, openErr)
	}
	return fmt.Errorf("no operation on content: %s", r.Kind)
}

// A slot holds a value and its complement, so that a torn one is seen; nothing was ever written where both are zero.
func encode(value uint32) []byte {
	b := make([]byte, 8)
	binary.LittleEndian.PutUint32(b, value)
	binary.LittleEndian.PutUint32(b[4:], ^value)
	return b
}

func decode(b []byte) (uint32, error) {
	value, other := binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:])
	if value == 0 && other == 0 || other == ^value {
		return value, nil
	}
	return 0, fmt.Errorf("nobody wrote % x", b[:8])
}

func (f *openFile) write(op Op, fd int, do func([]byte) (int, error)) error {
	n, err := do(encode(op.Value))
	switch {
	case err != nil:
		return err
	case n != 8:
		return fmt.Errorf("%d of 8 bytes written", n)
	case op.Sync:
		return unix.Fsync(fd)
	}
	return nil
}

func (f *openFile) read(r *Record, at int64) error {
	b := make([]byte, 8)
	n, err := unix.Pread(f.fd, b, at)
	if err != nil || n == 0 {
		return err
	}
	if n != 8 {
		return fmt.Errorf("%d of 8 bytes read", n)
	}
	value, err := decode(b)
	r.Values = []uint32{value}
	return err
}

// readAll reads with one system call.
func (f *openFile) readAll(r *Record) error {
	gap := stride(f.file)
	b := make([]byte, slotsRead*8+slots*gap)
	n, err := unix.Pread(f.fd, b, 0)
	if err != nil {
		return err
	}
	r.Size = int64(n)
	for at := int64(0); at < r.Size; at += gap {
		if r.Size-at < 8 {
			return fmt.Errorf("a size of %d", n)
		}
		value, err := decode(b[at:])
		if err != nil {
			return err
		}
		r.Values = append(r.Values, value)
		for _, c := range b[at+8 : min(at+gap, r.Size)] {
			if c != 0 {
				return fmt.Errorf("something in the hole after %d", at)
			}
		}
	}
	return nil
}

// readMap reads through the mapping; a page without a file below it is EFAULT.
func (f *openFile) readMap(r *Record, at int64) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = syscall.EFAULT
		}
	}()
	b := make([]byte, 8)
	binary.LittleEndian.PutUint64(b, atomic.LoadUint64((*uint64)(unsafe.Pointer(&f.mapping[at]))))
	value, err := decode(b)
	r.Values = []uint32{value}
	return err
}
