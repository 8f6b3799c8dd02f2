package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/config"
	"dfs/fs/rest"
)

// remotePrefix marks an argument that is a path in the cluster.
const remotePrefix = "dfs:"

// fileClient speaks the REST of one node.
type fileClient struct {
	http    *http.Client
	base    string // scheme and host
	token   string
	timeout time.Duration // of what carries no content

	credentials *pki.Credentials // nil: no TLS
}

// client is the one that the flags ask for. Under TLS it shows a mount's certificate: files are for those who may mount.
// Close it.
func (a *admin) client(f *config.Files) (*fileClient, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	credentials, err := a.TLS.Open(pki.RoleMount, nil)
	if err != nil {
		return nil, err
	}
	c := &fileClient{http: cluster.HTTPClient(a.Insecure, credentials), base: strings.TrimSuffix(f.HTTP, "/"), timeout: a.Timeout, credentials: credentials}
	if err := c.open(f); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// open finds out where the client goes, and with what token.
func (c *fileClient) open(f *config.Files) (err error) {
	scheme := "http://"
	if c.credentials != nil {
		scheme = "https://"
	}
	if !strings.Contains(f.HTTP, "://") {
		addrs, err := cluster.ParseAddrs(f.HTTP, cluster.PortHTTP)
		if err != nil || len(addrs) != 1 {
			return fmt.Errorf("%w: --http %q: want HOST:PORT", config.ErrUsage, f.HTTP)
		}
		c.base = scheme + addrs[0]
	}
	c.token, err = firstToken(f.TokenFile)
	return err
}

// Close ends the client's connections.
func (c *fileClient) Close() error {
	c.http.CloseIdleConnections()
	if c.credentials == nil {
		return nil
	}
	return c.credentials.Close()
}

// firstToken reads the first line of a token file that holds one.
func firstToken(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", fmt.Errorf("%w: --token-file: %v", config.ErrUsage, err)
	}
	defer f.Close() // nothing is written to it
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if token := strings.TrimSpace(lines.Text()); token != "" && !strings.HasPrefix(token, "#") {
			return token, nil
		}
	}
	return "", fmt.Errorf("%w: --token-file: there is no token in %s", config.ErrUsage, name)
}

// remoteError is an answer that is no success.
type remoteError struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	path    string
}

func (e *remoteError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("%s%s: HTTP status %d", remotePrefix, e.path, e.Status)
	}
	return fmt.Sprintf("%s%s: %s (%s)", remotePrefix, e.path, e.Message, e.Code)
}

// hasCode reports whether err is the answer with a code.
func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*remoteError](err)
	return ok && e.Code == code
}

// remotePath is an argument as a path of the cluster, from its root.
func remotePath(arg string) string {
	return "/" + strings.TrimPrefix(strings.TrimPrefix(arg, remotePrefix), "/")
}

// href is the URL path of a path of the cluster.
func href(path string) string {
	parts := strings.Split(path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return rest.Prefix + strings.Join(parts, "/")
}

// call sends a request to the URL path href; query may be empty. An answer that is no success is a *remoteError. The caller
// closes the body.
func (c *fileClient) call(ctx context.Context, method, href, query string, body io.Reader, size int64) (*http.Response, error) {
	target := c.base + href
	if query != "" {
		target += "?" + query
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, err
	}
	if body != nil {
		if req.ContentLength = size; size == 0 {
			req.Body = http.NoBody
		}
		req.Header.Set("Expect", "100-continue") // what is refused need not be sent
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close() // what is wrong has been read from it
	e := &remoteError{Status: resp.StatusCode, path: strings.TrimPrefix(href, rest.Prefix)}
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err == nil && len(text) > 0 {
		_ = json.Unmarshal(text, e) // if it is something else, the status has to do
	}
	return nil, e
}

// command is call for what has no content either way.
func (c *fileClient) command(ctx context.Context, method, href, query string) (http.Header, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.call(ctx, method, href, query, nil, 0)
	if err != nil {
		return nil, err
	}
	return resp.Header, resp.Body.Close()
}

// list calls fn for each entry of a directory.
func (c *fileClient) list(ctx context.Context, href string, fn func(rest.Entry) error) error {
	for query := "list"; ; {
		page, err := c.page(ctx, href, query)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if err := fn(e); err != nil {
				return err
			}
		}
		if page.Cursor == "" {
			return nil
		}
		query = "list&cursor=" + url.QueryEscape(page.Cursor)
	}
}

func (c *fileClient) page(ctx context.Context, href, query string) (*rest.Listing, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	resp, err := c.call(ctx, http.MethodGet, href, query, nil, 0)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close() // all that is wanted has been read from it
	page := &rest.Listing{}
	if err := json.NewDecoder(resp.Body).Decode(page); err != nil {
		return nil, fmt.Errorf("a listing that is none: %w", err)
	}
	return page, nil
}

// isDir reports whether a path of the cluster is a directory; what is not there is none.
func (c *fileClient) isDir(ctx context.Context, path string) (bool, error) {
	_, err := c.command(ctx, http.MethodGet, href(path), "list&limit=1")
	switch {
	case err == nil:
		return true, nil
	case hasCode(err, "not_found") || hasCode(err, "not_a_directory"):
		return false, nil
	}
	return false, err
}
