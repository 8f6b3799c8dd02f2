package rest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"dfs/fs"
)

// span is the part of a file that is asked for.
type span struct{ from, to uint64 }

// rangeOf reads the Range header. No part, and no error, means the whole: so it is for what is not one range of bytes, as
// RFC 9110 (section 14.2) allows, and for an If-Range that names another version.
func rangeOf(h http.Header, a *fs.Attr) (*span, error) {
	spec, ok := strings.CutPrefix(h.Get("Range"), "bytes=")
	if !ok || strings.Contains(spec, ",") {
		return nil, nil
	}
	if cond := h.Get("If-Range"); cond != "" && cond != etag(a) {
		return nil, nil
	}
	first, last, ok := strings.Cut(strings.TrimSpace(spec), "-")
	if !ok {
		return nil, nil
	}
	from, fromErr := strconv.ParseUint(first, 10, 64)
	to, toErr := strconv.ParseUint(last, 10, 64)
	switch {
	case first == "" && toErr == nil: // the last so many bytes
		if to == 0 || a.Size == 0 {
			return nil, unsatisfiable(a)
		}
		return &span{a.Size - min(to, a.Size), a.Size}, nil
	case fromErr != nil || last != "" && (toErr != nil || to < from):
		return nil, nil
	case from >= a.Size:
		return nil, unsatisfiable(a)
	case last == "" || to >= a.Size:
		return &span{from, a.Size}, nil
	}
	return &span{from, to + 1}, nil
}

func unsatisfiable(a *fs.Attr) error {
	e := newError(http.StatusRequestedRangeNotSatisfiable, "range_not_satisfiable", fmt.Sprintf("the file has %d bytes", a.Size))
	e.header = http.Header{"Content-Range": {fmt.Sprintf("bytes */%d", a.Size)}}
	return e
}
