package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
	"dfs/cmd/internal/version"
	"dfs/fs"
	"dfs/raftmeta/metarpc"
)

const bundleLong = `Collects what somebody who is to help will ask for, into a tar.gz: the version of this program, the status of the cluster and of
Raft as every node sees it, the last transactions, the doctor's findings, the metrics of the nodes named with --metrics, the
configuration files named with --node-config, and the ends of the log files named with --log.

In configuration, values of options that name keys, tokens, secrets or passwords are left out. Names of nodes, hosts, mount points
and, in transactions and logs, of files are in it: look at it before you hand it on. File contents are not, nor are goroutine
dumps: processes do not give them away on any port (send SIGQUIT to a process to have one in its log; it ends by that).

What cannot be had is written down in errors.txt and is no failure.`

const (
	logTailBytes   = 1 << 20
	metricsBytes   = 8 << 20
	transactionMax = 1000
)

// bundle is one invocation.
type bundle struct {
	metrics []string
	configs []string
	logs    []string
	dir     string
}

func (a *admin) debugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "Collect what is needed to find out what went wrong",
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.bundleCommand())
	return cmd
}

func (a *admin) bundleCommand() *cobra.Command {
	b := &bundle{}
	cmd := &cobra.Command{
		Use:     "bundle FILE",
		Short:   "Collect status, metrics, configuration and logs into a tar.gz",
		Long:    bundleLong,
		Example: "  dfs debug bundle dfs.tar.gz\n  dfs debug bundle - --log /var/log/dfs/node.log --node-config /etc/dfs/node.yaml > dfs.tar.gz",
		Args:    cli.Args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] == "-" {
				return a.writeBundle(cmd.Context(), b, cmd.OutOrStdout())
			}
			return a.bundleInto(cmd.Context(), b, args[0])
		},
	}
	cmd.Flags().StringSliceVar(&b.metrics, "metrics", []string{"127.0.0.1:7490"}, "metrics ports of nodes and mounts, comma-separated")
	cmd.Flags().StringSliceVar(&b.configs, "node-config", nil, "configuration files, comma-separated")
	cmd.Flags().StringSliceVar(&b.logs, "log", nil, "log files, comma-separated; the last MiB of each is taken")
	cmd.Flags().StringVar(&b.dir, "dir", config.DefaultDir(), "data directory of the node on this machine, for the doctor")
	return cmd
}

// bundleInto makes a file that is there wholly or not at all.
func (a *admin) bundleInto(ctx context.Context, b *bundle, path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(path))
		}
	}()
	return a.writeBundle(ctx, b, f)
}

func (a *admin) writeBundle(ctx context.Context, b *bundle, w io.Writer) error {
	zipped := gzip.NewWriter(w)
	p := &packer{tar: tar.NewWriter(zipped), now: time.Now()}
	p.add("version.txt", []byte(version.String()+"\n"))
	a.packCluster(ctx, b, p)
	a.packMetrics(ctx, b, p)
	for i, path := range b.configs {
		data, err := redactedConfig(path)
		p.addOr(fmt.Sprintf("config-%d.yaml", i), data, err)
	}
	for i, path := range b.logs {
		data, err := tail(path, logTailBytes)
		p.addOr(fmt.Sprintf("log-%d.txt", i), data, err)
	}
	p.add("errors.txt", []byte(strings.Join(p.problems, "\n")+"\n"))
	return errors.Join(p.err, p.tar.Close(), zipped.Close())
}

// packer fills a bundle. err is the first failure of writing to it; what could not be had is a problem.
type packer struct {
	tar      *tar.Writer
	now      time.Time
	problems []string
	err      error
}

func (p *packer) add(name string, data []byte) {
	if p.err != nil {
		return
	}
	if p.err = p.tar.WriteHeader(&tar.Header{Name: "dfs-bundle/" + name, Mode: 0o600, Size: int64(len(data)), ModTime: p.now}); p.err == nil {
		_, p.err = p.tar.Write(data)
	}
}

func (p *packer) addOr(name string, data []byte, err error) {
	if err != nil {
		p.problems = append(p.problems, fmt.Sprintf("%s: %v", name, err))
		return
	}
	p.add(name, data)
}

func (p *packer) addJSON(name string, v any, err error) {
	var data []byte
	if err == nil {
		data, err = json.MarshalIndent(v, "", "  ")
	}
	p.addOr(name, data, err)
}

