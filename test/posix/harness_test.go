package posix

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	testTimeout  = 4 * time.Minute // of one test; then its server is killed
	replyTimeout = 30 * time.Second
)

func TestMain(m *testing.M) {
	if env := os.Getenv(serverEnv); env != "" {
		os.Exit(serverMain(env))
	}
	if env := os.Getenv(childEnv); env != "" {
		os.Exit(childMain(env))
	}
	// Modes in these tests are meant as they are written.
	syscall.Umask(0o022)
	code := m.Run()
	if left := leftovers(); left != "" {
		fmt.Fprintln(os.Stderr, "mounts left behind:", left)
		code = 1
	}
	os.Exit(code)
}

func serverMain(env string) int {
	var opts options
	if err := json.Unmarshal([]byte(env), &opts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := serve(opts); err != nil {
		answer(&reply{Err: err.Error()})
		fmt.Fprintln(os.Stderr, "server:", err)
		return 1
	}
	return 0
}

// prefix begins the names of this run's temporary directories.
func prefix() string { return fmt.Sprintf("TestPosix%d-", os.Getpid()) }

// tempDir makes a directory that goes with the test and that other users may enter; t.TempDir lets nobody in.
func tempDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", prefix())
	must(t, err)
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	must(t, os.Chmod(dir, 0o755))
	return dir
}

// leftovers lists the dfs mounts that this run has left in the directory for temporary files.
func leftovers() string {
	info, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err.Error()
	}
	var left []string
	for line := range strings.Lines(string(info)) {
		fields := strings.Fields(line)
		if strings.Contains(line, " - fuse.dfs ") && strings.HasPrefix(fields[4], filepath.Join(os.TempDir(), prefix())) {
			left = append(left, fields[4])
		}
	}
	return strings.Join(left, " ")
}

// remote is a server process.
type remote struct {
	t       *testing.T
	opts    options
	cmd     *exec.Cmd
	stdin   io.WriteCloser
	replies chan *reply
	exited  chan struct{}
	log     *buffer
	mu      sync.Mutex // one command at a time
}

// start runs a server that mounts n times the same, empty filesystem. The test has until testTimeout; cleanup unmounts.
func start(t *testing.T, n int, opts options) *remote {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		t.Skip("no FUSE here: ", err)
	}
	base := tempDir(t)
	for i := range n {
		dir := filepath.Join(base, fmt.Sprint("m", i))
		must(t, os.Mkdir(dir, 0o755))
		opts.Dirs = append(opts.Dirs, dir)
	}
	return launch(t, opts)
}

// launch runs a server with opts.Dirs as they are.
func launch(t *testing.T, opts options) *remote {
	t.Helper()
	r, err := tryLaunch(t, opts, nil)
	if err != nil {
		t.Fatalf("server: %v\n%s", err, r.log)
	}
	return r
}

func tryLaunch(t *testing.T, opts options, change func(*exec.Cmd)) (*remote, error) {
	t.Helper()
	env, err := json.Marshal(opts)
	must(t, err)
	r := &remote{t: t, opts: opts, replies: make(chan *reply), exited: make(chan struct{}), log: &buffer{}}
	r.cmd = exec.Command("/proc/self/exe")
	r.cmd.Env = append(os.Environ(), serverEnv+"="+string(env))
	r.cmd.Stderr = r.log
	r.stdin, err = r.cmd.StdinPipe()
	must(t, err)
	stdout, err := r.cmd.StdoutPipe()
	must(t, err)
	if change != nil {
		change(r.cmd)
	}
	must(t, r.cmd.Start())
	go r.listen(stdout)
	watchdog := time.AfterFunc(testTimeout, func() {
		t.Errorf("not done after %v; killing the server", testTimeout)
		r.kill()
	})
	t.Cleanup(func() {
		watchdog.Stop()
		r.stop()
	})
	return r, r.reply()
}

// listen hands on replies and reaps the process.
func (r *remote) listen(stdout io.Reader) {
	lines := json.NewDecoder(stdout)
	for {
		answer := &reply{}
		if lines.Decode(answer) != nil {
			break
		}
		r.replies <- answer
	}
	r.cmd.Wait() // how it ended shows in the replies and the log
	close(r.exited)
}

func (r *remote) reply() error {
	_, err := r.await()
	return err
}

func (r *remote) await() (*reply, error) {
	select {
	case answer := <-r.replies:
		if answer.Err != "" {
			return answer, errors.New(answer.Err)
		}
		return answer, nil
	case <-r.exited:
		return &reply{}, errors.New("the server is gone")
	case <-time.After(replyTimeout):
		return &reply{}, errors.New("the server does not answer")
	}
}

// tell makes the server do something.
func (r *remote) tell(c command) (*reply, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := json.NewEncoder(r.stdin).Encode(c); err != nil {
		return &reply{}, err
	}
	return r.await()
}

func (r *remote) must(c command) *reply {
	r.t.Helper()
	answer, err := r.tell(c)
	must(r.t, err)
	return answer
}

func (r *remote) stats() *reply {
	r.t.Helper()
	return r.must(command{Do: "stats"})
}

// kill is kill -9.
func (r *remote) kill() {
	if err := r.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		r.t.Error("kill the server:", err)
	}
}

// stop lets the server unmount and end; one that does not is killed, and its mounts are detached.
func (r *remote) stop() {
	r.stdin.Close() // its end of input is the order to leave
	late := time.After(replyTimeout)
	for done := false; !done; {
		select {
		case <-r.replies:
		case <-r.exited:
			done = true
		case <-late:
			r.t.Error("the server does not leave")
			r.kill()
		}
	}
	for _, dir := range r.opts.Dirs {
		for unix.Unmount(dir, unix.MNT_DETACH) == nil {
			if !r.t.Failed() {
				r.t.Logf("%s was still mounted", dir)
			}
		}
	}
	if r.t.Failed() {
		r.t.Logf("log of the server:\n%s", r.log)
	}
}

// dir is where the first mount is.
func (r *remote) dir() string { return r.opts.Dirs[0] }

// buffer is a bytes.Buffer for two goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// want checks an errno; 0 is success.
func want(t *testing.T, what string, err error, errno syscall.Errno) {
	t.Helper()
	if errno == 0 && err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if errno != 0 && !errors.Is(err, errno) {
		t.Errorf("%s: got %v, want %v", what, err, errno)
	}
}

// eventually polls until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 10 s", what)
		}
	}
}

// fdPath leads to what is open.
func fdPath(fd int) string { return fmt.Sprint("/proc/self/fd/", fd) }
