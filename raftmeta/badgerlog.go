package raftmeta

import (
	"fmt"
	"log/slog"
	"strings"
)

// badgerLogger hands what Badger logs on to slog. Badger goes on after some of its errors as if nothing had happened (a table
// that cannot be read, a memtable that cannot be written), and the log is all that tells of them: bad is told as well.
type badgerLogger struct {
	to  *slog.Logger
	bad func(text string)
}

func line(format string, args []any) string {
	return "badger: " + strings.TrimSpace(fmt.Sprintf(format, args...))
}

func (l badgerLogger) Errorf(format string, args ...any) {
	text := line(format, args)
	l.to.Error(text)
	l.bad(text)
}
func (l badgerLogger) Warningf(format string, args ...any) { l.to.Warn(line(format, args)) }
func (l badgerLogger) Infof(format string, args ...any)    { l.to.Debug(line(format, args)) }
func (l badgerLogger) Debugf(string, ...any)               {}
