package rest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/fs/vfs"
)

func TestRange_IsOneRunOfBytes(t *testing.T) {
	w := newWorld(t, Config{})
	w.put("/f", "0123456789").is(t, 201, "")
	w.put("/empty", "").is(t, 201, "")
	tag := w.get("/f").Header.Get("Etag")
	for _, c := range []struct {
		header, body, contentRange string
	}{
		{"Range: bytes=2-4", "234", "bytes 2-4/10"},
		{"Range: bytes=7-", "789", "bytes 7-9/10"},
		{"Range: bytes=7-99", "789", "bytes 7-9/10"},
		{"Range: bytes=-3", "789", "bytes 7-9/10"},
		{"Range: bytes=-99", "0123456789", "bytes 0-9/10"},
		{"Range: bytes=4-2", "0123456789", ""},
		{"Range: bytes=0-1,3-4", "0123456789", ""},
		{"Range: lines=1-2", "0123456789", ""},
		{"Range: bytes=x-2", "0123456789", ""},
	} {
		status := 206
		if c.contentRange == "" {
			status = 200
		}
		a := w.get("/f", c.header).is(t, status, "")
		if string(a.body) != c.body || a.Header.Get("Content-Range") != c.contentRange || a.ContentLength != int64(len(c.body)) {
			t.Errorf("%s: %q, %q, length %d", c.header, a.body, a.Header.Get("Content-Range"), a.ContentLength)
		}
	}
	w.get("/f", "Range: bytes=2-4", "If-Range: "+tag).is(t, 206, "")
	w.get("/f", "Range: bytes=2-4", `If-Range: "other"`).is(t, 200, "")
	for _, beyond := range []string{"/f bytes=10-", "/f bytes=-0", "/empty bytes=0-", "/empty bytes=-1"} {
		path, value, _ := strings.Cut(beyond, " ")
		a := w.get(path, "Range: "+value).is(t, 416, "range_not_satisfiable")
		if got := a.Header.Get("Content-Range"); !strings.HasPrefix(got, "bytes */") {
			t.Errorf("%s: Content-Range %q", beyond, got)
		}
	}
	for _, ignored := range []string{"bytes=2-4", "bytes=10-"} { // Range is defined for GET only
		a := w.ask("HEAD", Prefix+"/f", nil, "Range: "+ignored).is(t, 200, "")
		if a.ContentLength != 10 || len(a.body) != 0 || a.Header.Get("Content-Range") != "" {
			t.Errorf("HEAD: length %d, body %q, %q", a.ContentLength, a.body, a.Header.Get("Content-Range"))
		}
	}
}

func TestPreconditions_AreThoseOfRFC9110(t *testing.T) {
	w := newWorld(t, Config{})
	tag := w.put("/f", "x").is(t, 201, "").Header.Get("Etag")
	other := `"1-1"`
	modified := w.get("/f").Header.Get("Last-Modified")
	const long = "Mon, 02 Jan 2006 15:04:05 GMT"
	for _, c := range []struct {
		method, path, header string
		status               int
	}{
		{"GET", "/f", "If-Match: " + tag, 200},
		{"GET", "/f", "If-Match: " + other + ", " + tag, 200},
		{"GET", "/f", "If-Match: W/" + tag, 412},
		{"GET", "/f", "If-Match: " + other, 412},
		{"GET", "/none", "If-Match: *", 412},
		{"GET", "/f", "If-None-Match: " + tag, 304},
		{"GET", "/f", "If-None-Match: W/" + tag, 304},
		{"GET", "/f", "If-None-Match: *", 304},
		{"GET", "/f", "If-None-Match: " + other, 200},
		{"HEAD", "/f", "If-None-Match: " + tag, 304},
		{"GET", "/f", "If-Match: nonsense", 400},
		{"GET", "/f", `If-Match: "open`, 400},
		{"PUT", "/f", "If-None-Match: " + tag, 412},
		{"PUT", "/f", "If-None-Match: *", 412},
		{"PUT", "/none", "If-Match: *", 412},
		{"DELETE", "/f", "If-Match: " + other, 412},
		{"DELETE", "/none", "If-Match: *", 412},
		{"POST", "/f?rename=g", "If-Match: " + other, 412},
		{"POST", "/f?mkdir", "If-None-Match: *", 412},
		{"GET", "/?list", "If-Match: " + other, 412},
		{"GET", "/f", "If-Unmodified-Since: " + modified, 200},
		{"GET", "/f", "If-Unmodified-Since: " + long, 412},
		{"PUT", "/f", "If-Unmodified-Since: " + long, 412},
		{"DELETE", "/f", "If-Unmodified-Since: " + long, 412},
		{"POST", "/f?rename=g", "If-Unmodified-Since: " + long, 412},
		{"GET", "/f", "If-Unmodified-Since: no date", 200},
		{"GET", "/f", "If-Modified-Since: " + modified, 200}, // what has changed within the second would be hidden
		{"DELETE", "/f", "If-Match: " + tag, 204},
	} {
		a := w.ask(c.method, Prefix+c.path, nil, c.header)
		if a.StatusCode != c.status {
			t.Errorf("%s %s, %s: %d %s", c.method, c.path, c.header, a.StatusCode, a.body)
		}
		if c.status == 304 && (a.Header.Get("Etag") != tag || a.Header.Get("Cache-Control") != "no-cache") {
			t.Errorf("304 with %v", a.Header)
		}
	}
}

