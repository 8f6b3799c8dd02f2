package badgerstore

import (
	"fmt"
	"os"
	"time"
)

// names makes the names of new files durable: Badger syncs the files of its logs and not always their directory.
type names struct {
	dir  string
	seen time.Time // the directory's own time when it was last synced
}

// The times of files are as coarse as the kernel's clock tick; a change this recent may have another one behind it.
const clockTick = 50 * time.Millisecond

func (n *names) sync() error {
	info, err := os.Stat(n.dir)
	if err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	if changed := info.ModTime(); changed.Equal(n.seen) {
		return nil
	} else if time.Since(changed) > clockTick {
		n.seen = changed
	}
	return syncDir(n.dir)
}
