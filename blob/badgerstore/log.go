package badgerstore

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"dfs/fs"
)

// watcher is Badger's logger, and our only way to learn of some of its failures: a failed sync of the value log, a
// memtable that cannot be flushed, a damaged table passed over at start are all logged as an error and otherwise
// treated as successes. So every error that Badger logs is a failure of the store, except for those of a read.
type watcher struct {
	log  *slog.Logger
	fail func(error)
	leak func(error) // the same, and a lock of Badger's stays held; see Store.value
}

// invalidRead is how Badger logs a record whose lengths are damaged. It then forgets to unlock the file.
const invalidRead = "Invalid read: vp"

// readErrors are how Badger logs that one value cannot be read; the reader sees an empty value and says ErrCorrupt.
func readErrors() []string { return []string{"Unable to read: Key", "Key: "} }

func (w *watcher) Errorf(format string, args ...any) {
	text := line(format, args)
	for _, prefix := range readErrors() {
		if strings.HasPrefix(format, prefix) {
			w.log.Debug("badger read", "msg", text)
			return
		}
	}
	w.log.Error("badger", "msg", text)
	if strings.HasPrefix(format, invalidRead) {
		w.leak(fmt.Errorf("badger: %s: %w", text, fs.ErrCorrupt))
		return
	}
	w.fail(fmt.Errorf("badger: %s: %w", text, fs.ErrUnavailable))
}

func (w *watcher) Warningf(format string, args ...any) {
	w.log.Warn("badger", "msg", line(format, args))
}
func (w *watcher) Infof(format string, args ...any)  { w.debug(format, args) }
func (w *watcher) Debugf(format string, args ...any) { w.debug(format, args) }

func (w *watcher) debug(format string, args []any) {
	if w.log.Enabled(context.Background(), slog.LevelDebug) {
		w.log.Debug("badger", "msg", line(format, args))
	}
}

func line(format string, args []any) string {
	return strings.TrimSpace(fmt.Sprintf(format, args...))
}
