package replica

import (
	"context"

	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// Metadata is a node's own replica of the metadata, and the way to change it.
type Metadata interface {
	// View runs fn on a snapshot of the state as this node has applied it: a prefix of the log, perhaps an old one.
	View(fn func(v state.View, at Position) error) error
	// Leader reports whether this node leads, having applied everything that earlier leaders committed, and in which
	// term (0: not known).
	Leader() (term uint64, leads bool)
	// ProposeIn has a housekeeping command decided in a term that Leader has told of. A refusal is in the answer. The
	// command enters the log in that term or not at all, also after an error; ErrNotLeader when the term is over.
	ProposeIn(ctx context.Context, term uint64, cmd command.Command) (state.Answer, error)
}

// Position is how far a View has come in the log.
type Position struct {
	Index uint64 // of the last entry applied
	Term  uint64 // of that entry; 0 when it is not known, which leaves copies of abandoned repairs lying longer
}
