package fusefs

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

const (
	// watchesEvery is how often it is looked who watches what.
	watchesEvery = time.Second
	// echoTimeout bounds one echo; then the helper is killed, and another one started.
	echoTimeout = 20 * time.Second
	// echoPause is between two attempts to have a helper, or to be told of changes.
	echoPause = 2 * time.Second
)

// EchoConfig says where changes come from, and who makes them once more.
type EchoConfig struct {
	Watcher fs.Watcher
	Helper  func() *exec.Cmd // a process that runs EchoHelper on its standard input and output
}

// echoes tells the kernel of other mounts' changes; see DESIGN.md, "Watching".
type echoes struct {
	cfg    EchoConfig
	front  *echoFront
	logger *slog.Logger

	watched atomic.Pointer[map[fs.Ino]bool]
	some    chan struct{} // that somebody watches
	hello   helperHello
	helper  *echoProcess // nil: none

	ctx    context.Context // ends with the mount
	cancel context.CancelFunc
	loops  sync.WaitGroup
}

func newEchoes(cfg EchoConfig, front *echoFront, logger *slog.Logger) *echoes {
	e := &echoes{cfg: cfg, front: front, logger: logger, some: make(chan struct{}, 1)}
	e.watched.Store(&map[fs.Ino]bool{})
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

// start begins to look who watches. The mount is served.
func (e *echoes) start(dir string) error {
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return fmt.Errorf("stat %s: %w", dir, err)
	}
	e.hello = helperHello{Mount: dir, Dev: st.Dev}
	e.loops.Go(func() { e.look(e.ctx, kernelDev(st.Dev)) })
	e.loops.Go(func() { e.run(e.ctx) })
	return nil
}

// kernelDev is a device number as the kernel writes it in /proc.
func kernelDev(dev uint64) uint64 { return uint64(unix.Major(dev))<<20 | uint64(unix.Minor(dev)) }

// close ends the echoes, and waits. It may be called twice.
func (e *echoes) close() {
	e.cancel()
	e.loops.Wait()
}

// look keeps watched as it is. What one look finds counts until the look after the next: an echo too many does no harm.
func (e *echoes) look(ctx context.Context, dev uint64) {
	tick := time.NewTicker(watchesEvery)
	defer tick.Stop()
	var before map[fs.Ino]bool
	for {
		found := watchedInodes("/proc", dev)
		watched := maps.Clone(found)
		maps.Copy(watched, before)
		before = found
		e.watched.Store(&watched)
		if len(watched) > 0 {
			select {
			case e.some <- struct{}{}:
			default:
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// run follows the changes while somebody watches.
func (e *echoes) run(ctx context.Context) {
	defer e.drop()
	for {
		select {
		case <-e.some:
		case <-ctx.Done():
			return
		}
		if err := e.follow(ctx); err != nil && ctx.Err() == nil {
			e.logger.Warn("programs that watch files may not hear of other mounts' changes; trying on", "err", err)
			select {
			case <-time.After(echoPause):
			case <-ctx.Done():
			}
		}
		e.drop()
	}
}

// follow returns when nobody watches any more, or with what went wrong.
func (e *echoes) follow(ctx context.Context) (err error) {
	stream, err := e.cfg.Watcher.Watch(ctx, fs.WatchRequest{Ino: e.front.front.fs.Root()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stream.Close()) }()
	for len(*e.watched.Load()) > 0 {
		c, err := stream.Recv(ctx)
		if err != nil {
			return err
		}
		if c.Missing {
			e.logger.Warn("programs that watch files miss changes of other mounts: there were too many, or nodes have failed")
		}
		for i := range c.List {
			if err := e.tell(ctx, &c.List[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell echoes a change. An echo that fails is no fault: what it was about may have changed once more.
func (e *echoes) tell(ctx context.Context, c *fs.Change) error {
	if c.Session == e.front.front.fs.Session() {
		return nil
	}
	for _, x := range plan(c, *e.watched.Load(), e.front.front.nodeOf) {
		refused, err := e.make(ctx, &x)
		if err != nil {
			return fmt.Errorf("the helper: %w", err)
		}
		if refused != "" {
			e.logger.Debug("a change is not echoed", "change", c.Kind, "path", c.Path, "err", refused)
		}
	}
	return nil
}

// make has one echo made. The kernel may remember, and rightly, that there is no such name any more; then it is made to ask, and the
// echo made again.
func (e *echoes) make(ctx context.Context, x *echo) (refused string, err error) {
	if e.helper == nil {
		if e.helper, err = startHelper(ctx, e.cfg.Helper(), e.hello); err != nil {
			return "", err
		}
		e.front.helper.Store(uint32(e.helper.cmd.Process.Pid))
	}
	for range 2 {
		e.front.begin(x)
		refused, err = e.helper.ask(x)
		if asked := e.front.end(); err != nil || refused == "" || asked {
			break
		}
		if err := e.front.front.dev.incEpoch(); err != nil {
			break // a kernel without an epoch remembers no names
		}
	}
	return refused, err
}

// drop ends the helper. Its number is forgotten first: another process may have it next.
func (e *echoes) drop() {
	if e.helper != nil {
		e.front.helper.Store(0)
		e.helper.end()
		e.helper = nil
	}
}

// echoProcess is a helper that runs.
type echoProcess struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	to   *gob.Encoder
	from *gob.Decoder
	stop func() bool
}

// startHelper starts a helper that is killed when ctx ends.
func startHelper(ctx context.Context, cmd *exec.Cmd, hello helperHello) (*echoProcess, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &echoProcess{cmd: cmd, in: in, to: gob.NewEncoder(in), from: gob.NewDecoder(out)}
	p.stop = context.AfterFunc(ctx, p.kill)
	if _, err := p.ask(hello); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

func (p *echoProcess) kill() { _ = p.cmd.Process.Kill() } // it may have ended

// ask has an echo made, or greets; refused is what the kernel said.
func (p *echoProcess) ask(what any) (refused string, err error) {
	late := time.AfterFunc(echoTimeout, p.kill)
	defer late.Stop()
	if err := p.to.Encode(what); err != nil {
		return "", err
	}
	var r helperReply
	err = p.from.Decode(&r)
	return r.Err, err
}

// end ends the process and waits for it.
func (p *echoProcess) end() {
	p.stop()
	p.kill()
	_ = p.in.Close() // it is gone
	_ = p.cmd.Wait() // killed
}
