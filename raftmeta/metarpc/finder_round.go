package metarpc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"dfs/fs"
)

const (
	probeStagger  = 100 * time.Millisecond // between the starts of two probes of a round
	probePatience = 400 * time.Millisecond // for one probe of the first round; doubled every round
)

type probed struct {
	addr string
	err  error
}

// round probes every peer, side by side with staggered starts, and goes where answers point. It returns the leader's
// address, or "" when nobody was it. Its probes have ended when it returns. As long as a peer leaves its first probe unanswered, as one that is
// cut off does, those that have answered are probed again and again: one of them may come to lead.
func (f *finder) round(ctx context.Context, patience time.Duration) string {
	todo := f.candidates()
	tried := map[string]bool{}
	answers := make(chan probed, len(todo)+peersMax)
	ctx, cancel := context.WithCancel(ctx)
	running, first, leader := 0, 0, ""
	again := make(chan string, cap(answers))
	defer func() {
		cancel()
		for ; running > 0; running-- {
			<-answers
		}
	}()
	launch := func(addr string) {
		if !tried[addr] {
			tried[addr] = true
			first++
		}
		running++
		go func() { answers <- probed{addr, f.probeOnce(ctx, addr, patience)} }()
	}
	next := time.NewTimer(0)
	defer next.Stop()
	answered := map[string]bool{}
	for leader == "" && (first > 0 || len(todo) > 0) {
		select {
		case a := <-answers:
			running--
			if !answered[a.addr] {
				answered[a.addr] = true
				first--
			}
			if a.err == nil {
				leader = a.addr
				break
			}
			f.note(a)
			time.AfterFunc(eagerDelayMax, func() { again <- a.addr })
			if hint := hintOf(a.err); hint != "" && !tried[hint] && len(tried) < peersMax {
				launch(hint)
			}
			next.Reset(0) // that one needs no more head start
		case addr := <-again:
			launch(addr)
		case <-next.C:
			for len(todo) > 0 && tried[todo[0]] {
				todo = todo[1:]
			}
			if len(todo) > 0 {
				launch(todo[0])
				next.Reset(probeStagger)
			}
		}
	}
	return leader
}

// candidates are the hinted address, used once, and all peers.
func (f *finder) candidates() []string {
	f.mu.Lock()
	hint := f.hint
	f.hint = ""
	f.mu.Unlock()
	list := f.peers.list()
	if hint != "" {
		list = slices.Insert(list, 0, hint)
	}
	return list
}

func (f *finder) probeOnce(ctx context.Context, addr string, patience time.Duration) error {
	pctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	err := f.probe(pctx, addr)
	if err != nil && (pctx.Err() != nil || errors.Is(err, errLate)) {
		return noAnswer(patience)
	}
	return err
}

func (f *finder) note(a probed) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.noteLocked(a.addr, a.err)
}

func (f *finder) noteLocked(addr string, cause error) {
	if len(f.causes) > 2*peersMax {
		clear(f.causes)
	}
	f.causes[addr] = cause
}

// report says what each peer last said, for the error of a call that found no leader in time.
func (f *finder) report() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lines []string
	for addr, err := range f.causes {
		lines = append(lines, fmt.Sprintf("%s: %v", addr, err))
	}
	if len(lines) == 0 {
		return "no peer has answered yet"
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

func noAnswer(d time.Duration) error {
	return fmt.Errorf("no answer within %v: %w", d, fs.ErrTimeout)
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*fs.NotLeaderError](err); ok {
		return e.Leader
	}
	return ""
}
