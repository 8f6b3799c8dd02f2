package rest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"dfs/fs"
)

const (
	listDefault = 1000
	listMax     = fs.ReaddirMax
)

// Listing is a page of a directory, as ?list answers.
type Listing struct {
	Entries []Entry `json:"entries"`
	// Cursor is where the next page starts, as ?list&cursor=; empty: there is none.
	Cursor string `json:"cursor,omitempty"`
}

// Entry is one entry of a directory.
type Entry struct {
	Name  string    `json:"name"` // bytes that are no UTF-8 are shown as U+FFFD; Href has them
	Href  string    `json:"href"` // the entry's own URL path
	Type  string    `json:"type"` // file, directory, symlink, fifo, socket, char, block
	Size  uint64    `json:"size"` // bytes
	Mode  string    `json:"mode"` // permissions, octal
	Mtime time.Time `json:"mtime"`
	Etag  string    `json:"etag"`
}

// list answers with a page of a directory. All pages together end where the directory ended when the first was made.
func (c *call) list() error {
	t, err := c.resolve(c.ctx, c.path, true)
	switch {
	case err != nil:
		return err
	case !t.exists() && c.pre.match == nil:
		return fs.ErrNotExist
	}
	if !t.exists() {
		return preconditionFailed("If-Match")
	}
	if !t.attr.IsDir() {
		return fs.ErrNotDir
	}
	at, limit, err := c.page()
	if err != nil {
		return err
	}
	l, err := c.fs.List(c.ctx, t.attr.Ino, at.after, limit)
	if err != nil {
		return err
	}
	if at.end == 0 {
		at.end = l.End
	}
	body, err := json.Marshal(c.listing(l, at, limit))
	if err != nil {
		return fmt.Errorf("encode a listing: %w", err)
	}
	sum := sha256.Sum256(body)
	tag := fmt.Sprintf(`"list-%x"`, sum[:16]) // not the directory's: its Version stays when a file in it changes
	if err := c.pre.checkTag(true, tag, true); err != nil {
		return err
	}
	h := c.w.Header()
	h.Set("Etag", tag)
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", cacheControl)
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	c.w.WriteHeader(http.StatusOK)
	if c.r.Method != http.MethodHead {
		_, _ = c.w.Write(append(body, '\n')) // a client that has gone needs no answer
	}
	return nil
}

// cursor is a place in a listing: behind which entry it goes on, and where it ends (0: not known yet).
type cursor struct{ after, end fs.Cookie }

func (c cursor) String() string { return fmt.Sprintf("%d-%d", c.after, c.end) }

func (c *call) page() (at cursor, limit int, err error) {
	query, limit := c.r.URL.Query(), listDefault
	if s := query.Get("limit"); s != "" {
		if limit, err = strconv.Atoi(s); err != nil || limit < 1 || limit > listMax {
			return at, 0, newError(http.StatusBadRequest, "invalid", fmt.Sprintf("limit is not 1 to %d", listMax))
		}
	}
	s := query.Get("cursor")
	if s == "" {
		return at, limit, nil
	}
	after, end, ok := strings.Cut(s, "-")
	a, errAfter := strconv.ParseUint(after, 10, 64)
	e, errEnd := strconv.ParseUint(end, 10, 64)
	if !ok || errAfter != nil || errEnd != nil || e == 0 {
		return at, 0, newError(http.StatusBadRequest, "invalid", "the cursor is none that a listing gave")
	}
	return cursor{fs.Cookie(a), fs.Cookie(e)}, limit, nil
}

// listing is the page for clients.
func (c *call) listing(l fs.Listing, at cursor, limit int) Listing {
	page := Listing{Entries: make([]Entry, 0, len(l.Entries))}
	more := len(l.Entries) == limit
	for i := range l.Entries {
		e := &l.Entries[i]
		if e.Cookie >= at.end {
			more = false
			break
		}
		page.Entries = append(page.Entries, Entry{
			Name: strings.ToValidUTF8(e.Name, "\ufffd"), Href: escape(append(slices.Clip(c.path.names), e.Name)), Type: typeName(e.Attr.Type),
			Size: e.Attr.Size, Mode: fmt.Sprintf("%04o", e.Attr.Mode), Mtime: e.Attr.Mtime.Std().UTC(), Etag: etag(&e.Attr),
		})
		at.after = e.Cookie
	}
	if more {
		page.Cursor = at.String()
	}
	return page
}

func typeName(t fs.FileType) string {
	switch t {
	case fs.TypeRegular:
		return "file"
	case fs.TypeDir:
		return "directory"
	case fs.TypeSymlink:
		return "symlink"
	case fs.TypeFIFO:
		return "fifo"
	case fs.TypeSocket:
		return "socket"
	case fs.TypeChar:
		return "char"
	case fs.TypeBlock:
		return "block"
	}
	return "unknown"
}
