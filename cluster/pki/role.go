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
	var found []*url.URL
	for _, u := range cert.URIs {
		if u.Scheme == uriScheme {
			found = append(found, u)
		}
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the certificate %q has %d roles, it must have one: %w", cert.Subject.CommonName, len(found), fs.ErrPermission)
	}
	name, ok := strings.CutPrefix(found[0].Path, "/role/")
	role, err := ParseRole(name)
	if !ok || err != nil {
		return "", fmt.Errorf("the certificate %q has the role %q, which there is not: %w", cert.Subject.CommonName, found[0], fs.ErrPermission)
	}
	return role, nil
}

func roleURI(authority string, r Role) *url.URL {
	return &url.URL{Scheme: uriScheme, Host: authority, Path: "/role/" + string(r)}
}
