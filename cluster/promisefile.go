package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"dfs/fs"
)

// promiseName is the file in a node's data directory. It is text, so that whoever must decide about a stuck start can
// read it.
const promiseName = "bootstrap-promise.json"

// promiseFile keeps the one promise of a node. It is written to a side file, synced, renamed and the directory synced:
// it is there complete or not at all.
type promiseFile struct {
	dir    string
	faults fs.Faults // "promise.write", "promise.rename", "promise.synced": before each step, and at the end
}

type promiseRecord struct {
	Version  int      `json:"version"`
	Proposal Proposal `json:"proposal"`
	Sum      uint32   `json:"crc32c"` // of Proposal's encoding
}

const promiseVersion = 1

func (f promiseFile) path() string { return filepath.Join(f.dir, promiseName) }

// load returns nil if nothing has been promised. Anything unreadable is an error: it may have been a promise.
func (f promiseFile) load() (*Proposal, error) {
	data, err := os.ReadFile(f.path())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read promise: %w", err)
	}
	rec, err := decodePromise(data)
	if err != nil {
		return nil, fmt.Errorf("%s is damaged; if no cluster was formed with this node yet, stop all its founders, delete the file on each and start again: %w", f.path(), err)
	}
	return rec, nil
}

func decodePromise(data []byte) (*Proposal, error) {
	var rec promiseRecord
	if err := json.Unmarshal(data, &rec); err != nil {
		return nil, fmt.Errorf("%w: %w", err, fs.ErrCorrupt)
	}
	if rec.Version != promiseVersion {
		return nil, fmt.Errorf("version %d, this build knows %d: %w", rec.Version, promiseVersion, fs.ErrNotSupported)
	}
	sum, err := promiseSum(&rec.Proposal)
	if err == nil && sum != rec.Sum {
		err = fs.ErrCorrupt
	}
	if err == nil {
		err = rec.Proposal.validate()
	}
	if err != nil {
		return nil, err
	}
	return &rec.Proposal, nil
}

// save makes p durable. After an error it is unknown whether p is on disk: the node must not promise anything else.
func (f promiseFile) save(p *Proposal) error {
	sum, err := promiseSum(p)
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(promiseRecord{promiseVersion, *p, sum}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode promise: %w", err)
	}
	if err := f.faults.At("promise.write"); err != nil {
		return err
	}
	side := f.path() + ".tmp"
	if err := writeSynced(side, append(data, '\n')); err != nil {
		return fmt.Errorf("write promise: %w", err)
	}
	if err := f.faults.At("promise.rename"); err != nil {
		return err
	}
	if err := os.Rename(side, f.path()); err != nil {
		return fmt.Errorf("write promise: %w", err)
	}
	if err := syncDir(f.dir); err != nil {
		return fmt.Errorf("write promise: %w", err)
	}
	return f.faults.At("promise.synced")
}

func promiseSum(p *Proposal) (uint32, error) {
	data, err := json.Marshal(p)
	if err != nil {
		return 0, fmt.Errorf("encode promise: %w", err)
	}
	return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)), nil
}

func writeSynced(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
