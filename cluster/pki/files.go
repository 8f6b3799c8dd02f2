package pki

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dfs/fs"
)

// fileMax bounds what is read as a certificate or a key.
const fileMax = 1 << 20

const (
	secret os.FileMode = 0o600
	public os.FileMode = 0o644
)

type file struct {
	name string
	data []byte
	mode os.FileMode
}

// writeNew makes files in dir, all or none; one that is there already is fs.ErrExist.
func writeNew(dir string, files []file) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	var made []string
	defer func() {
		for _, path := range made {
			if err != nil {
				err = errors.Join(err, os.Remove(path))
			}
		}
	}()
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		out, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, f.mode)
		if errors.Is(err, os.ErrExist) {
			return fmt.Errorf("%s is there already and is left alone: %w", path, fs.ErrExist)
		}
		if err != nil {
			return err
		}
		made = append(made, path)
		_, err = out.Write(f.data)
		if err := errors.Join(err, out.Chmod(f.mode), out.Sync(), out.Close()); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, fileMax+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if len(data) > fileMax {
		return nil, fmt.Errorf("%s is longer than %d bytes: %w", path, fileMax, fs.ErrTooLarge)
	}
	return data, nil
}

// replaceFile makes a file that is there wholly or not at all, also after a power cut, in the place of any that is there.
func replaceFile(path string, data []byte, mode os.FileMode) error {
	out, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	err = errors.Join(err, out.Chmod(mode), out.Sync(), out.Close())
	if err == nil {
		err = os.Rename(out.Name(), path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", path, err), os.Remove(out.Name()))
	}
	return syncDir(path)
}

// syncDir makes what was renamed to a path last.
func syncDir(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Files says where a machine's certificate lies.
type Files struct{ CA, Cert, Key string }

// nextKey is the key of a certificate that is about to be replaced; see DESIGN.md of package cluster.
func (f Files) nextKey() string { return f.Key + ".next" }

// FilesIn finds the files in a directory as Issue makes it: the one certificate with the wanted role.
func FilesIn(dir string, want Role) (Files, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*"+certSuffix))
	if err != nil {
		return Files{}, err
	}
	var fit []string
	for _, path := range paths {
		if filepath.Base(path) == CACertFile {
			continue
		}
		if cert, err := readCert(path); err == nil {
			if role, err := RoleOf(cert); err == nil && role == want {
				fit = append(fit, path)
			}
		}
	}
	slices.Sort(fit)
	switch len(fit) {
	case 1:
		return Files{CA: filepath.Join(dir, CACertFile), Cert: fit[0], Key: strings.TrimSuffix(fit[0], certSuffix) + keySuffix}, nil
	case 0:
		return Files{}, fmt.Errorf("there is no certificate for the role %q in %s, make one with \"dfs ca issue --role %s\": %w", want, dir, want, fs.ErrNotExist)
	}
	return Files{}, fmt.Errorf("there are several certificates for the role %q in %s (%s), choose one with --tls-cert and --tls-key: %w",
		want, dir, strings.Join(fit, ", "), fs.ErrInvalid)
}

// GossipKeyText reads a gossip key's file as it is.
func GossipKeyText(path string) ([]byte, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("gossip key: %w", err)
	}
	return data, nil
}

// GossipKey reads a gossip key: 64 hexadecimal digits.
func GossipKey(path string) ([]byte, error) {
	data, err := GossipKeyText(path)
	if err != nil {
		return nil, err
	}
	key, err := parseGossipKey(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return key, nil
}

func checkGossipKey(data []byte) error {
	_, err := parseGossipKey(data)
	return err
}

func parseGossipKey(data []byte) ([]byte, error) {
	key, err := hex.DecodeString(strings.TrimSpace(string(data)))
	if err != nil || len(key) != gossipKeyBytes {
		return nil, fmt.Errorf("this is no gossip key: want %d hexadecimal digits, as \"dfs ca init\" makes them: %w", 2*gossipKeyBytes, fs.ErrInvalid)
	}
	return key, nil
}
