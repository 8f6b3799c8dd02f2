package fusefs

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// device is our own descriptor of the FUSE connection, beside the one that go-fuse reads requests from.
type device struct {
	mu sync.RWMutex
	fd int // -1 once closed
}

// newDevice duplicates fd.
func newDevice(fd int) (*device, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("duplicate the FUSE descriptor: %w", err)
	}
	return &device{fd: dup}, nil
}

// close must come when nobody serves any more: the connection lives as long as a descriptor of it.
func (d *device) close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fd < 0 {
		return nil
	}
	err := unix.Close(d.fd)
	d.fd = -1
	return err
}

// dead reports whether the connection is over: unmounted, or aborted. Nobody waits for an answer then.
func (d *device) dead() bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return true
	}
	fds := []unix.PollFd{{Fd: int32(d.fd)}}
	_, err := unix.Poll(fds, 0)
	return err == nil && fds[0].Revents&unix.POLLERR != 0
}

// notifyIncEpoch is FUSE_NOTIFY_INC_EPOCH, see fuse.h, negated as it is sent.
const notifyIncEpoch = 8

// incEpoch makes the kernel ask once more for every name of the mount. It never waits for a request in flight, as
// EntryNotify does. Kernels before 6.16 have it not: EINVAL.
func (d *device) incEpoch() error {
	var msg [16]byte // struct fuse_out_header: len, error, unique
	binary.NativeEndian.PutUint32(msg[0:], uint32(len(msg)))
	binary.NativeEndian.PutUint32(msg[4:], notifyIncEpoch)
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.fd < 0 {
		return unix.ENODEV
	}
	if _, err := unix.Write(d.fd, msg[:]); err != nil {
		return errors.Join(errors.New("FUSE_NOTIFY_INC_EPOCH"), err)
	}
	return nil
}
