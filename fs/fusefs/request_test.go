package fusefs

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// living gives the front a connection that is not broken; a pipe looks like one.
func (r *rig) living() {
	r.t.Helper()
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		r.t.Fatal(err)
	}
	r.dev = &device{fd: p[0]}
	r.t.Cleanup(func() {
		r.dev.close()
		unix.Close(p[1])
	})
}

// interrupted is the channel of a request that a signal has come for.
func interrupted() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// hang waits for the end of a request's context, for at most 10 s.
func hang(r *request) error {
	select {
	case <-r.Done():
		return r.Err()
	case <-time.After(10 * time.Second):
		return nil
	}
}

func TestRequest_EndsItsContextWhenAnswered(t *testing.T) {
	f := newRig(t, nil)
	var ctx context.Context
	f.ok("read", f.do(OpRead, nil, &fuse.InHeader{}, func(r *request) error {
		ctx = r
		return r.Err()
	}))
	if ctx.Err() == nil {
		t.Error("the context outlives the request")
	}
}

func TestInterrupt_OfAProcessThatIsGoneEndsTheCall(t *testing.T) {
	f := newRig(t, nil)
	f.living()
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	in := fuse.InHeader{Caller: fuse.Caller{Pid: uint32(cmd.ProcessState.Pid())}}
	if st := f.do(OpRead, interrupted(), &in, hang); st != fuse.EINTR {
		t.Error(st)
	}
	if n := f.stats.snapshot().Interrupts; n != 1 {
		t.Errorf("%d interrupts counted", n)
	}
}

func TestInterrupt_OfALivingProcessEndsNothingUntilTheMountIsGone(t *testing.T) {
	f := newRig(t, nil)
	f.living()
	in := fuse.InHeader{Caller: fuse.Caller{Pid: uint32(os.Getpid())}}
	st := f.do(OpRead, interrupted(), &in, func(r *request) error {
		for deadline := time.Now().Add(10 * time.Second); f.stats.survived.Load() == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nobody looked at the interrupt")
			}
		}
		if r.Err() != nil {
			t.Error("the call was ended")
		}
		if err := f.dev.close(); err != nil {
			t.Error(err)
		}
		return hang(r)
	})
	if st != fuse.EINTR {
		t.Error(st)
	}
}
