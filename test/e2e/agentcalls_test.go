package e2e

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// world is what an agent has opened and mapped.
type world struct {
	mu      sync.Mutex
	handles map[string]int
	maps    map[string][]byte
	load    *load
}

func (w *world) fd(r *request) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	fd, ok := w.handles[r.Handle]
	if !ok {
		return -1
	}
	return fd
}

func (w *world) mapping(r *request) []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.maps[r.Handle]
}

// calls finds what an agent can do by its name; nil: there is no such call.
func calls(name string) func(*world, *request) ([]byte, error) {
	return map[string]func(*world, *request) ([]byte, error){
		"open":      open,
		"close":     func(w *world, r *request) ([]byte, error) { return nil, unix.Close(w.fd(r)) },
		"pread":     pread,
		"pwrite":    pwrite,
		"fsync":     func(w *world, r *request) ([]byte, error) { return nil, unix.Fsync(w.fd(r)) },
		"stat":      stat,
		"fstat":     fstat,
		"read":      func(_ *world, r *request) ([]byte, error) { return os.ReadFile(r.Path) },
		"write":     write,
		"list":      list,
		"mkdir":     func(_ *world, r *request) ([]byte, error) { return nil, unix.Mkdir(r.Path, 0o755) },
		"unlink":    func(_ *world, r *request) ([]byte, error) { return nil, unix.Unlink(r.Path) },
		"rename":    func(_ *world, r *request) ([]byte, error) { return nil, unix.Rename(r.Path, r.To) },
		"rmdir":     func(_ *world, r *request) ([]byte, error) { return nil, unix.Rmdir(r.Path) },
		"create":    create,
		"truncate":  func(_ *world, r *request) ([]byte, error) { return nil, unix.Truncate(r.Path, r.Off) },
		"mmap":      mmap,
		"peek":      peek,
		"poke":      poke,
		"msync":     func(w *world, r *request) ([]byte, error) { return nil, unix.Msync(w.mapping(r), unix.MS_SYNC) },
		"load":      startsLoad,
		"tell":      func(w *world, _ *request) ([]byte, error) { return w.load.tell() },
		"unload":    func(w *world, _ *request) ([]byte, error) { return w.load.end() },
		"exec":      func(_ *world, r *request) ([]byte, error) { return exec.Command(r.Path).Output() },
		"ftruncate": func(w *world, r *request) ([]byte, error) { return nil, unix.Ftruncate(w.fd(r), r.Off) },
		"repeat":    repeat,
	}[name]
}

func open(w *world, r *request) ([]byte, error) {
	fd, err := unix.Open(r.Path, r.Flags|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.handles[r.To] = fd
	return nil, nil
}

func pread(w *world, r *request) ([]byte, error) {
	buf := make([]byte, r.Len)
	n, err := unix.Pread(w.fd(r), buf, r.Off)
	return buf[:max(n, 0)], err
}

func pwrite(w *world, r *request) ([]byte, error) {
	n, err := unix.Pwrite(w.fd(r), r.Data, r.Off)
	if err == nil && n < len(r.Data) {
		err = io.ErrShortWrite
	}
	return nil, err
}

// stat tells size and mode.
func stat(_ *world, r *request) ([]byte, error) {
	var st unix.Stat_t
	err := unix.Lstat(r.Path, &st)
	return described(&st), err
}

func fstat(w *world, r *request) ([]byte, error) {
	var st unix.Stat_t
	err := unix.Fstat(w.fd(r), &st)
	return described(&st), err
}

func described(st *unix.Stat_t) []byte { return fmt.Appendf(nil, "%d %o", st.Size, st.Mode&0o7777) }

// create makes a file that must not be there.
func create(_ *world, r *request) ([]byte, error) {
	fd, err := unix.Open(r.Path, unix.O_CREAT|unix.O_EXCL|unix.O_WRONLY|unix.O_CLOEXEC, 0o755)
	if err != nil {
		return nil, err
	}
	return nil, unix.Close(fd)
}

// write creates or truncates a file, and fills it.
func write(_ *world, r *request) ([]byte, error) { return nil, os.WriteFile(r.Path, r.Data, 0o755) }

func list(_ *world, r *request) ([]byte, error) {
	entries, err := os.ReadDir(r.Path)
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	return []byte(strings.Join(names, " ")), err
}

// mmap maps a handle's file, shared; for writing if Flags is not 0.
func mmap(w *world, r *request) ([]byte, error) {
	prot := unix.PROT_READ
	if r.Flags != 0 {
		prot |= unix.PROT_WRITE
	}
	m, err := unix.Mmap(w.fd(r), 0, r.Len, prot, unix.MAP_SHARED)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maps[r.To] = m
	return nil, nil
}

// errFault is what a mapping answers where it has no file behind it any more.
var errFault = errors.New("fault")

func faultless(fn func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			err = errFault
		}
	}()
	fn()
	return nil
}

// peek reads a mapping.
func peek(w *world, r *request) (data []byte, err error) {
	m := w.mapping(r)
	err = faultless(func() { data = append(data, m[r.Off:r.Off+int64(r.Len)]...) })
	return data, err
}

// poke stores into a mapping.
func poke(w *world, r *request) ([]byte, error) {
	m := w.mapping(r)
	return nil, faultless(func() { copy(m[r.Off:], r.Data) })
}

// startsLoad begins the work of two mounts, which tell and unload then ask about.
func startsLoad(w *world, r *request) (_ []byte, err error) {
	w.load, err = startLoad(r.Path, r.To)
	return nil, err
}

// repeat makes its steps again and again, and tells how long the longest one took. In paths and in To, "%d" is the round's number.
func repeat(w *world, r *request) ([]byte, error) {
	var worst time.Duration
	for round := range r.Len {
		for _, step := range r.Steps {
			step.Path = strings.ReplaceAll(step.Path, "%d", strconv.Itoa(round))
			step.To = strings.ReplaceAll(step.To, "%d", strconv.Itoa(round))
			began := time.Now()
			_, err := call(w, &step)
			worst = max(worst, time.Since(began))
			allowed := errors.Is(err, errFault) || slices.ContainsFunc(step.Allow, func(e syscall.Errno) bool { return errors.Is(err, e) })
			if err != nil && !allowed {
				return nil, fmt.Errorf("round %d: %s %s%s: %w", round, step.Do, step.Path, step.Handle, err)
			}
		}
	}
	return []byte(worst.Round(time.Millisecond).String()), nil
}

func call(w *world, r *request) ([]byte, error) {
	fn := calls(r.Do)
	if fn == nil {
		return nil, fmt.Errorf("unknown call %q", r.Do)
	}
	return fn(w, r)
}
