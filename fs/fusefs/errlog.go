package fusefs

import (
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"

	"dfs/fs"
)

// errorLog writes the causes of errors that an errno hides. A dead cluster fails every call alike, so only some are
// written; the next line says how many were not.
type errorLog struct {
	logger  *slog.Logger
	limit   *rate.Limiter
	skipped atomic.Int64
}

func newErrorLog(logger *slog.Logger) *errorLog {
	return &errorLog{logger: logger, limit: rate.NewLimiter(rate.Every(time.Second), 10)}
}

func (l *errorLog) log(r *request, errno syscall.Errno, err error) {
	if !l.limit.Allow() {
		l.skipped.Add(1)
		return
	}
	l.logger.Error("a filesystem call failed", "op", r.op.String(), "ino", r.in.NodeId, "pid", r.in.Pid, "request", fs.RequestID(r),
		"errno", errno.Error(), "err", err, "skipped", l.skipped.Swap(0))
}
