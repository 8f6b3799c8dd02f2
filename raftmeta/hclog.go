package raftmeta

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hcLogger hands what the Raft libraries log on to slog. Their chatter becomes Debug, one level below what they think of
// it, except for errors.
type hcLogger struct {
	to   *slog.Logger
	name string
}

func newHCLogger(to *slog.Logger, name string) hclog.Logger { return &hcLogger{to, name} }

func (l *hcLogger) log(level slog.Level, msg string, args []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	for i, a := range args {
		if f, ok := a.(hclog.Format); ok && len(f) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(f[0]), f[1:]...)
		}
	}
	l.to.Log(context.Background(), level, l.name+": "+msg, args...)
}

func (l *hcLogger) Log(level hclog.Level, msg string, args ...any) {
	switch level {
	case hclog.Error:
		l.Error(msg, args...)
	case hclog.Warn:
		l.Warn(msg, args...)
	default:
		l.Debug(msg, args...)
	}
}

func (l *hcLogger) Trace(string, ...any)          {}
func (l *hcLogger) Debug(msg string, args ...any) { l.log(slog.LevelDebug, msg, args) }
func (l *hcLogger) Info(msg string, args ...any)  { l.log(slog.LevelDebug, msg, args) }
func (l *hcLogger) Warn(msg string, args ...any)  { l.log(slog.LevelInfo, msg, args) }
func (l *hcLogger) Error(msg string, args ...any) { l.log(slog.LevelWarn, msg, args) }

func (l *hcLogger) IsTrace() bool { return false }
func (l *hcLogger) IsDebug() bool { return l.to.Enabled(context.Background(), slog.LevelDebug) }
func (l *hcLogger) IsInfo() bool  { return l.IsDebug() }
func (l *hcLogger) IsWarn() bool  { return true }
func (l *hcLogger) IsError() bool { return true }

func (l *hcLogger) ImpliedArgs() []any               { return nil }
func (l *hcLogger) With(args ...any) hclog.Logger    { return &hcLogger{l.to.With(args...), l.name} }
func (l *hcLogger) Name() string                     { return l.name }
func (l *hcLogger) Named(name string) hclog.Logger   { return &hcLogger{l.to, l.name + "." + name} }
func (l *hcLogger) ResetNamed(n string) hclog.Logger { return &hcLogger{l.to, n} }
func (l *hcLogger) SetLevel(hclog.Level)             {}
func (l *hcLogger) GetLevel() hclog.Level            { return hclog.Debug }
func (l *hcLogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(l.to.Handler(), slog.LevelDebug)
}
func (l *hcLogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return l.StandardLogger(o).Writer()
}
