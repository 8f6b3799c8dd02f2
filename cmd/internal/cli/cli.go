// Package cli is what the three commands do alike: run a cobra command, say what went wrong, choose the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"dfs/cmd/internal/config"
)

// The exit codes.
const (
	ExitOK     = 0
	ExitFailed = 1
	ExitUsage  = 2
)

// Main runs cmd until it is done. SIGTERM and SIGINT cancel its context; a second one ends the process the hard way.
func Main(cmd *cobra.Command, args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		<-ctx.Done()
		stop() // from here on the default action is back
	}()
	if len(args) == 2 && args[0] == filesFlag {
		if err := writeFiles(cmd, args[1]); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", cmd.Name(), err)
			return ExitFailed
		}
		return ExitOK
	}
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	cmd.SilenceErrors = true
	cmd.SilenceUsage = true
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return fmt.Errorf("%w: %v", config.ErrUsage, err) })
	ran, err := cmd.ExecuteContextC(ctx)
	if err == nil {
		return ExitOK
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.Name(), err)
	if errors.Is(err, config.ErrUsage) {
		fmt.Fprintf(stderr, "Try '%s --help'.\n", ran.CommandPath())
		return ExitUsage
	}
	return ExitFailed
}

// NoArgs is for commands without subcommands; cobra's own calls an argument an unknown command.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%w: %q: %s takes no arguments", config.ErrUsage, args[0], cmd.CommandPath())
	}
	return nil
}

// NoArgs and the like of cobra do not say ErrUsage; Args wraps them so that they do.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return fmt.Errorf("%w: %v", config.ErrUsage, err)
		}
		return nil
	}
}
