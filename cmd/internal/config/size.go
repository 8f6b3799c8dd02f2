package config

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
)

// Bytes is a flag value for sizes: "512MiB", "10GB", "1048576".
type Bytes uint64

func (b *Bytes) String() string {
	if *b == 0 {
		return "0"
	}
	return strings.ReplaceAll(humanize.IBytes(uint64(*b)), " ", "")
}

// Set parses s.
func (b *Bytes) Set(s string) error {
	n, err := humanize.ParseBytes(s)
	if err != nil {
		return fmt.Errorf("want a size such as 512MiB or 10GB")
	}
	*b = Bytes(n)
	return nil
}

// Type names the value in help texts.
func (b *Bytes) Type() string { return "size" }
