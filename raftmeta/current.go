package raftmeta

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dfs/raftmeta/command"
)

// current is the file CURRENT beside the state databases: which of them counts, and whether it may be trusted.
type current struct {
	Format int
	Name   string // of the database's directory
	Boot   string // the kernel's boot id when it was opened
	Phase  phase
}

// phase is what was last known to happen to the database.
type phase string

const (
	phaseOpen   phase = "open"   // in use; trusted if the kernel has not been booted since
	phaseClosed phase = "closed" // closed in order, synced
	phaseTorn   phase = "torn"   // in the middle of one large entry; never trusted

	phaseDamaged phase = "damaged" // what was read did not match its checksum, or Badger has failed; never trusted
)

const (
	currentFile   = "CURRENT"
	currentFormat = 1
)

// trusted says whether the database is what it was when it was last used. See DESIGN.md, "The state is a cache".
func (c *current) trusted(boot string) bool {
	return c.Phase == phaseClosed || c.Phase == phaseOpen && c.Boot == boot && boot != ""
}

// readCurrent returns nil if there is none, or none that can be read: then the state is rebuilt.
func readCurrent(dir string) (*current, error) {
	b, err := os.ReadFile(filepath.Join(dir, currentFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	c := &current{}
	if json.Unmarshal(b, c) != nil || !strings.HasPrefix(c.Name, dbPrefix) || filepath.Base(c.Name) != c.Name {
		return nil, nil
	}
	if c.Format > currentFormat {
		return nil, fmt.Errorf("the state in %s has format %d, this build knows %d: %w", dir, c.Format, currentFormat, command.ErrUnknown)
	}
	return c, nil
}

func (c *current) write(dir string) error {
	c.Format = currentFormat
	b, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := writeFileAtomic(filepath.Join(dir, currentFile), b); err != nil {
		return fmt.Errorf("name the current state: %w", err)
	}
	return nil
}

// bootID is the kernel's; it changes whenever the machine is booted. Empty if the kernel has none.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "" // then nothing but a clean close is trusted
	}
	return strings.TrimSpace(string(b))
}
