package raftmeta

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	dfs "dfs/fs"
)

// identity is the id of the cluster that a node belongs to, in a file of its own: it is known before the state is, and
// stays known if the state is lost.
type identity struct {
	path string
	mu   sync.Mutex
	id   string
}

func openIdentity(dir string) (*identity, error) {
	i := &identity{path: filepath.Join(dir, "cluster")}
	b, err := os.ReadFile(i.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	i.id = strings.TrimSpace(string(b))
	return i, nil
}

func (i *identity) get() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.id
}

// learn keeps the id, for ever; another one is ErrWrongCluster.
func (i *identity) learn(id string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch {
	case id == "" || id == i.id:
		return nil
	case i.id != "":
		return fmt.Errorf("this node belongs to cluster %s, not %s: %w", i.id, id, dfs.ErrWrongCluster)
	}
	if err := writeFileAtomic(i.path, []byte(id+"\n")); err != nil {
		return fmt.Errorf("keep the cluster's id: %w", err)
	}
	i.id = id
	return nil
}
