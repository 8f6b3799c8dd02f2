package badgerstore

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// statfs is the size of the disk that dir lies on, and what an ordinary user may still take of it.
func statfs(dir string) (total, free uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("statfs %s: %w", dir, err)
	}
	block := uint64(st.Bsize)
	return st.Blocks * block, st.Bavail * block, nil
}

// checkOpenFiles warns when the process may not open all the files that a full disk takes. Badger keeps each of them
// open, and a compaction that cannot open its new table goes on without it.
func checkOpenFiles(cfg Config, diskBytes uint64) {
	var limit unix.Rlimit
	need := diskBytes/uint64(cfg.ValueLogFileBytes) + 1024
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err == nil && limit.Cur < need {
		cfg.Logger.Warn("too few open files are allowed for a full disk; raise the limit (ulimit -n, LimitNOFILE)",
			"limit", limit.Cur, "needed", need, "dir", cfg.Dir)
	}
}

// usage is what the files of a directory take on the disk: blocks, not lengths, since Badger's active files are sparse.
type usage struct {
	all  uint64
	vlog uint64 // of it, value-log files
}

// measure sums up dir, whose files may come and go meanwhile. Badger's directory has no subdirectories.
func measure(dir string) (usage, error) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return usage{}, fmt.Errorf("measure %s: %w", dir, err)
	}
	var u usage
	for _, e := range list {
		n, err := blocks(filepath.Join(dir, e.Name()))
		if err != nil {
			return usage{}, err
		}
		u.all += n
		if strings.HasSuffix(e.Name(), ".vlog") {
			u.vlog += n
		}
	}
	return u, nil
}

// blocks is what one file takes on the disk; nothing when it is gone.
func blocks(path string) (uint64, error) {
	info, err := os.Lstat(path)
	if errors.Is(err, iofs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("measure: %w", err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Blocks) * 512, nil
	}
	return uint64(info.Size()), nil
}
