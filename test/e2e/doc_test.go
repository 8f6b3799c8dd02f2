// Package e2e tests what users are promised, with the programs that they run: real processes, real mounts, ordinary
// tools, and SIGKILL.
package e2e

import (
	"os"
	"testing"

	"dfs/test/harness"
	"dfs/test/torture"
)

func TestMain(m *testing.M) {
	if env := os.Getenv(torture.WorkerEnv); env != "" {
		os.Exit(torture.WorkerMain(env))
	}
	if os.Getenv(staleEnv) != "" {
		os.Exit(staleMain(os.Args[1:]))
	}
	if os.Getenv(agentEnv) != "" {
		os.Exit(agentMain())
	}
	os.Exit(harness.Main(m))
}
