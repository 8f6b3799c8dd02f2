package harness

import (
	"os"
	"path/filepath"
	"strings"
	"time"
)

// StartDfs runs the admin client against addrs in the background. What it prints is in Output.
func (c *Cluster) StartDfs(name, addrs string, args ...string) *Process {
	c.t.Helper()
	argv := append([]string{Program(c.t, "dfs"), "--addr", addrs}, args...)
	if c.net != nil {
		argv = c.net.within(clientNamespace, append(argv, "--insecure"))
	}
	return start(c.t, name, filepath.Join(c.Dir, name+".log"), nil, argv...)
}

// Output is everything that a process has printed.
func (p *Process) Output() string {
	p.t.Helper()
	data, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// WaitPrinted waits until it has printed something.
func (p *Process) WaitPrinted(patience time.Duration, text string) {
	p.t.Helper()
	Eventually(p.t, patience, func() error {
		if !strings.Contains(p.Output(), text) {
			return &notPrinted{text, p.Output()}
		}
		return nil
	})
}

type notPrinted struct{ text, output string }

func (e *notPrinted) Error() string { return e.text + " has not been printed:\n" + e.output }
