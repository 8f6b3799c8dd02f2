package pki

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"strings"

	"dfs/fs"
)

// Role is what the holder of a certificate is to the cluster.
type Role string

// The roles.
const (
	RoleNode  Role = "node"  // keeps metadata and blobs; trusted with everything but operators' decisions
	RoleMount Role = "mount" // a mounting machine
	RoleAdmin Role = "admin" // an operator
)

// Roles are all of them.
func Roles() []Role { return []Role{RoleNode, RoleMount, RoleAdmin} }

// ServerName is the DNS name in every node's certificate.
const ServerName = "node.dfs.internal"

const uriScheme = "dfs"

// ParseRole reads a role's name; anything else is fs.ErrInvalid.
func ParseRole(s string) (Role, error) {
	for _, r := range Roles() {
		if s == string(r) {
			return r, nil
		}
	}
	return "", fmt.Errorf("%q is no role; there are node, mount and admin: %w", s, fs.ErrInvalid)
}

// RoleOf is the role in a certificate. One without a role, or with several, is fs.ErrPermission.
func RoleOf(cert *x509.Certificate) (Role, error) {
	role, _, err := grantOf(cert)
	return role, err
}

// grantOf is what a certificate lets its holder be, and what it is bound to. The whole URI must be as roleURI writes it.
func grantOf(cert *x509.Certificate) (Role, fs.Scope, error) {
	var found []*url.URL
	for _, u := range cert.URIs {
		if u.Scheme == uriScheme {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return "", fs.Scope{}, fmt.Errorf("the certificate %q has %d roles, it must have one: %w", cert.Subject.CommonName, len(found), fs.ErrPermission)
	}
	name, ok := strings.CutPrefix(found[0].Path, "/role/")
	role, err := ParseRole(name)
	if !ok || err != nil {
		return "", fs.Scope{}, fmt.Errorf("the certificate %q has the role %q, which there is not: %w", cert.Subject.CommonName, found[0], fs.ErrPermission)
	}
	scope, err := parseScope(found[0].RawQuery)
	if err != nil || scope != (fs.Scope{}) && role != RoleMount || found[0].String() != roleURI(found[0].Host, role, scope).String() {
		return "", fs.Scope{}, fmt.Errorf("the certificate %q has the role %q, bound in a way that there is not: %w", cert.Subject.CommonName, found[0], fs.ErrPermission)
	}
	return role, scope, nil
}

func roleURI(authority string, r Role, scope fs.Scope) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: authority, Path: "/role/" + string(r), RawQuery: scopeQuery(scope)}
}

// The parameters of a role's URI.
const (
	subtreeParam  = "subtree"
	readOnlyParam = "ro" // always 1
)

// scopeQuery writes what a role is bound to; nothing for everything.
func scopeQuery(s fs.Scope) string {
	var params []string
	if s.Subtree != "" {
		params = append(params, subtreeParam+"="+url.QueryEscape(s.Subtree))
	}
	if s.ReadOnly {
		params = append(params, readOnlyParam+"=1")
	}
	return strings.Join(params, "&")
}

// parseScope reads what scopeQuery writes, to the letter: what else it might mean, to us or to a later version, must not be
// taken for less than is meant.
func parseScope(query string) (fs.Scope, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return fs.Scope{}, err
	}
	subtree, err := fs.ParseSubtree(values.Get(subtreeParam))
	if err != nil {
		return fs.Scope{}, err
	}
	s := fs.Scope{Subtree: subtree, ReadOnly: values.Has(readOnlyParam)}
	if scopeQuery(s) != query {
		return fs.Scope{}, fmt.Errorf("unknown parameters %q: %w", query, fs.ErrInvalid)
	}
	return s, nil
}
