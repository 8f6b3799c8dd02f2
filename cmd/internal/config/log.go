package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/pflag"
	"golang.org/x/sys/unix"
)

// Log is how a command logs.
type Log struct {
	Level  string // debug, info, warn, error
	Format string // text, json, auto
}

func (l *Log) register(flags *pflag.FlagSet) {
	flags.StringVar(&l.Level, "log-level", "info", "what to log: debug, info, warn or error")
	flags.StringVar(&l.Format, "log-format", "auto", "how to log: text (key=value), json, or auto: text on a terminal, json elsewhere")
}

// Validate checks the words.
func (l *Log) Validate() error {
	if _, err := l.level(); err != nil {
		return err
	}
	if l.Format != "text" && l.Format != "json" && l.Format != "auto" {
		return fmt.Errorf("%w: --log-format %q: want text, json or auto", ErrUsage, l.Format)
	}
	return nil
}

// New makes the logger; l must be valid.
func (l *Log) New(w io.Writer) *slog.Logger {
	level, err := l.level()
	if err != nil {
		level = slog.LevelInfo
	}
	options := &slog.HandlerOptions{Level: level}
	if l.Format == "json" || l.Format == "auto" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// isTerminal reports whether a person reads along.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

func (l *Log) level() (slog.Level, error) {
	switch l.Level {
	case "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn":
		return slog.LevelWarn, nil
	case "error":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("%w: --log-level %q: want debug, info, warn or error", ErrUsage, l.Level)
}
