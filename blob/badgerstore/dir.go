package badgerstore

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"dfs/fs"
)

const (
	formatFile    = "FORMAT"
	formatTemp    = "FORMAT.tmp"
	lockFile      = "LOCK"
	badgerDir     = "badger"
	formatVersion = 1
)

// format is what the file FORMAT says: whose directory this is.
type format struct {
	version int
	node    fs.NodeID
	cluster string // empty: not known yet
}

// lockDir makes the directory if need be and takes it for this process, until the file is closed.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory %s: %w", dir, asOurs(err))
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data directory %s cannot be written (user %d; check its owner and mount): %w", dir, os.Geteuid(), asOurs(err))
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, fmt.Errorf("the data directory %s is in use by another process: %w", dir, fs.ErrBusy)
	}
	return f, nil
}

func asOurs(err error) error {
	switch {
	case errors.Is(err, iofs.ErrPermission):
		return fmt.Errorf("%w: %w", err, fs.ErrAccess)
	case errors.Is(err, unix.EROFS):
		return fmt.Errorf("%w: %w", err, fs.ErrReadOnly)
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("%w: %w", err, fs.ErrNoSpace)
	}
	return err
}

// claim checks that dir is this node's, and makes it so if it is empty.
func claim(dir string, node fs.NodeID, cluster string) (format, error) {
	have, err := readFormat(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		if err := checkEmpty(dir); err != nil {
			return format{}, err
		}
		have = format{version: formatVersion, node: node, cluster: cluster}
		return have, writeFormat(dir, have)
	}
	if err != nil {
		return format{}, err
	}
	if have.node != node {
		return format{}, fmt.Errorf("the data directory %s belongs to node %q, this is node %q; start that node, or give this one a directory of its own: %w",
			dir, have.node, node, fs.ErrInvalid)
	}
	return have.join(dir, cluster)
}

// join checks the cluster, and notes it if none was known.
func (f format) join(dir, cluster string) (format, error) {
	if cluster == "" || cluster == f.cluster {
		return f, nil
	}
	if f.cluster != "" {
		return f, fmt.Errorf("the data directory %s belongs to cluster %q, not %q; give this node an empty directory to join: %w",
			dir, f.cluster, cluster, fs.ErrWrongCluster)
	}
	f.cluster = cluster
	return f, writeFormat(dir, f)
}

func checkEmpty(dir string) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("read the data directory %s: %w", dir, asOurs(err))
	}
	for _, e := range list {
		switch e.Name() {
		case lockFile, formatTemp, "lost+found":
		default:
			return fmt.Errorf("the data directory %s holds %s but no blob store; choose an empty directory: %w", dir, e.Name(), fs.ErrInvalid)
		}
	}
	return nil
}

func readFormat(dir string) (format, error) {
	path := filepath.Join(dir, formatFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return format{}, fmt.Errorf("read %s: %w", path, asOurs(err))
	}
	var f format
	for l := range strings.Lines(string(text)) {
		key, value, _ := strings.Cut(strings.TrimSpace(l), " ")
		switch key {
		case "dfs-blobs":
			f.version, err = strconv.Atoi(value)
		case "node":
			f.node = fs.NodeID(value)
		case "cluster":
			f.cluster = value
		}
	}
	if err != nil || f.version == 0 {
		return format{}, fmt.Errorf("%s is damaged (%q); restore it, or empty the directory to rejoin as new: %w", path, text, fs.ErrCorrupt)
	}
	if f.version > formatVersion {
		return format{}, fmt.Errorf("the data directory %s has format %d, this version knows %d; upgrade: %w", dir, f.version, formatVersion, fs.ErrNotSupported)
	}
	return f, nil
}

// writeFormat replaces the file at once or not at all.
func writeFormat(dir string, f format) error {
	text := fmt.Sprintf("dfs-blobs %d\nnode %s\ncluster %s\n", f.version, f.node, f.cluster)
	temp := filepath.Join(dir, formatTemp)
	if err := writeSynced(temp, []byte(text)); err != nil {
		return fmt.Errorf("write %s: %w", temp, asOurs(err))
	}
	if err := os.Rename(temp, filepath.Join(dir, formatFile)); err != nil {
		return fmt.Errorf("replace %s: %w", formatFile, asOurs(err))
	}
	return syncDir(dir)
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", asOurs(err))
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync directory %s: %w", dir, err)
	}
	return nil
}
