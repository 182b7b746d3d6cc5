package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/till"
)

func (p *program) statusCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "How the running agent is: link, devices, rulebook, warnings",
		Long: `Status asks the running agent. Exit code 0: all is well; 6: it does not run;
7: it runs and a warning says that something does not work.`,
		Example: "  tillside status\n  tillside status --json | jq .warnings",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			var st till.Status
			if err := ask(s.Data, "/v1/status", &st); err != nil {
				return err
			}
			if asJSON {
				err = writeJSON(p.out, st)
			} else {
				p.printStatus(&st)
			}
			if err != nil {
				return err
			}
			for _, w := range st.Warnings {
				if w.Severity == health.Bad {
					return &exit{code: exitUnwell, err: errors.New(w.Title), quiet: true}
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return cmd
}

func (p *program) printStatus(s *till.Status) {
	row := func(name, format string, a ...any) { fmt.Fprintf(p.out, "%-10s %s\n", name, fmt.Sprintf(format, a...)) }
	who := "not enrolled"
	if s.Device != "" {
		who = fmt.Sprintf("%s in store %s (%s)", s.Till, s.Store, s.Device)
	}
	row("till", "%s", who)
	row("agent", "%s, since %s", s.Version, s.Started.Local().Format(time.DateTime))
	link := fmt.Sprintf("%s since %s", s.Mode, s.Link.Since.Local().Format(time.DateTime))
	if s.Link.Queued > 0 {
		link += fmt.Sprintf(", %d records wait", s.Link.Queued)
	}
	if s.Link.LastError != "" && s.Mode != "online" {
		link += " (" + s.Link.LastError + ")"
	}
	row("link", "%s", link)
	rules := s.Rulebook.Version
	if rules == "" {
		rules = "none"
	}
	row("rulebook", "%s", rules)
	row("journal", "%d records, %d at the centre, %.1f MiB", s.Journal.Seq, s.Journal.Acked, float64(s.Journal.Bytes)/(1<<20))
	row("cache", "%d members, %d cards stopped", s.Cache.Members, s.Cache.Stops)
	for _, d := range s.Devices {
		line := fmt.Sprintf("%s: %s", d.Name, d.State)
		if d.Hint != "" {
			line += " (" + d.Hint + ")"
		}
		row(d.Kind, "%s, %s", line, d.Title)
	}
	for _, r := range s.Open {
		row("open", "receipt %s is %s since %s", r.Receipt, r.State, r.Since.Local().Format(time.DateTime))
	}
	if len(s.Warnings) == 0 {
		row("health", "all is well")
	}
	for _, w := range s.Warnings {
		text := w.Title
		if w.Subject != "" {
			text += " (" + w.Subject + ")"
		}
		if w.Text != "" {
			text += ": " + w.Text
		}
		row(string(w.Severity), "%s", text)
	}
}
