package e2e

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

// An agent is a process that makes system calls on a mount for a test, each in a thread of its own: one that hangs holds up neither
// the test nor the other calls, and ends with the agent.

// request is one call, a JSON object a line on the agent's standard input.
type request struct {
	ID     int
	Do     string // see calls
	Path   string
	To     string // of a rename, or the handle or mapping that is made
	Handle string
	Flags  int
	Off    int64
	Len    int
	Data   []byte
	Steps  []request       // of a repeat: made one after the other, Len times
	Allow  []syscall.Errno // of a step: what may come of it besides success
}

// answer is what came of it. Times are of this machine's wall clock, in nanoseconds.
type answer struct {
	ID           int
	Began, Ended int64
	Data         []byte
	Errno        syscall.Errno
	Err          string
}

func (a answer) ended() time.Time { return time.Unix(0, a.Ended) }

// agentEnv makes this test binary an agent.
const agentEnv = "DFS_E2E_AGENT"

// agent is the test's side.
type agent struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer
	mu    sync.Mutex
	calls map[int]chan answer
	last  int
}

// newAgent starts an agent. The test's end kills it, and so whatever hangs in it.
func newAgent(t *testing.T) *agent {
	t.Helper()
	a := &agent{t: t, cmd: exec.Command("/proc/self/exe"), calls: map[int]chan answer{}}
	a.cmd.Env = append(os.Environ(), agentEnv+"=1", "GOMAXPROCS=64", "GOGC=off")
	a.cmd.Stderr = os.Stderr
	in, err := a.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	a.in = in
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.listen(json.NewDecoder(out))
	}()
	t.Cleanup(func() {
		_ = a.cmd.Process.Kill() // it may have ended
		<-done
		_ = a.cmd.Wait() // killed
	})
	return a
}

func (a *agent) listen(lines *json.Decoder) {
	for {
		var got answer
		if lines.Decode(&got) != nil {
			return
		}
		a.mu.Lock()
		c := a.calls[got.ID]
		delete(a.calls, got.ID)
		a.mu.Unlock()
		c <- got
	}
}

// pending is a call that has been begun.
type pending struct {
	a *agent
	r request
	c chan answer
}

// begin has the agent make a call, and does not wait for it.
func (a *agent) begin(r request) pending {
	a.t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	r.ID = a.last
	p := pending{a, r, make(chan answer, 1)}
	a.calls[r.ID] = p.c
	line, err := json.Marshal(r)
	if err == nil {
		_, err = a.in.Write(append(line, '\n'))
	}
	if err != nil {
		a.t.Fatalf("agent: %v", err)
	}
	return p
}

// within waits for the call's end; ok is false if it has not come by then.
func (p pending) within(d time.Duration) (answer, bool) {
	late := time.NewTimer(d)
	defer late.Stop()
	select {
	case got := <-p.c:
		p.c <- got // for whoever asks again
		return got, true
	case <-late.C:
		return answer{}, false
	}
}

// patience is how long a call may take that nothing should hold up for longer than the loss of a leader, or of a session. It is
// generous: what it tells is whether a call hangs.
const patience = 60 * time.Second

// end waits for the call's end, and fails the test if it does not come.
func (p pending) end() answer {
	p.a.t.Helper()
	got, ok := p.within(patience)
	if !ok {
		p.a.t.Fatalf("%s %s%s hangs", p.r.Do, p.r.Path, p.r.Handle)
	}
	return got
}

// ok waits for the call's end, and fails the test unless it succeeds; it returns what was read.
func (p pending) ok() string {
	p.a.t.Helper()
	got := p.end()
	if got.Err != "" {
		p.a.t.Fatalf("%s %s%s: %s", p.r.Do, p.r.Path, p.r.Handle, got.Err)
	}
	return string(got.Data)
}

// do makes a call that succeeds.
func (a *agent) do(r request) string {
	a.t.Helper()
	return a.begin(r).ok()
}

// agentMain is the agent's side.
func agentMain() int {
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	w := &world{handles: map[string]int{}, maps: map[string][]byte{}}
	for lines := json.NewDecoder(os.Stdin); ; {
		var r request
		if err := lines.Decode(&r); err != nil {
			return 0
		}
		go func() {
			got := w.call(&r)
			mu.Lock()
			defer mu.Unlock()
			if err := out.Encode(got); err != nil {
				os.Exit(1) // nobody is there any more
			}
		}()
	}
}

func (w *world) call(r *request) (got answer) {
	got = answer{ID: r.ID, Began: time.Now().UnixNano()}
	data, err := call(w, r)
	got.Ended, got.Data = time.Now().UnixNano(), data
	if err != nil {
		got.Err = err.Error()
		_ = errors.As(err, &got.Errno) // 0 where it is none
	}
	return got
}
