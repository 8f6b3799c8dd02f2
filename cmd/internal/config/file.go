package config

import (
	"fmt"
	"os"
	"strings"

	"go.yaml.in/yaml/v3"
)

type entry struct{ name, value string }

// readFile reads a flat YAML mapping of option names to scalars or lists of scalars, in the file's order.
func readFile(path string) ([]entry, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w: configuration file: %v", ErrUsage, err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%w: %s: %v", ErrUsage, path, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil
	}
	m := doc.Content[0]
	if m.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%w: %s: want lines of \"option: value\"", ErrUsage, path)
	}
	seen := map[string]bool{}
	var keys []entry
	for i := 0; i+1 < len(m.Content); i += 2 {
		k, v := m.Content[i], m.Content[i+1]
		value, ok := scalar(v)
		if !ok || k.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%w: %s, line %d: the value of %q must be a scalar or a list of scalars", ErrUsage, path, k.Line, k.Value)
		}
		if seen[k.Value] {
			return nil, fmt.Errorf("%w: %s, line %d: %q is set twice", ErrUsage, path, k.Line, k.Value)
		}
		seen[k.Value] = true
		keys = append(keys, entry{k.Value, value})
	}
	return keys, nil
}

// scalar is a value as a flag takes it; a list becomes a comma-separated one.
func scalar(n *yaml.Node) (string, bool) {
	switch n.Kind {
	case yaml.ScalarNode:
		return n.Value, true
	case yaml.SequenceNode:
		var parts []string
		for _, c := range n.Content {
			if c.Kind != yaml.ScalarNode {
				return "", false
			}
			parts = append(parts, c.Value)
		}
		return strings.Join(parts, ","), true
	}
	return "", false
}
