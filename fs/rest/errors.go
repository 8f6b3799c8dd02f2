package rest

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"

	"dfs/fs"
)

// apiError is an answer that is no success. Codes are stable: programs may depend on them, not on messages.
type apiError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Request string `json:"request_id"`

	header http.Header // to be added to the answer
}

func (e *apiError) Error() string { return e.Message }

func newError(status int, code, message string) *apiError {
	return &apiError{Status: status, Code: code, Message: message}
}

// table turns the sentinels of package fs into answers: the first that an error wraps counts, so those that say more stand
// before those that are wrapped along with them.
var table = []struct {
	err    error
	status int
	code   string
}{
	{fs.ErrFenced, 503, "unavailable"}, // the session is over; the next request has another
	{fs.ErrStale, 503, "unavailable"},  // what was open went with it
	{fs.ErrAborted, 503, "unavailable"},
	{fs.ErrClosed, 503, "unavailable"},
	{fs.ErrNoSpace, 507, "no_space"},
	{fs.ErrQuota, 507, "quota"},
	{fs.ErrNotExist, 404, "not_found"},
	{fs.ErrExist, 409, "already_exists"},
	{fs.ErrNotDir, 409, "not_a_directory"},
	{fs.ErrIsDir, 409, "is_a_directory"},
	{fs.ErrNotEmpty, 409, "not_empty"},
	{fs.ErrLoop, 409, "into_itself"},
	{fs.ErrTooManyLinks, 409, "too_many_links"},
	{fs.ErrConflict, 409, "busy"},
	{fs.ErrBusy, 409, "busy"},
	{fs.ErrPermission, 403, "forbidden"},
	{fs.ErrAccess, 403, "forbidden"},
	{fs.ErrReadOnly, 403, "read_only"},
	{fs.ErrNameTooLong, 400, "name_too_long"},
	{fs.ErrInvalid, 400, "invalid"},
	{fs.ErrFileTooBig, 413, "too_large"},
	{fs.ErrTooManyExtents, 413, "too_many_extents"},
	{fs.ErrCorrupt, 500, "corrupt"},
	{fs.ErrTimeout, 503, "unavailable"},
	{fs.ErrNotLeader, 503, "unavailable"},
	{fs.ErrUnavailable, 503, "unavailable"},
	{context.Canceled, 503, "unavailable"}, // the client is gone, or this process is about to be
}

// errorOf is what a client is told of err.
func errorOf(err error) *apiError {
	if e, ok := errors.AsType[*apiError](err); ok {
		return e
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			if row.status >= http.StatusInternalServerError {
				return newError(row.status, row.code, row.err.Error()) // inodes, blobs and nodes are for the log, which has the same request id
			}
			return newError(row.status, row.code, err.Error())
		}
	}
	return newError(http.StatusInternalServerError, "internal", "internal error")
}

// level is how loudly a failure is logged: what is the client's own doing is not worth an operator's time.
func (e *apiError) level() slog.Level {
	switch e.Status {
	case http.StatusInternalServerError:
		return slog.LevelError
	case http.StatusServiceUnavailable, http.StatusInsufficientStorage:
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// write answers with e.
func (e *apiError) write(w http.ResponseWriter, r *http.Request, id string) {
	h := w.Header()
	for _, stale := range []string{"Content-Length", "Content-Range", "Accept-Ranges", "Last-Modified"} {
		h.Del(stale) // set for a success that did not come
	}
	for name, values := range e.header {
		h[name] = values
	}
	if e.Status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	if e.Status == http.StatusNotModified {
		w.WriteHeader(e.Status)
		return
	}
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	said := *e
	said.Request = id
	body, err := json.Marshal(said)
	if err != nil {
		body = []byte(`{"code":"internal","message":"internal error"}`) // three strings always have a JSON form
	}
	w.WriteHeader(e.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // a client that has gone needs no answer
	}
}
