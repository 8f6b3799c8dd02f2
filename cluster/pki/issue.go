package pki

import (
	"cmp"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"dfs/fs"
)

// DefaultDays is how long a certificate holds unless something else is asked for.
const DefaultDays = 90

// hostsMax bounds the names and addresses in one certificate.
const hostsMax = 32

// Request is a certificate to be issued.
type Request struct {
	Role  Role
	Name  string   // of the files, and of whoever appears in logs
	Hosts []string // host names and addresses of a node, for those who ask for them: curl and other clients of HTTP
	Days  int      // 0: DefaultDays
	// Life, if any, is how long it holds instead of Days.
	Life  time.Duration
	Scope fs.Scope // what a mount is bound to
	// From is when it begins to hold; zero: now.
	From time.Time
	// NoIssuer keeps the issuer's key from a node: others renew its certificate.
	NoIssuer bool
}

// nameRule keeps names fit for files, logs and certificates.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// reservedNames are those of other files.
var reservedNames = []string{"ca", "issuer", "gossip"}

// ValidName reports whether a certificate, and its files, may be called so.
func ValidName(s string) bool { return nameRule.MatchString(s) && !slices.Contains(reservedNames, s) }

func (r *Request) validate() error {
	if _, err := ParseRole(string(r.Role)); err != nil {
		return err
	}
	if !ValidName(r.Name) {
		return fmt.Errorf("name %q: want letters, digits, '.', '_' and '-', 63 at most, and none of \"ca\", \"issuer\" and \"gossip\": %w", r.Name, fs.ErrInvalid)
	}
	if r.Life < 0 || r.Life > 366*authorityYears*24*time.Hour {
		return fmt.Errorf("a life of %s: %w", r.Life, fs.ErrInvalid)
	}
	if r.Days < 0 || r.Days > 366*authorityYears {
		return fmt.Errorf("%d days: want 1 to %d: %w", r.Days, 366*authorityYears, fs.ErrInvalid)
	}
	if len(r.Hosts) > hostsMax {
		return fmt.Errorf("%d hosts, at most %d: %w", len(r.Hosts), hostsMax, fs.ErrInvalid)
	}
	if len(r.Hosts) > 0 && r.Role != RoleNode {
		return fmt.Errorf("only a node has hosts, a %s has none: %w", r.Role, fs.ErrInvalid)
	}
	if r.Scope != (fs.Scope{}) && r.Role != RoleMount {
		return fmt.Errorf("only a mount can be bound to a subtree or to reading, a %s cannot: %w", r.Role, fs.ErrInvalid)
	}
	subtree, err := fs.ParseSubtree(r.Scope.Subtree)
	if err != nil {
		return fmt.Errorf("subtree: %w", err)
	}
	r.Scope.Subtree = subtree
	for _, h := range r.Hosts {
		if net.ParseIP(h) == nil && !nameRule.MatchString(h) {
			return fmt.Errorf("host %q is neither a name nor an address: %w", h, fs.ErrInvalid)
		}
	}
	return nil
}

// Issue has the authority in dir make a certificate, and puts all that its holder needs into the directory out: ca.crt,
// NAME.crt, NAME.key and, for a node, gossip.key and, unless the Request says NoIssuer, the issuer. What is there already is
// left alone; that is fs.ErrExist.
func Issue(dir, out string, r Request) error {
	if err := r.validate(); err != nil {
		return err
	}
	issuer, err := OpenIssuer(dir)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	chain, err := issuer.Issue(r, &key.PublicKey)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	files := []file{{r.Name + keySuffix, private, secret}, {r.Name + certSuffix, chain, public}, {CACertFile, issuer.Root(), public}}
	if r.Role == RoleNode {
		gossip, err := readFile(filepath.Join(dir, GossipKeyFile))
		if err != nil {
			return err
		}
		files = append(files, file{GossipKeyFile, gossip, secret})
	}
	if r.Role == RoleNode && !r.NoIssuer {
		files = append(files, file{IssuerKeyFile, issuer.keyPEM, secret}, file{IssuerCertFile, issuer.certPEM, public})
	}
	return writeNew(out, files)
}

// period is from when to when the certificate holds.
func (r *Request) period(now time.Time) (from, end time.Time) {
	life := r.Life
	if life == 0 {
		life = time.Duration(cmp.Or(r.Days, DefaultDays)) * 24 * time.Hour
	}
	if !r.From.IsZero() {
		return r.From, r.From.Add(life)
	}
	return now.Add(-min(backdated, life/10)), now.Add(life)
}

// template is the certificate without its days; authority is the root's name.
func (r *Request) template(authority string) *x509.Certificate {
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: r.Name, Organization: []string{"dfs"}, OrganizationalUnit: []string{string(r.Role)}},
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	t.URIs = append(t.URIs, roleURI(authority, r.Role, r.Scope))
	if r.Role != RoleNode {
		return t
	}
	t.ExtKeyUsage = append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	t.DNSNames = []string{ServerName}
	for _, h := range r.Hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	return t
}
