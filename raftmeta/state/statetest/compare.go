package statetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// CompareAnswers finds where an answer of the state machine differs from the model's. Versions are not compared: the
// model has none.
func CompareAnswers(got, want state.Answer) error {
	got.Tx = withoutVersions(got.Tx)
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("answered\n%+v %+v, the model\n%+v %+v", got, got.Tx, want, want.Tx)
	}
	return nil
}

func withoutVersions(r *fs.TxResult) *fs.TxResult {
	if r == nil {
		return nil
	}
	c := *r
	c.Results = slices.Clone(r.Results)
	for n := range c.Results {
		p := &c.Results[n]
		p.Attr.Version, p.Parent.Version, p.Replaced.Version = 0, 0, 0
	}
	return &c
}

// Compare finds where a state differs from the model: tree, attributes, contents, blobs, sessions and nodes.
func Compare(r state.Reader, m *Model) error {
	v := state.NewView(r)
	return errors.Join(m.compareInodes(v), m.compareBlobs(v), m.compareCluster(v), m.compareQuotas(v))
}

func (m *Model) compareInodes(v state.View) error {
	stats, err := v.Stats()
	if err != nil {
		return err
	}
	if stats.Inodes != uint64(len(m.inodes)) {
		return fmt.Errorf("there are %d inodes, in the model %d", stats.Inodes, len(m.inodes))
	}
	var orphans []fs.Ino
	for _, ino := range slices.Sorted(maps.Keys(m.inodes)) {
		if m.orphan(ino) {
			orphans = append(orphans, ino)
		}
		if err := m.compareInode(v, m.inodes[ino]); err != nil {
			return fmt.Errorf("inode %d: %w", ino, err)
		}
	}
	got, err := v.Orphans(0, math.MaxInt)
	if err != nil || !slices.Equal(got, orphans) {
		return fmt.Errorf("the orphans are %v (%w), in the model %v", got, err, orphans)
	}
	if m.inodes[fs.RootIno] == nil { // no Init yet
		return nil
	}
	return m.compareWithin(v)
}

func (m *Model) compareInode(v state.View, f *file) error {
	ino := f.attr.Ino
	got, err := v.Getattr(ino)
	if err != nil {
		return err
	}
	got.Version = 0
	if want := m.attr(f); got != want {
		return fmt.Errorf("attributes\n%+v, in the model\n%+v", got, want)
	}
	if homes, err := v.Homes(ino); err != nil || !slices.Equal(homes, m.homes(ino)) {
		return fmt.Errorf("it has names in %v (%w), in the model in %v", homes, err, m.homes(ino))
	}
	if err := compareXattrs(v, f); err != nil {
		return err
	}
	switch f.attr.Type {
	case fs.TypeDir:
		return m.compareDir(v, f)
	case fs.TypeRegular:
		return compareData(v, f)
	case fs.TypeSymlink:
		target, err := v.Readlink(ino)
		if err != nil || target != f.target {
			return fmt.Errorf("target %q (%w), in the model %q", target, err, f.target)
		}
	}
	return nil
}

// compareWithin asks about what lies beneath a few directories.
func (m *Model) compareWithin(v state.View) error {
	for _, name := range names[:2] {
		top, ok := m.inodes[fs.RootIno].children[name]
		if !ok {
			continue
		}
		beneath := m.beneath(top)
		for ino := range m.inodes {
			if in, err := v.Within(ino, top); err != nil || in != beneath[ino] {
				return fmt.Errorf("inode %d lies within %d: %v (%w), in the model %v", ino, top, in, err, beneath[ino])
			}
		}
	}
	return nil
}

func (m *Model) compareDir(v state.View, f *file) error {
	listing, err := v.Readdir(f.attr.Ino, 0, fs.ReaddirMax)
	if err != nil {
		return err
	}
	list := listing.Entries
	if n := len(list); listing.End < fs.FirstCookie || n > 0 && list[n-1].Cookie >= listing.End {
		return fmt.Errorf("entries %v, none of them to come before %d", list, listing.End)
	}
	got := map[string]fs.Ino{}
	for _, d := range list {
		got[d.Name] = d.Attr.Ino
		attr, err := v.Lookup(f.attr.Ino, d.Name)
		if f.attr.Nlink == 0 && err != nil || attr != d.Attr {
			return fmt.Errorf("look up %q: %+v (%w), listed as %+v", d.Name, attr, err, d.Attr)
		}
	}
	if len(got) != len(list) || !maps.Equal(got, f.children) {
		return fmt.Errorf("entries %v, in the model %v", list, f.children)
	}
	return nil
}

func compareXattrs(v state.View, f *file) error {
	list, err := v.Listxattr(f.attr.Ino)
	if err != nil {
		return err
	}
	if want := slices.Sorted(maps.Keys(f.xattrs)); !slices.Equal(list, want) {
		return fmt.Errorf("xattrs %q, in the model %q", list, want)
	}
	for _, name := range list {
		if value, err := v.Getxattr(f.attr.Ino, name); err != nil || string(value) != f.xattrs[name] {
			return fmt.Errorf("xattr %q: %q (%w), in the model %q", name, value, err, f.xattrs[name])
		}
	}
	return nil
}

func compareData(v state.View, f *file) error {
	got, err := ReadFile(v, f.attr.Ino)
	if err != nil {
		return err
	}
	want := make([]byte, len(f.data))
	for n, c := range f.data {
		want[n] = c.value
	}
	if string(got) != string(want) {
		return fmt.Errorf("content\n%x, in the model\n%x", got, want)
	}
	return nil
}

// ReadFile reads a whole file of the model's world, in which blobs hold what BlobByte says.
func ReadFile(v state.View, ino fs.Ino) ([]byte, error) {
	l, err := v.Layout(ino, 0, math.MaxUint64)
	if err != nil {
		return nil, err
	}
	data := make([]byte, l.Attr.Size)
	for _, e := range l.Extents {
		for n := range e.Len {
			if e.Inline() {
				data[e.Off+n] = e.Data[n]
			} else {
				data[e.Off+n] = BlobByte(e.Blob, e.BlobOff+n)
			}
		}
	}
	return data, nil
}
