package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"dfs/fs"
)

// probeName is the file that a probe overwrites, in every directory that may lie on a disk of its own.
const probeName = "PROBE"

// Probe returns nil when the node is seen to live: a small write to each of its disks has just been synced, the blob
// store's writer has taken a job, and the metadata has answered. It blocks as long as a disk does, whatever becomes of
// ctx. A full disk is alive, and so is a node that is cut off from the others: a restart would mend neither. A disk
// that answers with another error is one that nothing more may be written to, and ends Run.
func (n *Node) Probe(ctx context.Context) error {
	for _, dir := range []string{n.dir.path, n.dir.sub(blobsName), n.dir.sub(metaName)} {
		if err := n.probeDisk(dir); err != nil {
			err = fmt.Errorf("probe of the disk under %s: %w", dir, err)
			n.fail(err)
			return err
		}
	}
	if err := n.store.Alive(ctx); err != nil {
		return fmt.Errorf("the blob store's writer does not answer: %w", err)
	}
	if _, err := n.meta.Status(ctx); err != nil {
		return fmt.Errorf("the metadata does not answer: %w", err)
	}
	return nil
}

func (n *Node) probeDisk(dir string) error {
	err := n.deps.Faults.At("probe.write")
	if err == nil {
		err = overwriteSynced(filepath.Join(dir, probeName), time.Now().String())
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil
	}
	return err
}

// overwriteSynced writes in place: the block that the first probe took is all the space that it ever needs.
func overwriteSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Describe is the node in a line, for whoever asks the service manager.
func (n *Node) Describe(ctx context.Context) string {
	s, err := n.ask(ctx)
	switch {
	case err != nil:
		return "does not answer: " + err.Error()
	case s.Cluster == "" && n.cfg.BootstrapExpect > 0:
		return fmt.Sprintf("belongs to no cluster yet; forms one when %d new nodes see each other", n.cfg.BootstrapExpect)
	case s.Cluster == "":
		return "belongs to no cluster yet; looks for one at " + n.cfg.Join
	case !s.Quorum:
		return fmt.Sprintf("in cluster %s, NO QUORUM: %d of %d nodes are alive", s.Cluster, aliveMembers(s), members(s))
	}
	return fmt.Sprintf("in cluster %s, led by %s; %d of %d nodes are alive", s.Cluster, s.Leader, aliveMembers(s), members(s))
}

func members(s *fs.Status) (count int) {
	for _, m := range s.Nodes {
		if m.Member {
			count++
		}
	}
	return count
}

func aliveMembers(s *fs.Status) (count int) {
	for _, m := range s.Nodes {
		if m.Member && m.State == fs.NodeAlive {
			count++
		}
	}
	return count
}
