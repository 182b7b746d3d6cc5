package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/store"
)

func (p *program) enrolCmd() *cobra.Command {
	var server, code, place string
	var replace, abandon bool
	cmd := &cobra.Command{
		Use:   "enrol --server URL --code CODE",
		Short: "Make this machine a till of the centre",
		Long: `Enrol makes a key on this machine and asks the centre, with a one-time code,
which store and till this is. The code comes from central IT
("tillside-central till add"), is good for 24 hours and for one use.

When the centre cannot be reached the command fails, and an agent that runs on
the data folder enrols by itself as soon as it can, while the code lasts.

A running agent becomes the till at once; one that was a till before takes the
new identity at its next start. To undo: delete identity.json in the data
folder and have the till revoked at the centre.`,
		Example: "  tillside enrol --server https://loyalty.example.com --code 7K2M-9QXT-4WDH",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if server == "" || code == "" {
				return &exit{code: exitUsage, err: errors.New("--server and --code are needed")}
			}
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			if err := os.MkdirAll(s.Data, 0o700); err != nil {
				return fmt.Errorf("data folder: %w", err)
			}
			before, err := agent.LoadIdentity(s.Data)
			if err != nil && !replace {
				return err
			}
			was := before != nil || err != nil
			if replace && !abandon {
				if err := p.nothingUnsent(s.Data); err != nil {
					return err
				}
			}
			ctx := cmd.Context()
			if ctx == nil {
				ctx = context.Background()
			}
			err = p.enrolNow(ctx, s, agent.Enrolment{Server: server, Code: code, Till: place, Replace: replace}, false)
			if err != nil {
				return err
			}
			if !was { // a running agent sees by itself that it became a till
				return nil
			}
			if _, err := os.Stat(filepath.Join(s.Data, agent.AddressFile)); err == nil {
				fmt.Fprintln(p.err, "restart the agent so that it takes the new identity: tillside service restart")
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&server, "server", "", "address of the centre")
	cmd.Flags().StringVar(&code, "code", "", "one-time code")
	cmd.Flags().StringVar(&place, "till", "", "store/till that this machine must be; a code for another one is refused and stays good")
	cmd.Flags().BoolVar(&replace, "replace", false, "enrol anew although there is an identity")
	cmd.Flags().BoolVar(&abandon, "abandon", false, "with --replace: even if records have not reached the centre")
	return cmd
}

// nothingUnsent refuses to change the identity while records of the old one
// wait: they would wait for ever.
func (p *program) nothingUnsent(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, store.JournalFile)); err != nil {
		return nil // never ran
	}
	j, err := p.journal()
	var e *exit
	if errors.As(err, &e) && e.code == exitNotEnroled {
		return nil
	}
	if err != nil {
		return err
	}
	defer j.Close()
	st, err := j.Box().Stats()
	if err != nil {
		return err
	}
	if st.Queued > 0 {
		return fmt.Errorf("%d records have not reached the centre; let the agent run with a link first, or give --abandon", st.Queued)
	}
	return nil
}
