package posix

import (
	"context"
	"fmt"
	"sync"

	"dfs/fs"
)

// gate is a line to the cluster that fails or holds up some calls, by their name. A call that is held up obeys its
// context, as one to a cluster that does not answer would.
type gate struct {
	fs.Meta

	mu      sync.Mutex
	faults  map[string]fs.Code
	opened  chan struct{} // closed by clear
	waiting int
}

func newGate(m fs.Meta) *gate {
	return &gate{Meta: m, faults: make(map[string]fs.Code), opened: make(chan struct{})}
}

// set makes a call fail with code, or hang if it is CodeOK.
func (g *gate) set(call string, code fs.Code) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.faults[call] = code
}

func (g *gate) clear() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.faults)
	close(g.opened)
	g.opened = make(chan struct{})
}

func (g *gate) hung() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting
}

func (g *gate) pass(ctx context.Context, call string) error {
	g.mu.Lock()
	code, ok := g.faults[call]
	opened := g.opened
	if ok && code == fs.CodeOK {
		g.waiting++
	}
	g.mu.Unlock()
	if !ok {
		return nil
	}
	if code != fs.CodeOK {
		return fmt.Errorf("injected at %s: %w", call, fs.FromCode(code))
	}
	defer func() {
		g.mu.Lock()
		g.waiting--
		g.mu.Unlock()
	}()
	select {
	case <-opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) Lookup(ctx context.Context, dir fs.Ino, name string) (fs.Attr, error) {
	if err := g.pass(ctx, "lookup"); err != nil {
		return fs.Attr{}, err
	}
	return g.Meta.Lookup(ctx, dir, name)
}

func (g *gate) Getattr(ctx context.Context, ino fs.Ino) (fs.Attr, error) {
	if err := g.pass(ctx, "getattr"); err != nil {
		return fs.Attr{}, err
	}
	return g.Meta.Getattr(ctx, ino)
}

func (g *gate) Getxattr(ctx context.Context, ino fs.Ino, name string) ([]byte, error) {
	if err := g.pass(ctx, "getxattr"); err != nil {
		return nil, err
	}
	return g.Meta.Getxattr(ctx, ino, name)
}

func (g *gate) Listxattr(ctx context.Context, ino fs.Ino) ([]string, error) {
	if err := g.pass(ctx, "listxattr"); err != nil {
		return nil, err
	}
	return g.Meta.Listxattr(ctx, ino)
}

func (g *gate) Commit(ctx context.Context, tx *fs.Tx) (*fs.TxResult, error) {
	if err := g.pass(ctx, "commit"); err != nil {
		return nil, err
	}
	return g.Meta.Commit(ctx, tx)
}
