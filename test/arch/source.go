package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// module is the prefix of our own import paths.
const module = "dfs/"

// Package is what the rules see of a package: its own files, without the tests.
type Package struct {
	Path  string // without the module's name: "fs/vfs"
	Files []File
}

// File is one parsed file.
type File struct {
	Name    string
	Imports []string // as written
	Syntax  *ast.File
	Set     *token.FileSet
}

// Ours are the package's imports from this module, without the module's name.
func (p *Package) Ours() []string {
	var all []string
	for _, imp := range p.Imports() {
		if own, ok := strings.CutPrefix(imp, module); ok {
			all = append(all, own)
		}
	}
	return all
}

// Imports are all imports of the package, sorted.
func (p *Package) Imports() []string {
	var all []string
	for _, f := range p.Files {
		all = append(all, f.Imports...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Load parses every package below the root of fsys.
func Load(fsys fs.FS) ([]Package, error) {
	byPath := map[string]*Package{}
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if skipDir(name) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || path.Dir(name) == "." {
			return nil
		}
		f, err := parse(fsys, name)
		if err != nil {
			return err
		}
		p := byPath[path.Dir(name)]
		if p == nil {
			p = &Package{Path: path.Dir(name)}
			byPath[p.Path] = p
		}
		p.Files = append(p.Files, f)
		return nil
	})
	var all []Package
	for _, p := range byPath {
		all = append(all, *p)
	}
	slices.SortFunc(all, func(a, b Package) int { return strings.Compare(a.Path, b.Path) })
	return all, err
}

// skipDir passes over what is no source of ours; "mnt" is where the demo mounts, and walking it would be a test of dfs.
func skipDir(name string) bool {
	base := path.Base(name)
	return name != "." && (strings.HasPrefix(base, ".") || base == "testdata") || name == "mnt" || name == "bin" || name == "dist"
}

func parse(fsys fs.FS, name string) (File, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return File{}, err
	}
	set := token.NewFileSet()
	syntax, err := parser.ParseFile(set, name, data, parser.SkipObjectResolution)
	if err != nil {
		return File{}, fmt.Errorf("parse: %w", err)
	}
	f := File{Name: name, Syntax: syntax, Set: set}
	for _, spec := range syntax.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return File{}, fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		f.Imports = append(f.Imports, imp)
	}
	return f, nil
}