func TestPath_IsCleanedOnceOrRefused(t *testing.T) {
	w := newWorld(t, Config{})
	w.ask("PUT", Prefix+"/d?mkdir", nil).is(t, 201, "")
	long := strings.Repeat("n", fs.NameMax)
	for _, ok := range []string{"/d/a%20b", "/d/%2541", "/d/a+b", "/d/...", "/d/" + long, "/d/%ff"} {
		w.put(ok, ok).is(t, 201, "")
		if got := w.get(ok); string(got.body) != ok {
			t.Errorf("%s: got %q", ok, got.body)
		}
	}
	if _, err := w.mount.Lookup(t.Context(), w.ino("d"), "%41"); err != nil {
		t.Errorf("%%2541 was not decoded once: %v", err)
	}
	for path, code := range map[string]string{
		"/d/../x": "invalid_path", "/d/%2e%2e/x": "invalid_path", "/./x": "invalid_path", "/d//x": "invalid_path", "//x": "invalid_path",
		"//": "invalid_path", "/d/a%00b": "invalid_path", "/d/a%2Fb": "invalid_path", "/d/" + long + "n": "name_too_long",
		"/" + strings.Repeat("nn/", 2000) + "n": "name_too_long", "/f?mkdri": "invalid", "/f?list&mkdir": "invalid", "/f?limit=1": "invalid",
		"/d?list;limit=1": "invalid", "/d?li%zzst": "invalid", "/d?list&limit=1&limit=2": "invalid",
	} {
		w.get(path).is(t, 400, code)
	}
	w.ask("POST", Prefix+"/d?rename=../x", nil).is(t, 400, "invalid_path")
	w.put("/.dfs", "x").is(t, 403, "reserved")
	w.put("/.dfs/x", "x").is(t, 403, "reserved")
	w.ask("POST", Prefix+"/d?rename=.dfs", nil).is(t, 403, "reserved")
	w.put("/d/.dfs", "x").is(t, 201, "")
	for name, to := range map[string]string{"root": "/", "status": "/.dfs"} {
		if _, err := w.mount.Symlink(t.Context(), vfs.Caller{}, fs.RootIno, name, to); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{"/root/.dfs", "/status", "/root/root/.dfs"} {
		w.put(path, "x").is(t, 403, "reserved")
	}
	w.ask("PUT", Prefix+"/root/.dfs?mkdir", nil).is(t, 403, "reserved")
	w.ask("POST", Prefix+"/d?rename=root/.dfs", nil).is(t, 403, "reserved")
	w.get("/d/").is(t, 409, "is_a_directory")
	w.get("/d/.../").is(t, 409, "not_a_directory")
	if a := w.ask("GET", "/other/../v1/fs/d", nil); a.StatusCode != http.StatusTeapot {
		t.Errorf("a path that is not ours was taken: %d", a.StatusCode)
	}
}

// ino is the number of a name in the root.
func (w *world) ino(name string) fs.Ino {
	w.t.Helper()
	a, err := w.mount.Lookup(w.t.Context(), fs.RootIno, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.Ino
}

func TestSymlinks_StayInTheTree(t *testing.T) {
	w := newWorld(t, Config{})
	w.ask("PUT", Prefix+"/d?mkdir", nil).is(t, 201, "")
	w.put("/d/f", "here").is(t, 201, "")
	link := func(dir fs.Ino, name, to string) {
		if _, err := w.mount.Symlink(t.Context(), vfs.Caller{}, dir, name, to); err != nil {
			t.Fatal(err)
		}
	}
	d := w.ino("d")
	link(fs.RootIno, "rel", "d/f")
	link(fs.RootIno, "abs", "/d/./f")
	link(d, "up", "../../../../d/f")
	link(fs.RootIno, "dir", "d")
	link(fs.RootIno, "new", "d/made")
	link(fs.RootIno, "self", "self")
	link(fs.RootIno, "root", "d/..")
	for _, path := range []string{"/rel", "/abs", "/d/up", "/dir/f", "/dir/up", "/root/rel"} {
		if got := w.get(path).is(t, 200, ""); string(got.body) != "here" {
			t.Errorf("%s: got %q", path, got.body)
		}
	}
	w.put("/new", "made").is(t, 201, "")
	if got := w.get("/d/made"); string(got.body) != "made" {
		t.Errorf("got %q", got.body)
	}
	w.get("/self").is(t, 409, "symlink_loop")
	w.put("/self/x", "").is(t, 409, "symlink_loop")
	link(fs.RootIno, "l1", "d/f")
	for i := 2; i <= symlinksMax+1; i++ {
		link(fs.RootIno, fmt.Sprintf("l%d", i), fmt.Sprintf("l%d", i-1))
	}
	w.get(fmt.Sprintf("/l%d", symlinksMax)).is(t, 200, "")
	w.get(fmt.Sprintf("/l%d", symlinksMax+1)).is(t, 409, "symlink_loop")
	w.ask("DELETE", Prefix+"/rel", nil).is(t, 204, "") // the link, not what it leads to
	w.ask("POST", Prefix+"/dir?rename=moved", nil).is(t, 204, "")
	w.get("/d/f").is(t, 200, "")
	w.get("/moved/f").is(t, 200, "")
}

func TestChanges_AnswerWhatStandsInTheWay(t *testing.T) {
	w := newWorld(t, Config{})
	w.ask("POST", Prefix+"/d?mkdir", nil).is(t, 201, "")
	w.put("/f", "x").is(t, 201, "")
	w.put("/d/g", "y").is(t, 201, "")
	if _, err := w.mount.Mknod(t.Context(), vfs.Caller{}, fs.RootIno, "pipe", fs.TypeFIFO, 0o644, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		method, path string
		status       int
		code         string
	}{
		{"GET", "/none", 404, "not_found"},
		{"GET", "/none?list", 404, "not_found"},
		{"GET", "/f?list", 409, "not_a_directory"},
		{"GET", "/f/x", 409, "not_a_directory"},
		{"GET", "/d", 409, "is_a_directory"},
		{"GET", "/pipe", 409, "not_a_file"},
		{"PUT", "/none/x", 404, "not_found"},
		{"PUT", "/f/x", 409, "not_a_directory"},
		{"PUT", "/d", 409, "is_a_directory"},
		{"PUT", "/", 409, "is_a_directory"},
		{"PUT", "/x/", 409, "is_a_directory"},
		{"PUT", "/pipe", 409, "not_a_file"},
		{"PUT", "/d?mkdir", 409, "already_exists"},
		{"PUT", "/?mkdir", 409, "already_exists"},
		{"PUT", "/none/x?mkdir", 404, "not_found"},
		{"DELETE", "/none", 404, "not_found"},
		{"DELETE", "/d", 409, "not_empty"},
		{"DELETE", "/f/", 409, "not_a_directory"},
		{"DELETE", "", 403, "forbidden"},
		{"POST", "/?rename=/x", 403, "forbidden"},
		{"POST", "/d?rename=/", 403, "forbidden"},
		{"POST", "/none?rename=/x", 404, "not_found"},
		{"POST", "/f?rename=/none/x", 404, "not_found"},
		{"POST", "/f?rename=/d", 409, "is_a_directory"},
		{"POST", "/d?rename=/f", 409, "not_a_directory"},
		{"POST", "/d?rename=/d/x", 409, "into_itself"},
		{"POST", "/f?rename=/x/", 409, "not_a_directory"},
		{"POST", "/f", 405, "method_not_allowed"},
		{"PATCH", "/f", 405, "method_not_allowed"},
		{"DELETE", "/f?list", 405, "method_not_allowed"},
		{"POST", "/f?rename=/d/g", 204, ""},
		{"DELETE", "/d/g", 204, ""},
		{"DELETE", "/d", 204, ""},
	} {
		w.ask(c.method, Prefix+c.path, nil).is(t, c.status, c.code)
	}
	w.put("/f", "x", "Content-Range: bytes 0-0/1").is(t, 400, "invalid")
	w.put("/f", "x", "Sec-Fetch-Site: cross-site").is(t, 403, "cross_origin")
	w.put("/d?mkdir", "x").is(t, 400, "invalid")
}

// What is left of a query that cannot be taken apart is none: a rename must not become a PUT of nothing.
func TestQueryThatIsNone_ChangesNothing(t *testing.T) {
	w := newWorld(t, Config{})
	w.put("/f", "precious").is(t, 201, "")
	for _, query := range []string{"rename=/x;y", "rename=/x%zz", "rename=/x&rename=/y"} {
		w.ask("PUT", Prefix+"/f?"+query, nil).is(t, 400, "invalid")
	}
	if got := w.content("f"); got != "precious" {
		t.Errorf("the file has become %q", got)
	}
}

func TestListsETag_IsOfTheListing(t *testing.T) {
	w := newWorld(t, Config{})
	w.ask("PUT", Prefix+"/d?mkdir", nil).is(t, 201, "")
	w.put("/d/f", "x").is(t, 201, "")
	tag := w.get("/d?list").is(t, 200, "").Header.Get("Etag")
	w.get("/d?list", "If-None-Match: "+tag).is(t, 304, "")
	w.get("/d?list", "If-Match: "+tag).is(t, 200, "")
	w.put("/d/f", "longer").is(t, 204, "") // which changes nothing of the directory itself
	w.get("/d?list", "If-None-Match: "+tag).is(t, 200, "")
	w.get("/d?list", "If-Match: "+tag).is(t, 412, "precondition_failed")
}

func TestList_ComesInPagesThatEnd(t *testing.T) {
	w := newWorld(t, Config{})
	w.ask("PUT", Prefix+"/d?mkdir", nil).is(t, 201, "")
	for i := range 5 {
		w.put(fmt.Sprintf("/d/%d", i), "x").is(t, 201, "")
	}
	var names []string
	path := "/d?list&limit=2"
	for page := 0; path != ""; page++ {
		var l Listing
		if err := json.Unmarshal(w.get(path).is(t, 200, "").body, &l); err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Entries {
			names = append(names, e.Name)
			if a := w.ask("GET", e.Href, nil).is(t, 200, ""); a.Header.Get("Etag") != e.Etag || e.Type != "file" || e.Size != 1 || e.Mtime.IsZero() {
				t.Errorf("entry %+v, ETag %s", e, a.Header.Get("Etag"))
			}
		}
		w.put(fmt.Sprintf("/d/later%d", page), "x").is(t, 201, "") // a listing that chases these never ends
		path = ""
		if l.Cursor != "" {
			path = "/d?list&limit=2&cursor=" + l.Cursor
		}
	}
	if want := []string{"0", "1", "2", "3", "4"}; !slices.Equal(names, want) {
		t.Errorf("got %q", names)
	}
	for _, bad := range []string{"limit=0", "limit=99999", "limit=x", "cursor=x", "cursor=1", "cursor=1-0"} {
		w.get("/d?list&"+bad).is(t, 400, "invalid")
	}
}
