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
	// Propose has a housekeeping command decided; leader only. A refusal is in the answer. After an error the command may
	// still be applied, but only as an entry of the term in which Leader was last true before the call.
	Propose(ctx context.Context, cmd command.Command) (state.Answer, error)
}

// Position is how far a View has come in the log.
type Position struct {
	Index uint64 // of the last entry applied
	Term  uint64 // of that entry; 0 when it is not known, which leaves copies of abandoned repairs lying longer
}
