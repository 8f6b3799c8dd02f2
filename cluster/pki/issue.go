package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"path/filepath"
	"regexp"
	"time"

	"dfs/fs"
)

// DefaultDays is how long a certificate holds unless something else is asked for.
const DefaultDays = 90

// Request is a certificate to be issued.
type Request struct {
	Role  Role
	Name  string   // of the files, and of whoever appears in logs
	Hosts []string // host names and addresses of a node, for those who ask for them: curl and other clients of HTTP
	Days  int      // 0: DefaultDays
	// From is when it begins to hold; zero: now.
	From time.Time
}

// nameRule keeps names fit for files, logs and certificates.
var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (r *Request) validate() error {
	if _, err := ParseRole(string(r.Role)); err != nil {
		return err
	}
	if !nameRule.MatchString(r.Name) || r.Name == "ca" || r.Name == "gossip" {
		return fmt.Errorf("name %q: want letters, digits, '.', '_' and '-', 63 at most, and neither \"ca\" nor \"gossip\": %w", r.Name, fs.ErrInvalid)
	}
	if r.Days < 0 || r.Days > 366*authorityYears {
		return fmt.Errorf("%d days: want 1 to %d: %w", r.Days, 366*authorityYears, fs.ErrInvalid)
	}
	if len(r.Hosts) > 0 && r.Role != RoleNode {
		return fmt.Errorf("only a node has hosts, a %s has none: %w", r.Role, fs.ErrInvalid)
	}
	for _, h := range r.Hosts {
		if net.ParseIP(h) == nil && !nameRule.MatchString(h) {
			return fmt.Errorf("host %q is neither a name nor an address: %w", h, fs.ErrInvalid)
		}
	}
	return nil
}

// Issue has the authority in dir make a certificate, and puts all that its holder needs into the directory out: ca.crt,
// NAME.crt, NAME.key and, for a node, gossip.key. What is there already is left alone; that is fs.ErrExist.
func Issue(dir, out string, r Request) error {
	if err := r.validate(); err != nil {
		return err
	}
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	template, err := r.template(ca)
	if err != nil {
		return err
	}
	cert, err := sign(template, ca.cert, &key.PublicKey, ca.key)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	files := []file{{r.Name + keySuffix, private, secret}, {r.Name + certSuffix, cert, public}, {CACertFile, ca.pem, public}}
	if r.Role == RoleNode {
		gossip, err := readFile(filepath.Join(dir, GossipKeyFile))
		if err != nil {
			return err
		}
		files = append(files, file{GossipKeyFile, gossip, secret})
	}
	return writeNew(out, files)
}

func (r *Request) template(ca *authority) (*x509.Certificate, error) {
	from, days := r.From, r.Days
	if from.IsZero() {
		from = time.Now().Add(-backdated)
	}
	if days == 0 {
		days = DefaultDays
	}
	end := from.AddDate(0, 0, days)
	if r.From.IsZero() {
		end = end.Add(backdated)
	}
	if end.After(ca.cert.NotAfter) {
		return nil, fmt.Errorf("the certificate authority itself ends on %s, before the %d days: %w",
			ca.cert.NotAfter.Format(time.DateOnly), days, fs.ErrInvalid)
	}
	t := &x509.Certificate{
		Subject:   pkix.Name{CommonName: r.Name, Organization: []string{"dfs"}, OrganizationalUnit: []string{string(r.Role)}},
		NotBefore: from, NotAfter: end, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	t.URIs = append(t.URIs, roleURI(ca.cert.Subject.CommonName, r.Role))
	if r.Role != RoleNode {
		return t, nil
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
	return t, nil
}
