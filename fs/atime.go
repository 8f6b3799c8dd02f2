package fs

import "time"

// atimeAge is how old the time of the last access gets before a read renews it though nothing has been changed.
const atimeAge = Time(24 * time.Hour)

// StaleAtime reports whether a read of the content at t is to be recorded: by the rule of relatime (mount(8)), if the last
// access is not later than the last change, or a day old.
func (a *Attr) StaleAtime(t Time) bool {
	return a.Atime <= a.Mtime || a.Atime <= a.Ctime || a.Atime <= t-atimeAge
}
