package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dfs/fs"
)

func open(t *testing.T, path, name string) (*directory, error) {
	t.Helper()
	d, err := openDirectory(path, name)
	if err == nil {
		t.Cleanup(func() { _ = d.Close() }) // some tests close it themselves
	}
	return d, err
}

func TestDirectory_KeepsItsName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "er")
	first, err := open(t, path, "")
	if err != nil {
		t.Fatal(err)
	}
	if !validName.MatchString(string(first.id)) {
		t.Errorf("the chosen name %q is not valid", first.id)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := open(t, path, string(first.id))
	if err != nil || second.id != first.id {
		t.Errorf("opened again: %v, %v", second, err)
	}
}

func TestDirectoriesOfOneHost_GetDifferentNames(t *testing.T) {
	a, err := open(t, t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	b, err := open(t, t.TempDir(), "")
	if err != nil || a.id == b.id {
		t.Errorf("%s and %s, %v", a.id, b.id, err)
	}
}

func TestLockedDirectory_IsBusy(t *testing.T) {
	path := t.TempDir()
	if _, err := open(t, path, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, path, ""); !errors.Is(err, fs.ErrBusy) || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}

func TestUnfitDirectory_IsRefusedAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct {
		file, text, as string
		want           error
		says           string
	}{
		"foreign":       {"precious", "x", "", fs.ErrExist, "precious"},
		"other node's":  {nodeName, "dfs-node 1\na\n", "b", fs.ErrInvalid, "belongs to node a"},
		"newer format":  {nodeName, "dfs-node 2\na\n", "", fs.ErrNotSupported, "dfs-node 2"},
		"damaged name":  {nodeName, "dfs-node 1\n../a\n", "", fs.ErrCorrupt, nodeName},
		"empty":         {nodeName, "", "", fs.ErrNotSupported, "format"},
		"rubbish asked": {"lost+found", "", "a/b", fs.ErrInvalid, "a/b"},
	} {
		t.Run(name, func(t *testing.T) {
			path := t.TempDir()
			if err := os.WriteFile(filepath.Join(path, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := open(t, path, c.as)
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %v that says %q", err, c.want, c.says)
			}
			if got, err := os.ReadFile(filepath.Join(path, c.file)); err != nil || string(got) != c.text {
				t.Errorf("the file was changed: %q, %v", got, err)
			}
			if _, err := os.Stat(filepath.Join(path, lockName)); name == "foreign" && err == nil {
				t.Error("a foreign directory was written to")
			}
		})
	}
}

func TestCrashWhileTheNameWasWritten_LeavesAnEmptyDirectory(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, nodeName+".123"), []byte("dfs-n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := open(t, path, "a"); err != nil || d.id != "a" {
		t.Errorf("got %v, %v", d, err)
	}
}

func TestUnusablePath_SaysWhichAndWhatToDo(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, filepath.Join(file, "x")} {
		if _, err := open(t, path, ""); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "--dir") {
			t.Errorf("%s: got %v", path, err)
		}
	}
}
