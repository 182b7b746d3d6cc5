package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/update"
)

func (p *program) updateCmd() *cobra.Command {
	var asJSON bool
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "update [FILE]",
		Short: "Take a newer program from a file, or tell which one runs",
		Long: `Update gives a release file (from "tillside-central release pack", on a stick) to
the agent, which believes it only when the release keys signed it. The agent
switches when its hour has come and no receipt is open; the new program must go
as well as the old one for a while, or the old one comes back by itself. Nothing
of the data is touched. Releases that the centre gives come without this.

Without FILE it tells which program runs, which waits, and which went back.`,
		Example: "  tillside update\n  tillside update /media/stick/tillside-1.5.0.zip --wait 1m",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			shelf, _ := p.shelf(s.Data)
			if len(args) == 1 {
				return p.give(shelf, args[0], wait)
			}
			st, err := shelf.State()
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.out, st)
			}
			p.printShelf(&st)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	cmd.Flags().DurationVar(&wait, "wait", 30*time.Second, "how long to wait for the agent's word")
	return cmd
}

func (p *program) printShelf(st *update.State) {
	row := func(name string, pr *update.Program, more string) {
		if pr != nil {
			fmt.Fprintf(p.out, "%-9s %s%s\n", name, pr.Version, more)
		}
	}
	if st.Current == nil {
		fmt.Fprintf(p.out, "%-9s the installed program\n", "runs")
	}
	more := ""
	if st.Trial != nil {
		more = fmt.Sprintf(", on trial since %s, started %d times", st.Trial.Begun.Local().Format(time.DateTime), st.Trial.Starts)
	}
	row("runs", st.Current, more)
	row("waits", st.Staged, ", for its hour")
	row("before", st.Previous, "")
	for _, f := range st.Failed {
		fmt.Fprintf(p.out, "%-9s %s, %s: %s\n", "went back", f.Version, f.At.Local().Format(time.DateTime), f.Reason)
	}
}

// give lays a release file into the agent's inbox and waits for its word.
func (p *program) give(s *update.Shelf, file string, wait time.Duration) error {
	src, err := os.Open(file)
	if err != nil {
		return err
	}
	defer src.Close()
	inbox := filepath.Join(s.Data, update.Folder, update.Inbox)
	if err := os.MkdirAll(inbox, 0o700); err != nil {
		return err
	}
	before, err := s.State() // before the agent can see the file
	if err != nil {
		return err
	}
	path := filepath.Join(inbox, "given.zip")
	tmp, err := os.OpenFile(path+".part", os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(tmp, src)
	if err == nil {
		err = tmp.Sync()
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = ownedAs(s.Data, inbox, path+".part")
	}
	if err == nil {
		err = os.Rename(path+".part", path)
	}
	if err != nil {
		return err
	}
	for end := time.Now().Add(wait); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if _, err := os.Stat(path); err == nil {
			continue
		}
		st, err := s.State()
		if err != nil {
			return err
		}
		if st.Staged != nil && (before.Staged == nil || st.Staged.SHA256 != before.Staged.SHA256) || st.Current != nil && (before.Current == nil || st.Current.SHA256 != before.Current.SHA256) {
			p.printShelf(&st)
			return nil
		}
		return errors.New("the agent did not take it; its log says why (tillside bundle, or the system's log)")
	}
	fmt.Fprintln(p.out, "the agent takes it when it runs")
	return nil
}

func (p *program) rollbackCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "rollback",
		Short: "Go back to the program before",
		Long: `Rollback makes the program before the present one run again, from the agent's next
start. The one it leaves is not taken again, unless a newer list names it under
another build. The data stays as it is.`,
		Example: "  tillside rollback && tillside service restart",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			shelf, _ := p.shelf(s.Data)
			if err := shelf.Back("by hand"); err != nil {
				return err
			}
			st, err := shelf.State()
			if err != nil {
				return err
			}
			p.printShelf(&st)
			return nil
		},
	}
}
