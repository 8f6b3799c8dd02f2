package rest

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"dfs/fs"
	"dfs/fs/vfs"
)

// Prefix is what the paths of all requests to files start with.
const Prefix = "/v1/fs"

// Defaults and bounds.
const (
	idleTimeout  = time.Minute // a client that neither sends nor takes a byte for so long is cut off
	transfersMax = 256         // bodies being transferred at once, each with a buffer; others wait
	bufferSize   = 256 << 10   // bytes
)

// Config is how the front behaves.
type Config struct {
	// FS returns the session, opened if need be; it is called for every request. An error is answered with 503 unless it
	// says otherwise.
	FS       func(ctx context.Context) (*vfs.FS, error)
	Tokens   *Tokens       // who may speak; nil: everybody
	MaxBytes int64         // of one PUT; 0: no limit
	Owner    vfs.Caller    // of what is made
	Idle     time.Duration // 1 minute
	Observe  func(Done)    // is told of every request; it must not block. nil: nobody is
	Logger   *slog.Logger  // nil: none
}

// Done is a request that has been answered.
type Done struct {
	Operation     string // get, head, put, delete, list, mkdir or rename; "none" for what is refused before that is known
	Code          string // of the error; "aborted" if a body ended too soon; empty for success, 304 included
	Took          time.Duration
	Read, Written uint64 // bytes of file content
}

// Server serves the front. It holds no state but what is being transferred.
type Server struct {
	cfg       Config
	origins   *http.CrossOriginProtection
	transfers chan struct{} // a token for each body being transferred
}

// New makes a Server.
func New(cfg Config) *Server {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Idle == 0 {
		cfg.Idle = idleTimeout
	}
	return &Server{cfg: cfg, origins: http.NewCrossOriginProtection(), transfers: make(chan struct{}, transfersMax)}
}

// Before serves what is the front's and leaves the rest to next. It must stand before any ServeMux, which would clean paths
// in its own way.
func (s *Server) Before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			// net/http reads on a little before it sends a refusal: whoever does not send what was announced must not keep it waiting.
			_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.Idle)) // where there are none, a dead client costs its turn
		}
		path := r.URL.EscapedPath()
		switch {
		case path == Prefix || strings.HasPrefix(path, Prefix+"/"):
			s.serve(w, r, path[len(Prefix):])
		case path == openAPIPath:
			serveOpenAPI(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// call is one request.
type call struct {
	s    *Server
	fs   *vfs.FS
	w    *writer
	r    *http.Request
	ctx  context.Context
	path path
	pre  preconditions
	done Done
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request, rawPath string) {
	id := requestID(r)
	c := &call{s: s, w: &writer{ResponseWriter: w}, r: r, ctx: fs.WithRequestID(r.Context(), id), done: Done{Operation: "none", Code: "internal"}} // unless it is answered: it may panic
	w.Header().Set("X-Request-Id", id)
	w.Header().Set("X-Content-Type-Options", "nosniff")           // a file is never a page of this origin
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin") // nor a part of another's page
	if s.cfg.Observe != nil {
		began := time.Now()
		defer func() {
			c.done.Took = time.Since(began)
			s.cfg.Observe(c.done)
		}()
	}
	err := c.run(rawPath)
	if err == nil {
		c.done.Code = ""
		return
	}
	e := errorOf(err)
	if c.done.Code = e.Code; e.Status == http.StatusNotModified {
		c.done.Code = ""
	}
	level := e.level()
	if c.ctx.Err() != nil {
		level = slog.LevelDebug // the client is gone, which explains it
	}
	if s.cfg.Logger.Enabled(c.ctx, level) {
		s.cfg.Logger.Log(c.ctx, level, "a REST request failed", "method", r.Method, "request_id", id, "status", e.Status, "code", e.Code, "err", err)
	}
	if c.w.begun {
		c.done.Code = "aborted"
		panic(http.ErrAbortHandler) // all that is left to say is that the body is not complete
	}
	e.write(c.w, r, id)
}

// run checks who asks for what, and has it done.
func (c *call) run(rawPath string) (err error) {
	if err := c.s.cfg.Tokens.check(c.r, c.s.cfg.Logger); err != nil {
		return err
	}
	if c.s.cfg.Tokens == nil && !hostIsUs(c.r) {
		return newError(http.StatusForbidden, "wrong_host", "without a token this is served to http://localhost and IP addresses only")
	}
	if err := c.s.sameOrigin(c.r); err != nil {
		return newError(http.StatusForbidden, "cross_origin", "a browser sent this for a page of another origin")
	}
	route, err := find(c.r)
	if err != nil {
		return err
	}
	c.done.Operation = route.operation()
	if c.r.ContentLength != 0 && !route.takesBody() {
		return newError(http.StatusBadRequest, "invalid", "a body is not wanted here")
	}
	if c.path, err = cleanEscaped(rawPath); err != nil {
		return err
	}
	if c.pre, err = parsePreconditions(c.r.Header); err != nil {
		return err
	}
	if c.fs, err = c.s.cfg.FS(c.ctx); err != nil {
		return fmt.Errorf("no session with the cluster: %w", err)
	}
	return route.serve(c)
}

// sameOrigin refuses what a browser sends for a page of another origin: reads, too, which http.CrossOriginProtection lets
// through, since what a page cannot read it may still show, or measure.
func (s *Server) sameOrigin(r *http.Request) error {
	change := r.WithContext(r.Context())
	change.Method = http.MethodPost
	return s.origins.Check(change)
}

// hostIsUs is false for a browser that was led to our loopback by a page whose host name resolves to it (DNS rebinding): to the
// browser we would be that page's own origin.
func hostIsUs(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	if !ok || !local.IP.IsLoopback() {
		return true
	}
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		host = strings.Trim(r.Host, "[]")
	}
	return host == "localhost" || net.ParseIP(host) != nil
}

// requestID is the client's, if it has a usable one, or a new one.
func requestID(r *http.Request) string {
	id := r.Header.Get("X-Request-Id")
	usable := id != "" && len(id) <= fs.RequestIDMax && strings.IndexFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) < 0
	if usable {
		return id
	}
	return uuid.NewString()
}

// transfer waits for its turn to move a body, and returns the buffer for it; done gives the turn back.
func (c *call) transfer(size int64) (buf []byte, done func(), err error) {
	select {
	case c.s.transfers <- struct{}{}:
	case <-c.ctx.Done():
		return nil, nil, fmt.Errorf("%w: %w", fs.ErrUnavailable, c.ctx.Err())
	}
	if size < 0 || size > bufferSize {
		size = bufferSize
	}
	return make([]byte, max(size, 1)), func() { <-c.s.transfers }, nil
}

// writer knows whether the answer has begun.
type writer struct {
	http.ResponseWriter
	begun bool
}

func (w *writer) WriteHeader(status int) {
	w.begun = true
	w.ResponseWriter.WriteHeader(status)
}

func (w *writer) Write(p []byte) (int, error) {
	w.begun = true
	return w.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find the deadlines.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }
