package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/outbox"
)

func (p *program) outboxCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "outbox", Short: "Look into the journal", RunE: needCommand}
	verify := &cobra.Command{
		Use:   "verify",
		Short: "Prove that the journal has no gap and no changed record",
		Long: `Verify reads every record of the journal and proves sequence and hash chain.
The agent must not run meanwhile (a running one checks what it sends).`,
		Example: "  tillside service stop && tillside outbox verify && tillside service start",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			j, err := p.journal()
			if err != nil {
				return err
			}
			defer j.Close()
			box := j.Box()
			if err := box.Verify(); err != nil {
				return err
			}
			st, err := box.Stats()
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "journal of %s epoch %d is whole: records %d to %d, %d at the centre, %d parked\n",
				st.Identity.Device, st.Identity.Epoch, st.First, st.Head.Seq, st.Acked.Seq, st.Parked)
			return nil
		},
	}
	list := &cobra.Command{
		Use:     "list",
		Short:   "Print the records as they are stored, one a line",
		Example: "  tillside outbox list | jq -r '[.seq, .type, .receipt] | @tsv'",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			j, err := p.journal()
			if err != nil {
				return err
			}
			defer j.Close()
			return j.Box().Each(func(_ uint64, record []byte) error {
				_, err := fmt.Fprintf(p.out, "%s\n", record)
				return err
			})
		},
	}
	checkFile := &cobra.Command{
		Use: "check-file PATH", Short: "Examine a store file", Hidden: true, Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			// Only damage is told: a file that is in use or cannot be read
			// for another reason is not to be set aside.
			if err := store.Examine(args[0]); errors.Is(err, store.ErrDamaged) {
				return err
			}
			return nil
		},
	}
	cmd.AddCommand(verify, list, p.outboxUnsentCmd(), checkFile)
	return cmd
}

// journal opens the journal of a stopped agent.
func (p *program) journal() (*store.Journal, error) {
	s, _, err := p.settings()
	if err != nil {
		return nil, err
	}
	id, err := agent.LoadIdentity(s.Data)
	if err != nil {
		return nil, err
	}
	if id == nil {
		return nil, &exit{code: exitNotEnroled, err: errors.New("this till is not enrolled")}
	}
	if _, err := os.Stat(filepath.Join(s.Data, store.JournalFile)); err != nil {
		return nil, fmt.Errorf("no journal in %s", s.Data)
	}
	return store.OpenJournal(s.Data, store.Options{Identity: id.Outbox(), Stamp: func() outbox.Stamp { return outbox.Stamp{} }})
}