// packCluster asks every member for its own view.
func (a *admin) packCluster(ctx context.Context, b *bundle, p *packer) {
	x, err := a.examine(ctx, b.dir)
	if err != nil {
		p.problems = append(p.problems, fmt.Sprintf("doctor: %v", err))
		return
	}
	findings := &strings.Builder{}
	for _, f := range diagnose(x) {
		findings.WriteString(f.String())
	}
	p.add("doctor.txt", []byte(findings.String()))
	p.addJSON("machine.json", x.Machine, nil)
	if x.Unreachable != nil {
		p.problems = append(p.problems, fmt.Sprintf("cluster: %v", x.Unreachable))
		return
	}
	err = a.connect(ctx, func(ctx context.Context, c *metarpc.Client) error {
		for i := range x.Nodes {
			n := &x.Nodes[i]
			p.addJSON(fmt.Sprintf("nodes/%s/status.json", n.ID), n.Status, n.Err)
			if n.Err == nil {
				packNode(ctx, c.Admin(n.Addr), n.ID, p)
			}
		}
		return nil
	})
	if err != nil {
		p.problems = append(p.problems, fmt.Sprintf("cluster: %v", err))
	}
}

// packNode asks one node more, for half of the time that is left: the others are still to be asked.
func packNode(ctx context.Context, node fs.Admin, id fs.NodeID, p *packer) {
	ctx, cancel := half(ctx)
	defer cancel()
	raft, err := node.Raft(ctx)
	p.addJSON(fmt.Sprintf("nodes/%s/raft.json", id), raft, err)
	txs, err := node.Transactions(ctx, transactionMax)
	p.addJSON(fmt.Sprintf("nodes/%s/transactions.json", id), txs, err)
}

func (a *admin) packMetrics(ctx context.Context, b *bundle, p *packer) {
	credentials, err := a.TLS.Open(pki.RoleAdmin, nil)
	if err != nil {
		p.problems = append(p.problems, fmt.Sprintf("metrics: %v", err))
		return
	}
	if credentials != nil {
		defer func() { _ = credentials.Close() }() // it only stops looking at the files
	}
	client := cluster.HTTPClient(a.Insecure, credentials)
	defer client.CloseIdleConnections()
	for i, addr := range b.metrics {
		data, err := a.scrapeEither(ctx, client, addr, credentials != nil)
		p.addOr(fmt.Sprintf("metrics-%d.txt", i), data, err)
	}
}

// scrapeEither knows that of a cluster with TLS the mounts' ports, which are for their own machine, speak none.
func (a *admin) scrapeEither(ctx context.Context, client *http.Client, addr string, secure bool) ([]byte, error) {
	if secure {
		data, err := a.scrape(ctx, client, "https://"+addr+"/metrics")
		if !cluster.OffersPlain(err) {
			return data, err
		}
	}
	return a.scrape(ctx, client, "http://"+addr+"/metrics")
}

func (a *admin) scrape(ctx context.Context, client *http.Client, url string) (data []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return io.ReadAll(io.LimitReader(resp.Body, metricsBytes))
}

// secretWords mark options whose values are nobody's business.
var secretWords = []string{"key", "token", "secret", "password", "credential"}

// redactedConfig is a configuration file without secrets. One that cannot be parsed, or says a thing in another place than
// where it is used, is not given away.
func redactedConfig(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s is no YAML and is left out", path)
	}
	if hasAlias(&doc) {
		return nil, fmt.Errorf("%s has YAML aliases, behind which a secret could stand, and is left out", path)
	}
	redact(&doc)
	out := &bytes.Buffer{}
	fmt.Fprintf(out, "# %s\n", path)
	if len(doc.Content) > 0 {
		if err := yaml.NewEncoder(out).Encode(&doc); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// redact takes the values of secret options away, at any depth, and all comments, which may hold others.
func redact(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && secret(n.Content[i-1].Value) {
			*c = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "REDACTED"}
			continue
		}
		redact(c)
	}
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}

func secret(option string) bool {
	for _, word := range secretWords {
		if strings.Contains(strings.ToLower(option), word) {
			return true
		}
	}
	return false
}

// tail is the end of a file, from a line's beginning.
func tail(path string, most int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, err
	}
	from := max(0, size-most)
	if data, err = io.ReadAll(io.NewSectionReader(f, from, size-from)); err != nil || from == 0 {
		return data, err
	}
	if i := bytes.IndexByte(data, '\n'); i >= 0 {
		data = data[i+1:]
	}
	return data, nil
}
