package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/cluster/pki"
	"dfs/test/harness"
)

// tokens adds machines that have nothing but a token; make and use are the README's lines.
func (w *tlsWorld) tokens(t *testing.T, make, use string) {
	outer := w.t
	w.t = t
	defer func() { w.t = outer }()
	token := w.token(make)
	d := w.startByToken("d", use, token)
	w.member("d")
	t.Run("restart", func(t *testing.T) { // the line stays the same, and the token is used up
		d.Stop(20 * time.Second)
		d = w.startByToken("d", use, token)
		harness.Eventually(t, 30*time.Second, func() error {
			if !d.Logged("member of the cluster") {
				return fmt.Errorf("not a member again:\n%s", d.Tail(10))
			}
			return nil
		})
	})
	t.Run("by any node", func(t *testing.T) { // an operator's command finds the leader from wherever it starts, and is refused nothing
		for _, name := range []string{"a", "b", "c"} {
			r := w.fabric.Shell("ops", w.here("ops", strings.TrimSpace(strings.Replace(make, "join-token", "join-token ls", 1))+" --addr "+w.fabric.Address(name)), w.env()...)
			if err := r.Failure(); err != nil {
				t.Error(err)
			}
			if w.nodes[name].Logged("method=/dfs.meta.v1.Meta/Getattr") || w.nodes[name].Logged(`"method":"/dfs.meta.v1.Meta/Getattr"`) {
				t.Errorf("%s refused to tell an operator whether it leads", name)
			}
		}
	})
	t.Run("second use", func(t *testing.T) { w.refused(t, "e", use, token, "the join token is used up") })
	t.Run("expired", func(t *testing.T) {
		late := w.token(strings.Replace(make, "join-token", "join-token --ttl 1s", 1))
		harness.Eventually(t, 20*time.Second, func() error {
			list := w.fabric.Shell("ops", w.here("ops", strings.Replace(make, "join-token", "join-token ls", 1)), w.env()...)
			if err := list.Failure(); err != nil {
				return err
			}
			if n := strings.Count(list.Out, "node"); n != 1 { // the one that is used up
				return fmt.Errorf("%d tokens:\n%s", n, list.Out)
			}
			return nil
		})
		w.refused(t, "f", use, late, "there is no such join token")
	})
	t.Run("mount", func(t *testing.T) {
		token := w.token(strings.Replace(make, "join-token", "join-token --role mount", 1))
		w.refused(t, "g", use, token, "") // it is for no node
		dir := harness.MountPoint(t)
		m := w.fabric.StartShell("phone", w.here("phone", "dfsmount --join-token "+token+" --tls-dir /etc/dfs/tls a,b,c "+dir), w.env("DFS_FOREGROUND=true")...)
		w.mounted(m, dir)
		harness.Shell(t, time.Minute, dir, "echo hello > from-the-phone; sync from-the-phone; ls d/f")
		m.Stop(30 * time.Second)
	})
	for _, name := range []string{"a", "b", "c"} {
		if text := w.nodes[name].Tail(100000); strings.Contains(text, token) || strings.Contains(text, token[70:]) {
			t.Errorf("the log of %s has the token", name)
		}
	}
	d.Stop(20 * time.Second)
}

// token is what a line prints, on the operator's machine.
func (w *tlsWorld) token(line string) string {
	w.t.Helper()
	r := w.fabric.Shell("ops", w.here("ops", line), w.env()...)
	w.must(r.Failure())
	return strings.TrimSpace(r.Out)
}

func (w *tlsWorld) startByToken(machine, line, token string) *harness.Process {
	return w.fabric.StartShell(machine, w.here(machine, strings.Replace(line, "TOKEN", token, 1)), w.env("DFS_DIR="+filepath.Join(w.root, machine, "data"), "DFS_NAME="+machine)...)
}

// refused runs a machine that is not let in, which ends by itself.
func (w *tlsWorld) refused(t *testing.T, machine, line, token, logged string) {
	t.Helper()
	p := w.startByToken(machine, line, token)
	harness.Eventually(t, 30*time.Second, func() error {
		if p.Alive() {
			return errors.New("it goes on trying")
		}
		return nil
	})
	if logged == "" {
		return
	}
	if !p.Logged("the cluster refuses the join token") {
		t.Errorf("it says\n%s", p.Tail(5))
	}
	for _, n := range tlsNodes {
		if w.nodes[n].Logged(logged) {
			return
		}
	}
	t.Errorf("no node's log says %q", logged)
}

