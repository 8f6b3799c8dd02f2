package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machine is what the doctor looks at on the machine that it runs on.
type machine struct {
	Device    string // why /dev/fuse cannot be used; empty: it can
	OpenFiles uint64 // the soft limit of this user's processes
	DataDir   string // empty: no node's directory is here
	DataType  string // of the filesystem that it lies on, as far as it is known by name
	FreeBytes uint64 // there, for this user
	Total     uint64
	Mounts    []string // mount points of dfs
	Dead      []string // those of them that answer "not connected"
	Hung      []string // those that do not answer within a second
}

// examineMachine looks without changing anything. dir is where a node's data would be.
func examineMachine(dir string) (*machine, error) {
	m := &machine{}
	if err := fuseDevice(); err != nil {
		m.Device = err.Error()
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return nil, fmt.Errorf("limit of open files: %w", err)
	}
	m.OpenFiles = limit.Cur
	var disk unix.Statfs_t
	if _, err := os.Stat(filepath.Join(dir, "NODE")); err == nil {
		if err := unix.Statfs(dir, &disk); err != nil {
			return nil, fmt.Errorf("data directory %s: %w", dir, err)
		}
		m.DataDir, m.DataType = dir, filesystemName(int64(disk.Type))
		m.FreeBytes, m.Total = disk.Bavail*uint64(disk.Bsize), disk.Blocks*uint64(disk.Bsize)
	}
	var err error
	if m.Mounts, err = localMounts(); err != nil {
		return nil, err
	}
	m.Dead, m.Hung = probeMounts(m.Mounts, func(dir string) error {
		var disk unix.Statfs_t
		return unix.Statfs(dir, &disk)
	})
	return m, nil
}

// mountPatience is how long a mount has to answer. One whose cluster is gone takes its --op-timeout.
const mountPatience = time.Second

// probeMounts asks all mounts at once, and waits for none longer than mountPatience: who hangs leaves a goroutine behind,
// until it is answered or the process ends.
func probeMounts(mounts []string, ask func(dir string) error) (dead, hung []string) {
	answers := make([]chan error, len(mounts))
	for i, dir := range mounts {
		answers[i] = make(chan error, 1)
		go func() { answers[i] <- ask(dir) }()
	}
	late := make(chan struct{})
	defer time.AfterFunc(mountPatience, func() { close(late) }).Stop()
	for i, dir := range mounts {
		select {
		case <-late:
		case err := <-answers[i]:
			answers[i] <- err // for the look below
		}
		select {
		case err := <-answers[i]:
			if errors.Is(err, unix.ENOTCONN) {
				dead = append(dead, dir)
			}
		default:
			hung = append(hung, dir)
		}
	}
	return dead, hung
}

func fuseDevice() error {
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// filesystemName knows the types that matter: those that a node must not, or had better not, lie on.
func filesystemName(magic int64) string {
	names := map[int64]string{unix.TMPFS_MAGIC: "tmpfs", unix.RAMFS_MAGIC: "ramfs", unix.NFS_SUPER_MAGIC: "nfs", 0x65735546: "fuse",
		unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs",
		unix.BTRFS_SUPER_MAGIC: "btrfs", 0xff534d42: "cifs", 0x2fc12fc1: "zfs"}
	return names[magic]
}

// localMounts are the mount points of dfs on this machine.
func localMounts() (list []string, err error) {
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list the mounts: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if dir, ok := mountPoint(lines.Text()); ok {
			list = append(list, dir)
		}
	}
	return list, lines.Err()
}

// mountPoint is where a line of mountinfo (see proc_pid_mountinfo(5)) mounts a dfs; false if it mounts something else.
func mountPoint(line string) (string, bool) {
	head, tail, ok := strings.Cut(line, " - ")
	fields := strings.Fields(head)
	if !ok || len(fields) < 5 || !strings.HasPrefix(tail, "fuse.dfs ") {
		return "", false
	}
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(fields[4]), true
}
