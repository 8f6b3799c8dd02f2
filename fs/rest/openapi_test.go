package rest

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// description is what the test reads of openapi.yaml.
type description struct {
	OpenAPI    string                          `yaml:"openapi"`
	Paths      map[string]map[string]yaml.Node `yaml:"paths"`
	Components struct {
		Parameters map[string]parameter `yaml:"parameters"`
		Schemas    map[string]struct {
			Properties map[string]struct {
				Enum []string `yaml:"enum"`
			} `yaml:"properties"`
		} `yaml:"schemas"`
	} `yaml:"components"`
}

type parameter struct {
	Ref  string `yaml:"$ref"`
	Name string `yaml:"name"`
	In   string `yaml:"in"`
}

type operation struct {
	Parameters []parameter          `yaml:"parameters"`
	Responses  map[string]yaml.Node `yaml:"responses"`
}

func describe(t *testing.T) *description {
	t.Helper()
	d := &description{}
	if err := yaml.Unmarshal(openAPI, d); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.OpenAPI, "3.") {
		t.Fatalf("version %q", d.OpenAPI)
	}
	return d
}

// query are the query parameters of an operation.
func (d *description) query(o *operation) (names []string) {
	for _, p := range o.Parameters {
		if ref, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
			p = d.Components.Parameters[ref]
		}
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

func TestOpenAPI_DescribesTheRoutesAndNothingElse(t *testing.T) {
	d := describe(t)
	statuses, params := map[string]map[int]bool{}, map[string]map[string]bool{}
	for _, rt := range routes {
		m := strings.ToLower(rt.method)
		if statuses[m] == nil {
			statuses[m], params[m] = map[int]bool{}, map[string]bool{}
		}
		for _, s := range slices.Concat(rt.statuses, commonStatuses) {
			statuses[m][s] = true
		}
		for _, p := range append(rt.params, rt.selector) {
			if p != "" {
				params[m][p] = true
			}
		}
	}
	described := []string{}
	for m, node := range d.Paths[Prefix+"/{path}"] {
		if m == "parameters" {
			continue
		}
		described = append(described, m)
		var o operation
		if err := node.Decode(&o); err != nil {
			t.Fatal(err)
		}
		var got []int
		for s := range o.Responses {
			n, err := strconv.Atoi(s)
			if err != nil {
				t.Errorf("%s: response %q", m, s)
			}
			got = append(got, n)
		}
		slices.Sort(got)
		if want := slices.Sorted(maps.Keys(statuses[m])); !slices.Equal(got, want) {
			t.Errorf("%s: described %v, served %v", m, got, want)
		}
		if got, want := d.query(&o), slices.Sorted(maps.Keys(params[m])); !slices.Equal(got, want) {
			t.Errorf("%s: parameters described %q, served %q", m, got, want)
		}
	}
	slices.Sort(described)
	if want := slices.Sorted(maps.Keys(statuses)); !slices.Equal(described, want) {
		t.Errorf("methods described %q, served %q", described, want)
	}
	if len(d.Paths) != 1 {
		t.Errorf("%d paths are described", len(d.Paths))
	}
}

// codeInSource finds the codes that the package's source gives to errors.
var codeInSource = regexp.MustCompile(`(?:newError\([^,]+, |\{fs\.Err\w+, \d+, )"([a-z_]+)"`)

func TestOpenAPI_ListsTheCodes(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]bool{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range codeInSource.FindAllSubmatch(text, -1) {
			codes[string(m[1])] = true
		}
	}
	delete(codes, "not_modified") // has no body
	got := describe(t).Components.Schemas["Error"].Properties["code"].Enum
	if want := slices.Sorted(maps.Keys(codes)); !slices.Equal(got, want) {
		t.Errorf("described %q\nin the source %q", got, want)
	}
}

func TestOpenAPI_IsServed(t *testing.T) {
	w := newWorld(t, Config{})
	if a := w.ask("GET", openAPIPath, nil).is(t, 200, ""); string(a.body) != string(openAPI) {
		t.Error("something else is served")
	}
	if a := w.ask("PUT", openAPIPath, nil); a.StatusCode != 405 {
		t.Errorf("PUT: %d", a.StatusCode)
	}
}