// member waits until the operator sees a node that stores.
func (w *tlsWorld) member(name string) {
	w.t.Helper()
	harness.Eventually(w.t, time.Minute, func() error {
		r := w.fabric.Shell("ops", w.here("ops", "dfs node ls --tls-dir /etc/dfs/tls --addr a,b,c"), w.env()...)
		if err := r.Failure(); err != nil {
			return err
		}
		for line := range strings.Lines(r.Out) {
			if f := strings.Fields(line); len(f) > 5 && f[0] == name && strings.Contains(line, "alive") && strings.Contains(line, "yes") {
				return nil
			}
		}
		return fmt.Errorf("%s is no member:\n%s", name, r.Out)
	})
}

// mounted waits until a mount can be used.
func (w *tlsWorld) mounted(m *harness.Process, dir string) {
	w.t.Helper()
	harness.Eventually(w.t, 30*time.Second, func() error {
		if !m.Alive() {
			w.t.Fatalf("dfsmount has ended:\n%s", m.Tail(10))
		}
		return harness.Command{Argv: []string{"sh", "-c", "mountpoint -q . && ls"}, Dir: dir, Timeout: 10 * time.Second}.Exec().Failure()
	})
}

// Everybody's certificate ends within seconds, again and again, while a mount is used.
func TestTLS_CertificatesOfSecondsAreRenewedUnderAWorkload(t *testing.T) {
	t.Parallel()
	const life = 15 * time.Second
	w := newTLSWorld(t)
	ca := filepath.Join(w.root, "dfs-ca")
	w.must(pki.InitCA(ca))
	for _, n := range tlsNodes {
		w.must(pki.Issue(ca, w.tls(n), pki.Request{Role: pki.RoleNode, Name: n, Life: life, NoIssuer: n == "a"}))
		w.nodes[n] = w.fabric.StartShell(n, w.here(n, "dfsnode --tls-dir /etc/dfs/tls --bootstrap-expect 3 --join a,b,c"),
			w.env("DFS_DIR="+filepath.Join(w.root, n, "data"), "DFS_NAME="+n)...)
	}
	w.must(pki.Issue(ca, w.tls("laptop"), pki.Request{Role: pki.RoleMount, Name: "laptop", Life: life}))
	first := w.ends("laptop")
	dir := harness.MountPoint(t)
	m := w.fabric.StartShell("laptop", w.here("laptop", "dfsmount --tls-dir /etc/dfs/tls --connect-timeout 60s a,b,c "+dir), w.env("DFS_FOREGROUND=true")...)
	w.mounted(m, dir)
	// Four lives of work, in which no call fails.
	harness.Shell(t, 3*time.Minute, dir, fmt.Sprintf(`set -e
end=$(($(date +%%s) + %d)); n=0
while [ $(date +%%s) -lt $end ]; do
	n=$((n + 1)); seq $n $((n + 20000)) > f$((n %% 7)); sync f$((n %% 7)); seq $n $((n + 20000)) | cmp - f$((n %% 7)); mkdir d; rmdir d
done
[ $n -gt 20 ]`, int(4*life/time.Second)))
	for _, machine := range append([]string{"laptop"}, tlsNodes...) {
		if last := w.ends(machine); !last.After(first.Add(2 * life)) {
			t.Errorf("the certificate of %s ends %s; the first ended %s", machine, last, first)
		}
	}
	m.Stop(30 * time.Second)
}

// ends is when a machine's certificate ends; its key must fit.
func (w *tlsWorld) ends(machine string) (end time.Time) {
	w.t.Helper()
	path := filepath.Join(w.tls(machine), machine)
	harness.Eventually(w.t, 5*time.Second, func() error { // a renewal may be at work
		pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
		if err == nil {
			var leaf *x509.Certificate
			leaf, err = x509.ParseCertificate(pair.Certificate[0])
			if err == nil {
				end = leaf.NotAfter
			}
		}
		return err
	})
	return end
}
