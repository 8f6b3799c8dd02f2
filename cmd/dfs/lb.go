package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"dfs/cluster/placement"
	"dfs/cmd/internal/cli"
	"dfs/cmd/internal/config"
)

func (a *admin) lbCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lb",
		Short: "Try out load balancing policies",
		Args:  cli.Args(cobra.NoArgs),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(simulateCommand())
	return cmd
}

// simulation is what `dfs lb simulate` can be told.
type simulation struct {
	policy string
	file   string
	picks  int
	seed   uint64
	asJSON bool
}

func simulateCommand() *cobra.Command {
	s := &simulation{}
	cmd := &cobra.Command{
		Use:     "simulate",
		Short:   "Print the share of blobs that each node would get under a policy",
		Long:    lbLong,
		Example: "  dfs lb simulate --policy weighted --nodes nodes.json\n  dfs lb simulate --policy p2c --nodes - < nodes.json",
		Args:    cli.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return s.run(cmd.InOrStdin(), cmd.OutOrStdout()) },
	}
	cmd.Flags().StringVar(&s.policy, "policy", "weighted", "the policy: "+strings.Join(placement.Names(), ", "))
	cmd.Flags().StringVar(&s.file, "nodes", "", "file of nodes, - for standard input")
	cmd.Flags().IntVar(&s.picks, "picks", 100000, "how many blobs to place")
	cmd.Flags().Uint64Var(&s.seed, "seed", 1, "source of chance: the same seed gives the same shares")
	cmd.Flags().BoolVar(&s.asJSON, "json", false, "print JSON for programs")
	return cmd
}

func (s *simulation) run(stdin io.Reader, stdout io.Writer) error {
	policy, err := placement.Parse(s.policy)
	switch {
	case err != nil:
		return fmt.Errorf("%w: --policy: %v", config.ErrUsage, err)
	case s.file == "":
		return fmt.Errorf("%w: --nodes is missing: the file with the nodes", config.ErrUsage)
	case s.picks < 1 || s.picks > 100_000_000:
		return fmt.Errorf("%w: --picks %d: want 1 to 100000000", config.ErrUsage, s.picks)
	}
	nodes, err := s.read(stdin)
	if err != nil {
		return err
	}
	shares, err := placement.Shares(policy, nodes, s.picks, s.seed)
	if err != nil {
		return err
	}
	if s.asJSON {
		return writeJSON(stdout, shares)
	}
	t := tabwriter.NewWriter(stdout, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "NODE\tPICKS\tSHARE\t")
	for _, share := range shares {
		fmt.Fprintf(t, "%s\t%d\t%.2f%%\t\n", share.ID, share.Picks, 100*share.Share)
	}
	return t.Flush()
}

func (s *simulation) read(stdin io.Reader) ([]placement.Candidate, error) {
	if s.file == "-" {
		return placement.ParseNodes(stdin)
	}
	f, err := os.Open(s.file)
	if err != nil {
		return nil, fmt.Errorf("nodes: %w", err)
	}
	defer f.Close() // read only
	nodes, err := placement.ParseNodes(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.file, err)
	}
	return nodes, nil
}
