package arch

import (
	"fmt"
	"go/ast"
	"slices"
	"strings"
)

// Rule is one thing that holds in the whole tree.
type Rule struct {
	Name  string
	Why   string
	Check func(*Package) []string // the violations in one package
}

// Rules are all of them.
var Rules = []Rule{
	{"imports lead down", "a floor can be understood, tested and replaced without those above it", checkFloors},
	{"fs imports the standard library only", "the words must be usable everywhere, and change for no library's sake", only("fs", isStandard)},
	{"the wire codec imports fs and the standard library only", "what lies on disks for years depends on nobody",
		only("fs/wire", func(imp string) bool { return isStandard(imp) || imp == module+"fs" })},
	{"the state machine is pure", "every replica must come to the same answer: no clock, no chance, no goroutines, no I/O",
		never([]string{"raftmeta/state", "raftmeta/command"}, "time", "math/rand", "math/rand/v2", "crypto/rand", "os", "net", "sync", "context", "syscall")},
	{"metapb is seen by its codec only", "generated types that leak become the model", seenBy("raftmeta/metapb", "raftmeta/metarpc")},
	{"blobpb is seen by its codec only", "generated types that leak become the model", seenBy("blob/blobpb", "blob/blobrpc")},
	{"clusterpb is seen by cluster only", "generated types that leak become the model", seenBy("cluster/clusterpb", "cluster")},
	{"hashicorp/raft is behind raftmeta", "one package knows how consensus is made; the wiring names its address type",
		libraryIn("github.com/hashicorp/raft", "raftmeta", "cmd/dfsnode/node")},
	{"memberlist is behind cluster", "one package knows how gossip is made", libraryIn("github.com/hashicorp/memberlist", "cluster")},
	{"Badger is behind the stores", "its traps are known in a few places, not everywhere", libraryIn("github.com/dgraph-io/badger", "blob/badgerstore", "raftmeta", "fs/tables")},
	{"go-fuse is behind fusefs", "errno and kernel requests end at the edge", libraryIn("github.com/hanwen/go-fuse", "fs/fusefs")},
	{"nobody imports test/", "what ships does not depend on test support", checkTestImports},
	{"sockets are made in cluster", "TLS is switched on in one place", checkSockets},
	{"no init functions", "what happens at start is read in main", checkInit},
	{"no grab-bag packages", "a package is named for its idea", checkNames},
}

func isStandard(imp string) bool {
	first, _, _ := strings.Cut(imp, "/")
	return !strings.Contains(first, ".") && first != strings.TrimSuffix(module, "/")
}

func only(pkg string, allowed func(string) bool) func(*Package) []string {
	return func(p *Package) []string {
		var bad []string
		for _, imp := range p.Imports() {
			if p.Path == pkg && !allowed(imp) {
				bad = append(bad, fmt.Sprintf("%s imports %s", pkg, imp))
			}
		}
		return bad
	}
}

func never(pkgs []string, forbidden ...string) func(*Package) []string {
	return func(p *Package) []string {
		var bad []string
		for _, imp := range p.Imports() {
			if slices.Contains(pkgs, p.Path) && slices.Contains(forbidden, imp) {
				bad = append(bad, fmt.Sprintf("%s imports %s", p.Path, imp))
			}
		}
		return bad
	}
}

func seenBy(pkg string, allowed ...string) func(*Package) []string {
	return func(p *Package) []string {
		if slices.Contains(p.Ours(), pkg) && !slices.Contains(allowed, p.Path) && floorOf(p.Path) != floorTest {
			return []string{fmt.Sprintf("%s imports %s", p.Path, pkg)}
		}
		return nil
	}
}

// libraryIn keeps a library, with its subpackages and major versions, to some packages and the tests.
func libraryIn(library string, allowed ...string) func(*Package) []string {
	return func(p *Package) []string {
		var bad []string
		for _, imp := range p.Imports() {
			within := imp == library || strings.HasPrefix(imp, library+"/") || strings.HasPrefix(imp, library+"-")
			if within && !slices.Contains(allowed, p.Path) && floorOf(p.Path) != floorTest {
				bad = append(bad, fmt.Sprintf("%s imports %s", p.Path, imp))
			}
		}
		return bad
	}
}

func checkTestImports(p *Package) []string {
	var bad []string
	for _, imp := range p.Ours() {
		if strings.HasPrefix(imp, "test/") && floorOf(p.Path) != floorTest {
			bad = append(bad, fmt.Sprintf("%s imports %s", p.Path, imp))
		}
	}
	return bad
}

// checkSockets finds the functions and types that make connections.
func checkSockets(p *Package) []string {
	if p.Path == "cluster" || floorOf(p.Path) == floorTest {
		return nil
	}
	makers := map[string][]string{
		"net":  {"Dial", "DialTimeout", "DialTCP", "DialUDP", "Dialer", "Listen", "ListenTCP", "ListenUDP", "ListenPacket", "ListenConfig"},
		"http": {"ListenAndServe", "ListenAndServeTLS", "Get", "Post", "Head", "DefaultClient"},
		"grpc": {"Dial", "DialContext", "NewClient"},
		"tls":  {"Dial", "Listen"},
	}
	return selectors(p, func(pkg, name string) bool { return slices.Contains(makers[pkg], name) })
}

// selectors finds uses of pkg.name.
func selectors(p *Package, match func(pkg, name string) bool) []string {
	var bad []string
	for _, f := range p.Files {
		ast.Inspect(f.Syntax, func(n ast.Node) bool {
			s, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := s.X.(*ast.Ident); ok && match(x.Name, s.Sel.Name) {
				bad = append(bad, fmt.Sprintf("%s uses %s.%s", f.Set.Position(s.Pos()), x.Name, s.Sel.Name))
			}
			return true
		})
	}
	return bad
}

func checkInit(p *Package) []string {
	if strings.HasSuffix(p.Path, "pb") { // generated
		return nil
	}
	var bad []string
	for _, f := range p.Files {
		for _, d := range f.Syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				bad = append(bad, fmt.Sprintf("%s is an init function", f.Set.Position(fn.Pos())))
			}
		}
	}
	return bad
}

func checkNames(p *Package) []string {
	for part := range strings.SplitSeq(p.Path, "/") {
		if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "misc", "shared"}, part) {
			return []string{fmt.Sprintf("%s has %q in its path", p.Path, part)}
		}
	}
	return nil
}
