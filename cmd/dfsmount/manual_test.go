package main

import (
	"testing"

	"dfs/cmd/internal/cli/clitest"
)

func TestManuals_KnowEveryFlag(t *testing.T) {
	clitest.CheckFiles(t, command(nil, nil), "8")
	clitest.CheckFiles(t, (&helper{}).command(nil), "8")
}
