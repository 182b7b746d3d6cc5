// Package manpage writes the manual page of a command-line program from the
// help of its commands, so that both always say the same.
//
// One page holds the whole program: a section for each command with what its
// help says, its flags and its example. It is written by our own hundred
// lines, because the generator that comes with the command-line library brings
// a Markdown converter into the program that runs beside a till.
package manpage

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Page is what the commands do not say themselves.
type Page struct {
	Date    time.Time   // printed in the footer
	Version string      // printed in the footer
	Files   [][2]string // path, what it is
	Exits   [][2]string // code, what it means
	SeeAlso []string    // "systemctl(1)"
}

// Write writes the page of root in the language of man(7).
func Write(w io.Writer, root *cobra.Command, p Page) error {
	b := &strings.Builder{}
	name := root.Name()
	fmt.Fprintf(b, ".TH %s 1 %s %s %s\n", quoted(strings.ToUpper(name)), quoted(p.Date.UTC().Format(time.DateOnly)), quoted(name+" "+p.Version), quoted("User Commands"))
	fmt.Fprintf(b, ".SH NAME\n%s \\- %s\n", escape(name), escape(root.Short))
	fmt.Fprintf(b, ".SH SYNOPSIS\n.B %s\n.I command\n.RI [ flags ]\n", escape(name))
	b.WriteString(".SH DESCRIPTION\n")
	paragraphs(b, root.Long)
	if f := root.PersistentFlags(); f.HasFlags() {
		b.WriteString(".SH FLAGS OF ALL COMMANDS\n")
		flags(b, f)
	}
	b.WriteString(".SH COMMANDS\n")
	commands(b, root)
	table(b, "EXIT STATUS", p.Exits)
	table(b, "FILES", p.Files)
	if len(p.SeeAlso) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", escape(strings.Join(p.SeeAlso, ", ")))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// commands writes every command that does something, in the order of the help.
func commands(b *strings.Builder, c *cobra.Command) {
	for _, sub := range c.Commands() {
		if sub.Hidden || sub.Name() == "help" || sub.Name() == "completion" {
			continue
		}
		if !sub.HasSubCommands() {
			fmt.Fprintf(b, ".SS %s\n", escape(sub.UseLine()))
			text := sub.Long
			if text == "" {
				text = sub.Short + "."
			}
			paragraphs(b, text)
			if f := sub.LocalNonPersistentFlags(); f.HasAvailableFlags() {
				flags(b, f)
			}
			if sub.Example != "" {
				b.WriteString(".PP\nExample:\n")
				literal(b, sub.Example)
			}
		}
		commands(b, sub)
	}
}

// flags writes a list of flags.
func flags(b *strings.Builder, f *pflag.FlagSet) {
	f.VisitAll(func(f *pflag.Flag) {
		if f.Hidden || f.Name == "help" {
			return
		}
		kind, usage := pflag.UnquoteUsage(f)
		fmt.Fprintf(b, ".TP\n.B \\-\\-%s", escape(f.Name))
		if kind != "" {
			fmt.Fprintf(b, " \\fI%s\\fP", escape(kind))
		}
		fmt.Fprintf(b, "\n%s", escape(usage))
		if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" && f.DefValue != "0" && f.DefValue != "0s" {
			fmt.Fprintf(b, " (default %s)", escape(f.DefValue))
		}
		b.WriteByte('\n')
	})
}

func table(b *strings.Builder, title string, rows [][2]string) {
	if len(rows) == 0 {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	for _, r := range rows {
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", escape(r[0]), escape(r[1]))
	}
}

// paragraphs writes the text of a help: blank lines part paragraphs, and what
// is indented stands as it is.
func paragraphs(b *strings.Builder, text string) {
	for block := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		lines := strings.Split(block, "\n")
		n := len(lines)
		for n > 0 && strings.HasPrefix(lines[n-1], " ") {
			n--
		}
		b.WriteString(".PP\n")
		for _, l := range lines[:n] {
			b.WriteString(escape(l) + "\n")
		}
		if n < len(lines) {
			literal(b, strings.Join(lines[n:], "\n"))
		}
	}
}

// literal writes lines that are not to be filled.
func literal(b *strings.Builder, text string) {
	b.WriteString(".nf\n")
	for l := range strings.SplitSeq(text, "\n") {
		b.WriteString(escape(l) + "\n")
	}
	b.WriteString(".fi\n")
}

// escape keeps a line from being taken for a request of the typesetter.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "\u2026", "...", "\u2018", "'", "\u2019", "'").Replace(s)
	if strings.HasPrefix(s, ".") || strings.HasPrefix(s, "'") {
		s = `\&` + s
	}
	return s
}

func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, "") + `"` }
