package fusefs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

const (
	// probeTimeout is how long a mount that is found at the mount point may take to show that it lives.
	probeTimeout = 3 * time.Second
	// deadMax is how many dead mounts, one above the other, are cleared away.
	deadMax = 16
)

// resolve is dir absolute and without symlinks. The last step is only looked at when nothing is mounted there, for a
// dead mount answers nothing.
func resolve(dir string) (string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("mount point %s: %w", dir, err)
	}
	parent, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", describe(abs, err)
	}
	path := filepath.Join(parent, filepath.Base(abs))
	if _, mounted, err := mountAt(path); err != nil || mounted {
		return path, err
	}
	path, err = filepath.EvalSymlinks(path)
	if err != nil {
		return "", describe(abs, err)
	}
	return path, nil
}

// prepare makes dir ready to be mounted on: it is a directory, and no dfs is mounted there. What a killed dfs left
// behind is detached.
func prepare(dir string, cfg *Config, mounter mounter) error {
	for range deadMax {
		top, mounted, err := mountAt(dir)
		if err != nil {
			return err
		}
		if !mounted || !strings.HasPrefix(top.fsType, "fuse") {
			return checkDir(dir)
		}
		dead, err := probe(dir)
		switch {
		case err != nil:
			return err
		case !dead && top.fsType == "fuse."+cfg.Subtype:
			return fmt.Errorf("%s is already mounted by a running dfs: %w", dir, fs.ErrBusy)
		case !dead:
			return fmt.Errorf("%s is already the mount point of a %s: %w", dir, top.fsType, fs.ErrBusy)
		case top.fsType != "fuse."+cfg.Subtype:
			return fmt.Errorf("%s holds a dead mount of type %s, not ours to remove (umount -l %s): %w", dir, top.fsType, dir, fs.ErrBusy)
		}
		cfg.Logger.Warn("detaching a dead mount", "dir", dir, "device", top.device)
		if err := mounter.unmount(dir, true); err != nil {
			return fmt.Errorf("detach the dead mount at %s: %w", dir, err)
		}
	}
	return fmt.Errorf("%s has more than %d dead mounts above each other: %w", dir, deadMax, fs.ErrBusy)
}

// probe reports whether the mount at dir has lost its server. A server that hangs keeps the goroutine that asks it;
// there is no way to call a stat(2) back.
func probe(dir string) (dead bool, err error) {
	answer := make(chan error, 1)
	go func() {
		var st unix.Statx_t // by force, or the kernel answers from what it may believe of a dead mount for some seconds still
		answer <- unix.Statx(unix.AT_FDCWD, dir, unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS, &st)
	}()
	select {
	case err = <-answer:
	case <-time.After(probeTimeout):
		return false, fmt.Errorf("the filesystem mounted at %s does not answer: %w", dir, fs.ErrBusy)
	}
	// Other errors, such as EACCES for another user's mount, come from a server that lives.
	return errors.Is(err, unix.ENOTCONN) || errors.Is(err, unix.ECONNABORTED), nil
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return describe(dir, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("mount point %s: %w", dir, fs.ErrNotDir)
	}
	return nil
}

// describe says what a failed look at the mount point means.
func describe(dir string, err error) error {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("mount point %s: %w", dir, fs.ErrNotExist)
	case errors.Is(err, unix.ENOTDIR):
		return fmt.Errorf("mount point %s: %w", dir, fs.ErrNotDir)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("mount point %s: %w", dir, fs.ErrAccess)
	}
	return fmt.Errorf("mount point %s: %w", dir, err)
}
