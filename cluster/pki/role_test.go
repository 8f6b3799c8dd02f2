package pki

import (
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"dfs/fs"
)

// Certificates of an authority that somebody else has made may say anything: only one URI of ours with a known path gives a role.
func FuzzRoleOf(f *testing.F) {
	for _, s := range []string{"dfs://ca/role/node", "dfs://ca/role/root", "dfs://ca/role/node/", "dfs:role/node", "dfs://ca/role/%6eode", "https://ca/role/node", "dfs://ca/ROLE/node"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		role, err := RoleOf(&x509.Certificate{URIs: []*url.URL{u}})
		if err != nil && (!errors.Is(err, fs.ErrPermission) || role != "") {
			t.Errorf("%q: %q, %v", s, role, err)
		}
		if err == nil && (!strings.EqualFold(u.Scheme, uriScheme) || u.Path != "/role/"+string(role)) {
			t.Errorf("%q has the role %q", s, role)
		}
		if _, err := RoleOf(&x509.Certificate{URIs: []*url.URL{u, u}}); err == nil {
			t.Errorf("%q twice is taken", s)
		}
	})
}
