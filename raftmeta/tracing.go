package raftmeta

import (
	"log/slog"

	"dfs/raftmeta/changes"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// tracing follows what the FSM applies for those who watch, if anybody does. It belongs to Raft's goroutine, but for its feed.
//
// Nothing of it can stop the node: what it cannot find out is lost to the watchers, who are told.
type tracing struct {
	feed   *changes.Feed
	tracer *changes.Tracer
	logger *slog.Logger

	entry *changes.Entry // being applied; nil: nobody watches
	step  *changes.Step
	done  []*changes.Entry // applied, and not written yet
	lost  bool             // something of done is missing
}

func newTracing(feed *changes.Feed, logger *slog.Logger) *tracing {
	return &tracing{feed: feed, tracer: changes.NewTracer(feed), logger: logger}
}

// begin begins an entry.
func (t *tracing) begin(index uint64) {
	t.entry = nil
	if t.tracer.Watching() {
		t.entry = t.tracer.Entry(index)
		t.done = append(t.done, t.entry)
	}
}

// before is called with the state before a command, after with the command's answer.
func (t *tracing) before(r state.Reader, cmd command.Command) {
	t.step = nil
	tx, ok := cmd.(*command.Tx)
	if t.entry == nil || !ok {
		return
	}
	step, err := t.entry.Before(state.NewView(r), &tx.Tx)
	if err != nil {
		t.logger.Warn("watchers miss a transaction", "tx", tx.ID, "err", err)
		t.lost = true
		return
	}
	t.step = step
}

func (t *tracing) after(answer *state.Answer) { t.step.After(answer.Tx) }

// publish hands on what has been written, up to an entry.
func (t *tracing) publish(upto uint64) {
	if t.lost {
		t.feed.Lose(upto)
	} else if t.done != nil {
		t.feed.Publish(t.done, upto)
	}
	t.done, t.lost = nil, false
}
