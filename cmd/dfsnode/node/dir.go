package node

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"dfs/fs"
)

const (
	lockName = "LOCK"
	nodeName = "NODE"
	format   = "dfs-node 1"

	blobsName = "blobs" // the blob store's directory
	metaName  = "meta"  // the metadata's
)

// validName is what a node may be called: it stands in status tables, logs and on disk.
var validName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// directory is a node's data directory, locked.
type directory struct {
	path string
	id   fs.NodeID
	lock *os.File
}

// openDirectory makes or opens the data directory and locks it. name is what the user wants the node to be called; empty
// leaves it to the directory, or to chance.
func openDirectory(path, name string) (*directory, error) {
	if name != "" && !validName.MatchString(name) {
		return nil, fmt.Errorf("node name %q: want up to 63 letters, digits, dots, dashes or underscores: %w", name, fs.ErrInvalid)
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return nil, fmt.Errorf("data directory %s is a file: choose another with --dir: %w", path, fs.ErrNotDir)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, dirError(path, err)
	}
	if err := ours(path); err != nil { // before anything is written there
		return nil, err
	}
	lock, err := lockDirectory(path)
	if err != nil {
		return nil, err
	}
	d := &directory{path: path, lock: lock}
	if d.id, err = identify(path, name); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return d, nil
}

func dirError(path string, err error) error {
	return fmt.Errorf("data directory %s cannot be used: %w (choose another with --dir)", path, err)
}

func lockDirectory(path string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, dirError(path, err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = lock.Close() // nothing was written to it
		return nil, fmt.Errorf("data directory %s is in use by another dfsnode: stop that one, or choose another directory with --dir: %w", path, fs.ErrBusy)
	}
	return lock, nil
}

// identify reads the node's name, or chooses it for a new directory.
func identify(path, name string) (fs.NodeID, error) {
	data, err := os.ReadFile(filepath.Join(path, nodeName))
	if errors.Is(err, os.ErrNotExist) {
		return adopt(path, name)
	}
	if err != nil {
		return "", dirError(path, err)
	}
	head, id, _ := strings.Cut(strings.TrimSpace(string(data)), "\n")
	if head != format {
		return "", fmt.Errorf("data directory %s has the format %q, this dfsnode knows %q: use the version that made it: %w", path, head, format, fs.ErrNotSupported)
	}
	if !validName.MatchString(id) {
		return "", fmt.Errorf("data directory %s: the node's name in the file %s is damaged: %w", path, nodeName, fs.ErrCorrupt)
	}
	if name != "" && name != id {
		return "", fmt.Errorf("data directory %s belongs to node %s, not to %s: leave --name out or choose another directory with --dir: %w", path, id, name, fs.ErrInvalid)
	}
	return fs.NodeID(id), nil
}

// ours is an error for a directory that somebody else uses.
func ours(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return dirError(path, err)
	}
	foreign := ""
	for _, e := range entries {
		switch name := e.Name(); {
		case name == nodeName:
			return nil
		case name != lockName && name != "lost+found" && !strings.HasPrefix(name, nodeName+"."):
			foreign = name
		}
	}
	if foreign != "" {
		return fmt.Errorf("data directory %s holds %s and was not made by dfsnode: choose an empty one with --dir: %w", path, foreign, fs.ErrExist)
	}
	return nil
}

// adopt makes an empty directory ours.
func adopt(path, name string) (fs.NodeID, error) {
	if err := ours(path); err != nil {
		return "", err
	}
	if name == "" {
		var err error
		if name, err = chooseName(); err != nil {
			return "", err
		}
	}
	return fs.NodeID(name), writeSynced(path, nodeName, format+"\n"+name+"\n")
}

// chooseName is the host's name and a random part: two nodes on one host must differ.
func chooseName() (string, error) {
	host, err := os.Hostname()
	if err != nil || !validName.MatchString(host) {
		host = "node"
	}
	host, _, _ = strings.Cut(host, ".")
	host = host[:min(len(host), 40)]
	var random [4]byte
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("choose a node name: %w", err)
	}
	return host + "-" + hex.EncodeToString(random[:]), nil
}

// writeSynced makes a file that is there wholly or not at all, also after a power cut.
func writeSynced(dir, name, text string) error {
	temp, err := os.CreateTemp(dir, name+".")
	if err != nil {
		return dirError(dir, err)
	}
	_, err = temp.WriteString(text)
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err == nil {
		err = os.Rename(temp.Name(), filepath.Join(dir, name))
	}
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		return dirError(dir, err)
	}
	return nil
}

func syncDirectory(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// sub is the path of a part of the directory.
func (d *directory) sub(name string) string { return filepath.Join(d.path, name) }

// Close unlocks the directory.
func (d *directory) Close() error { return d.lock.Close() }
