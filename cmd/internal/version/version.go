// Package version says which build this is.
package version

import "runtime/debug"

// version is set by the linker (-X dfs/cmd/internal/version.version=…) and by nobody else.
var version string

// String is the version that the build was given, else the revision that the Go tool stamped, else "devel".
func String() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "devel-" + s.Value[:12]
		}
	}
	return "devel"
}
