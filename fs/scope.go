package fs

import (
	"context"
	"fmt"
	"path"
	"strings"
)

// Scope is the part of the tree that somebody is bound to. The zero value is everything.
type Scope struct {
	Subtree  string // a directory, as ParseSubtree gives it; empty: the root
	ReadOnly bool
}

// ParseSubtree checks a path from the root of the tree. It must be absolute and clean, so that it is written in one way only;
// for the root the result is empty. ErrInvalid, ErrNameTooLong.
func ParseSubtree(p string) (string, error) {
	switch {
	case p == "" || p == "/":
		return "", nil
	case len(p) > PathMax:
		return "", fmt.Errorf("a path of %d bytes: %w", len(p), ErrNameTooLong)
	case p[0] != '/' || path.Clean(p) != p || strings.ContainsRune(p, 0):
		return "", fmt.Errorf("%q is no path from the root of the tree without \".\", \"..\" and needless slashes: %w", p, ErrInvalid)
	}
	for name := range strings.SplitSeq(p[1:], "/") {
		if len(name) > NameMax {
			return "", fmt.Errorf("a name of %d bytes: %w", len(name), ErrNameTooLong)
		}
	}
	return p, nil
}

// Narrow is what is left of s for who asks for another scope: no subtree is asked for by an empty one. ErrAccess: the subtree
// asked for does not lie within that of s.
func (s Scope) Narrow(asked Scope) (Scope, error) {
	if asked.Subtree != "" && asked.Subtree != s.Subtree && !strings.HasPrefix(asked.Subtree, s.Subtree+"/") {
		return Scope{}, fmt.Errorf("%s does not lie within %s, which the certificate is bound to: %w", asked.Subtree, s.Subtree, ErrAccess)
	}
	if asked.Subtree == "" {
		asked.Subtree = s.Subtree
	}
	asked.ReadOnly = asked.ReadOnly || s.ReadOnly
	return asked, nil
}

// Owner is whose certificate something was asked for with; zero without TLS.
type Owner struct {
	Name  string
	Role  string
	Scope Scope // what the certificate is bound to
}

// Caller is on whose behalf a node is called, as the node knows it.
type Caller struct {
	Owner   Owner
	Session SessionID // that the caller reads under; 0: it names none
	Epoch   Epoch     // of it
}

type (
	callerKey  struct{}
	sessionKey struct{}
)

// WithCaller returns the context of a call that a node serves.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is the caller that WithCaller gave; zero, which may do everything, for none.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// WithSession returns a context in which calls to other nodes say under which session they read. A session that sees the
// whole tree need not say so.
func WithSession(ctx context.Context, s *Session) context.Context {
	if s.Root == RootIno || s.Root == 0 {
		return ctx
	}
	return context.WithValue(ctx, sessionKey{}, Caller{Session: s.ID, Epoch: s.Epoch})
}

// SessionOf is the session that WithSession gave; 0 for none.
func SessionOf(ctx context.Context) (SessionID, Epoch) {
	c, _ := ctx.Value(sessionKey{}).(Caller)
	return c.Session, c.Epoch
}
