package cli

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"dfs/cmd/internal/version"
)

// Manual pages are written in man(7) from what --help shows. Cobra's own (cobra/doc) take a help text for Markdown, which
// ours are not: underscores, angle brackets and tables in them would be lost.

// manual is the page of one command.
func manual(cmd *cobra.Command) string {
	p := &page{}
	date := time.Now()
	if s, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date = time.Unix(s, 0)
	}
	p.line(".TH %s %s %s %s", quote(strings.ToUpper(pageName(cmd))), section(cmd), date.UTC().Format(time.DateOnly), quote("dfs "+version.String()))
	p.heading("NAME")
	p.text(pageName(cmd) + " - " + cmd.Short)
	p.heading("SYNOPSIS")
	p.text(cmd.UseLine())
	p.heading("DESCRIPTION")
	if cmd.Long == "" {
		p.text(cmd.Short + ".")
	}
	p.text(cmd.Long)
	p.commands(cmd)
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	p.flags("OPTIONS", cmd.NonInheritedFlags())
	p.flags("OPTIONS OF EVERY COMMAND", cmd.InheritedFlags())
	if cmd.Example != "" {
		p.heading("EXAMPLES")
		p.literal(strings.Split(cmd.Example, "\n"))
	}
	p.seeAlso(cmd)
	return p.String()
}

// pageName is what the page is found by: dfs-node-ls for "dfs node ls".
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

func section(cmd *cobra.Command) string {
	if s := cmd.Root().Annotations[Section]; s != "" {
		return s
	}
	return "1"
}

func shown(cmd *cobra.Command) bool { return cmd.IsAvailableCommand() && cmd.Name() != "completion" }

// page is a manual page in the making.
type page struct {
	strings.Builder
	headed bool // the last line was a heading, which begins a paragraph by itself
}

func (p *page) line(format string, args ...any) {
	fmt.Fprintf(p, format+"\n", args...)
	p.headed = false
}

func (p *page) heading(name string) {
	p.line(".SH %s", name)
	p.headed = true
}

// text writes paragraphs. Lines that are indented stay as they are.
func (p *page) text(s string) {
	var block []string
	flush := func() {
		p.literal(block)
		block = nil
	}
	parted := false // a blank line has gone before
	for l := range strings.SplitSeq(strings.TrimRight(s, "\n"), "\n") {
		switch {
		case l == "":
			parted = true
			continue
		case strings.HasPrefix(l, "  "):
			if parted && len(block) > 0 {
				block = append(block, "")
			}
			block = append(block, l)
		default:
			flush()
			if parted {
				p.line(".PP")
			}
			p.line("%s", escape(l))
		}
		parted = false
	}
	flush()
}

func (p *page) literal(lines []string) {
	if len(lines) == 0 {
		return
	}
	if !p.headed {
		p.line(".PP")
	}
	p.line(".nf")
	for _, l := range lines {
		p.line("%s", escape(l))
	}
	p.line(".fi")
}

func (p *page) commands(cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	p.heading("COMMANDS")
	for _, c := range cmd.Commands() {
		if shown(c) {
			p.line(".TP\n\\fB%s\\fP(%s)\n%s", escape(pageName(c)), section(c), escape(c.Short))
		}
	}
}

func (p *page) flags(heading string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	p.heading(quote(heading))
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, usage := pflag.UnquoteUsage(f)
		name := "\\fB\\-\\-" + escape(f.Name) + "\\fP"
		if f.Shorthand != "" {
			name = "\\fB\\-" + f.Shorthand + "\\fP, " + name
		}
		if value != "" {
			name += " \\fI" + escape(value) + "\\fP"
		}
		if d := f.DefValue; d != "" && d != "false" && d != "0" && d != "[]" && d != "0s" {
			usage += " (default " + d + ")"
		}
		p.line(".TP\n%s\n%s", name, escape(usage))
	})
}

func (p *page) seeAlso(cmd *cobra.Command) {
	var all []string
	if cmd.HasParent() {
		all = append(all, pageName(cmd.Parent())+"("+section(cmd)+")")
	}
	if list := cmd.Root().Annotations[SeeAlso]; list != "" {
		all = append(all, list)
	}
	if len(all) > 0 {
		p.heading(quote("SEE ALSO"))
		p.text(strings.Join(all, ", "))
	}
}

func quote(s string) string { return `"` + strings.ReplaceAll(escape(s), `"`, `\(dq`) + `"` }

// escape keeps the formatter from reading s as anything but text.
func escape(s string) string {
	b := &strings.Builder{}
	for i, r := range s {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case i == 0 && (r == '.' || r == '\''):
			b.WriteString(`\&` + string(r))
		case r > 126:
			fmt.Fprintf(b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
