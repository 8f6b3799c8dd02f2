package posix

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lockWords are the commands of a locking child, one a line: "VERB TYPE START LENGTH" for fcntl(2), of which the last three may be left
// out; "flock-VERB TYPE"; "close"; "read". The answer to each is one line: "ok", or the errno's name.
var lockWords = map[string]int{
	"set": unix.F_SETLK, "wait": unix.F_SETLKW, "ofd-set": unix.F_OFD_SETLK, "ofd-wait": unix.F_OFD_SETLKW,
	"get": unix.F_GETLK,
}

var (
	lockTypes  = map[string]int16{"r": unix.F_RDLCK, "w": unix.F_WRLCK, "u": unix.F_UNLCK}
	flockTypes = map[string]int{"r": unix.LOCK_SH, "w": unix.LOCK_EX, "u": unix.LOCK_UN}
)

// lockLoop obeys commands about one file until the input ends.
func lockLoop(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	fmt.Println("ok")
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := append(strings.Fields(in.Text()), "w", "0", "0")
		if words[0] == "reopen" {
			extra, err := os.Open(path)
			if err == nil {
				err = extra.Close()
			}
			fmt.Println(errnoName(err))
			continue
		}
		fmt.Println(lockDo(f, words))
	}
	return in.Err()
}

func lockDo(f *os.File, words []string) string {
	fd := f.Fd()
	verb, typ := words[0], words[1]
	if kind, ok := strings.CutPrefix(verb, "flock-"); ok {
		how := flockTypes[typ]
		if kind == "try" {
			how |= unix.LOCK_NB
		}
		return errnoName(unix.Flock(int(fd), how))
	}
	switch verb {
	case "close":
		return errnoName(f.Close())
	case "read":
		_, err := f.ReadAt(make([]byte, 1), 0)
		if err == io.EOF {
			err = nil
		}
		return errnoName(err)
	case "write":
		_, err := f.WriteAt([]byte(typ), 0)
		return errnoName(err)
	}
	start, _ := strconv.ParseInt(words[2], 10, 64)
	length, _ := strconv.ParseInt(words[3], 10, 64)
	l := unix.Flock_t{Type: lockTypes[typ], Start: start, Len: length}
	if err := unix.FcntlFlock(fd, lockWords[verb], &l); err != nil {
		return errnoName(err)
	}
	if verb == "get" {
		return fmt.Sprintf("%d %d %d %d", l.Type, l.Start, l.Len, l.Pid)
	}
	return "ok"
}

func errnoName(err error) string {
	if err == nil {
		return "ok"
	}
	for _, e := range []syscall.Errno{unix.EAGAIN, unix.EDEADLK, unix.EINTR, unix.EIO, unix.ENOLCK, unix.EBADF} {
		if errors.Is(err, e) {
			return unix.ErrnoName(e)
		}
	}
	return err.Error()
}

// locker is a process that locks a file.
type locker struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out chan string
}

func newLocker(t *testing.T, path string) *locker {
	t.Helper()
	l := &locker{t: t, cmd: child("locks", path, 0), out: make(chan string, 1)}
	var err error
	l.in, err = l.cmd.StdinPipe()
	must(t, err)
	out, err := l.cmd.StdoutPipe()
	must(t, err)
	l.cmd.Stderr = os.Stderr
	must(t, l.cmd.Start())
	go func() {
		defer close(l.out)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			l.out <- lines.Text()
		}
	}()
	t.Cleanup(l.kill)
	l.answers("ok")
	return l
}

func (l *locker) kill() {
	_ = l.cmd.Process.Kill() // it may have ended
	for range l.out {
	}
	_ = l.cmd.Wait() // how it ended is known
}

func (l *locker) tell(command string) {
	l.t.Helper()
	_, err := fmt.Fprintln(l.in, command)
	must(l.t, err)
}

func (l *locker) answers(want string) {
	l.t.Helper()
	select {
	case got := <-l.out:
		if got != want {
			l.t.Errorf("answer %q, want %q", got, want)
		}
	case <-time.After(20 * time.Second):
		l.t.Fatalf("no answer, want %q", want)
	}
}

func (l *locker) do(command, want string) {
	l.t.Helper()
	l.tell(command)
	select {
	case got := <-l.out:
		if got != want {
			l.t.Errorf("%s: %q, want %q", command, got, want)
		}
	case <-time.After(20 * time.Second):
		l.t.Fatalf("%s hangs", command)
	}
}

// waits tells a command and returns when the server has n requests in line.
func (l *locker) waits(r *remote, line string, n int) {
	l.t.Helper()
	l.tell(line)
	eventually(l.t, line+" waits", func() bool { return r.must(command{Do: "locks"}).Waiting == n })
}
