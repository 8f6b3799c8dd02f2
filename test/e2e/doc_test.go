// Package e2e tests what users are promised, with the programs that they run: real processes, real mounts, ordinary
// tools, and SIGKILL.
package e2e

import (
	"os"
	"testing"

	"dfs/test/harness"
)

func TestMain(m *testing.M) { os.Exit(harness.Main(m)) }
