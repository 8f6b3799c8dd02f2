package cluster

import (
	"context"
	"log"
	"log/slog"
	"strings"

	"golang.org/x/time/rate"
)

// gossipLogger turns memberlist's log lines into slog records. Warnings and errors are limited to one a second in the
// long run: with half of the cluster away memberlist repeats itself many times a second. What the ring itself logs, in
// its own words, goes to Debug.
func gossipLogger(l *slog.Logger) *log.Logger {
	return log.New(&gossipWriter{log: l, quota: rate.NewLimiter(1, 10)}, "", 0)
}

type gossipWriter struct {
	log   *slog.Logger
	quota *rate.Limiter
}

// ownWords begin lines about which the ring says more itself.
var ownWords = []string{"ignoring alive message", "Refuting an alive message", "Marking ", "Conflicting address"}

func (w *gossipWriter) Write(line []byte) (int, error) {
	level, text := gossipLevel(strings.TrimSpace(string(line)))
	if level < slog.LevelWarn || w.quota.Allow() {
		args := []any{"component", "memberlist"}
		if strings.Contains(text, "crypt") { // memberlist's errors cannot be asked what they are
			args = append(args, "err", text)
			text = "gossip refused: the other side has another gossip key, or one side has none; gossip.key must be the same on all nodes"
		}
		w.log.Log(context.Background(), level, text, args...)
	}
	return len(line), nil
}

// gossipLevel reads memberlist's "[WARN] memberlist: text".
func gossipLevel(line string) (slog.Level, string) {
	level := slog.LevelDebug
	if tag, rest, ok := strings.Cut(line, "] "); ok && strings.HasPrefix(tag, "[") {
		line = rest
		if tag == "[WARN" || tag == "[ERR" || tag == "[ERROR" {
			level = slog.LevelWarn
		}
	}
	line = strings.TrimPrefix(line, "memberlist: ")
	for _, w := range ownWords {
		if strings.HasPrefix(line, w) {
			return slog.LevelDebug, line
		}
	}
	return level, line
}
