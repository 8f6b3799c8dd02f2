package raftmeta

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	dfs "dfs/fs"
)

// memberFile stands beside the metadata directory, not in it: who removes that directory, because it is damaged or for lack
// of space, leaves the file, and with it the knowledge that a node of this name has had a part in Raft. Without its log
// and its votes it must never have one again: it would follow a leader that lacks what it has acknowledged, or vote twice
// in a term, and acknowledged changes would be lost. See DESIGN.md, "A voter must not forget".
func memberFile(dir string) string { return dir + ".member" }

// remember makes the file, synced, unless it is there. It is called when the first write to the log has been made and
// before it is acknowledged: a crash in between leaves a log without the file, and the next start makes it.
func remember(dir string, id dfs.NodeID) error {
	if _, err := os.Stat(memberFile(dir)); err == nil {
		return nil
	}
	if err := writeFileAtomic(memberFile(dir), []byte(id+"\n")); err != nil {
		return fmt.Errorf("remember that this node takes part in Raft: %w", err)
	}
	return nil
}

// checkMemory is an error if a node that took part in Raft has nothing of it left.
func checkMemory(dir string, hasState bool) error {
	_, err := os.Stat(memberFile(dir))
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && hasState:
		return nil
	case err != nil:
		return err
	}
	return fmt.Errorf("the log and the votes of this node are gone from %s: %w", dir, dfs.ErrCorrupt)
}
