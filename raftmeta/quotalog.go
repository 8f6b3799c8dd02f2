package raftmeta

import (
	"context"
	"log/slog"

	"golang.org/x/time/rate"
)

// quotaHandler drops warnings and errors beyond a quota: others decide how often there is cause for one.
type quotaHandler struct {
	slog.Handler
	quota *rate.Limiter
}

// Handle implements slog.Handler.
func (h quotaHandler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !h.quota.Allow() {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h quotaHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quotaHandler{h.Handler.WithAttrs(attrs), h.quota}
}

// WithGroup implements slog.Handler.
func (h quotaHandler) WithGroup(name string) slog.Handler {
	return quotaHandler{h.Handler.WithGroup(name), h.quota}
}
