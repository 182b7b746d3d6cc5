package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/internal/private"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/installer"
	"github.com/tillside/tillside/sync/wire"
)

// unsentFile is left in the data folder when a till is taken away with
// something the centre does not have.
const unsentFile = "UNSENT.txt"

// unsent is what has not reached the centre.
type unsent struct {
	Till     string `json:"till,omitempty"` // "store/till"
	Records  uint64 `json:"records"`
	Receipts int    `json:"receipts"` // of those records
}

func (u unsent) String() string {
	if u.Records == 0 {
		return "everything has reached the centre"
	}
	return fmt.Sprintf("%d receipts (%d records) of till %s have not reached the centre", u.Receipts, u.Records, u.Till)
}

// countUnsent reads the journal of a stopped agent, or asks a running one,
// which tells the records only.
func (p *program) countUnsent(dir string) (unsent, error) {
	if _, err := os.Stat(filepath.Join(dir, store.JournalFile)); err != nil {
		return unsent{}, nil // never ran
	}
	var u unsent
	j, err := p.journal()
	var e *exit
	switch {
	case errors.As(err, &e) && e.code == exitNotEnroled:
		return u, nil
	case errors.Is(err, store.ErrInUse):
		var st till.Status
		if err := ask(dir, "/v1/status", &st); err != nil {
			return u, err
		}
		return unsent{Till: st.Store + "/" + st.Till, Records: st.Link.Queued, Receipts: int(st.Link.Queued)}, nil
	case err != nil:
		return u, err
	}
	defer j.Close()
	id, err := agent.LoadIdentity(dir)
	if err != nil {
		return u, err
	}
	u.Till = id.Store + "/" + id.Till
	st, err := j.Box().Stats()
	if err != nil {
		return u, err
	}
	u.Records = st.Queued
	receipts := map[string]bool{}
	err = j.Box().Each(func(seq uint64, raw []byte) error {
		if seq <= st.Acked.Seq {
			return nil
		}
		r, err := wire.DecodeRecord(raw)
		if err == nil && r.Receipt != "" {
			receipts[r.Receipt] = true
		}
		return nil // one that cannot be read is among the records
	})
	u.Receipts = len(receipts)
	return u, err
}

func (p *program) outboxUnsentCmd() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "unsent", Short: "Tell how many receipts have not reached the centre",
		Long: `Unsent counts what waits to be sent, of a running agent or of a stopped one.
Uninstalling keeps it; it is sent when Tillside is installed again.`,
		Example: "  tillside outbox unsent --json", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := p.data()
			if err != nil {
				return err
			}
			u, err := p.countUnsent(dir)
			if err != nil {
				return err
			}
			if asJSON {
				return writeJSON(p.out, u)
			}
			fmt.Fprintln(p.out, u)
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "for scripts")
	return cmd
}

// farewellCmd is what an uninstaller calls when the service has stopped.
func (p *program) farewellCmd() *cobra.Command {
	purge := false
	cmd := &cobra.Command{
		Use: "farewell", Short: "Tell what stays when the program goes", Hidden: true, Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return p.farewell(purge) },
	}
	cmd.Flags().BoolVar(&purge, "purge", false, "delete data and settings, sent or not")
	return cmd
}

// farewell tells what the centre does not have, and keeps it, or deletes data
// and settings. The event log forgets the program either way.
func (p *program) farewell(purge bool) error {
	if err := installer.RemoveEventSource(); err != nil {
		fmt.Fprintln(p.err, "tillside: event log:", err)
	}
	s, file, err := p.settings()
	if err != nil && !purge {
		return err
	}
	if s == nil { // settings that cannot be read are no reason to leave data behind
		return fmt.Errorf("%w; delete the folder yourself", err)
	}
	if _, err := os.Stat(s.Data); err != nil {
		return nil
	}
	u, err := p.countUnsent(s.Data)
	if err != nil {
		fmt.Fprintln(p.err, "tillside: cannot tell what the centre has:", err)
	}
	if purge {
		if u.Records > 0 {
			fmt.Fprintf(p.out, "%s, and are deleted now\n", u)
		}
		if err := removeAll(s.Data); err != nil {
			return fmt.Errorf("purge: %w", err)
		}
		if file != "" {
			if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
				return fmt.Errorf("purge: %w", err)
			}
			_ = os.Remove(filepath.Dir(file)) // where nothing else is in it
		}
		return nil
	}
	fmt.Fprintln(p.out, u)
	note := filepath.Join(s.Data, unsentFile)
	if u.Records == 0 {
		_ = os.Remove(note)
		return nil
	}
	fmt.Fprintf(p.out, "They stay in %s and are sent when Tillside is installed here again.\n", s.Data)
	text := fmt.Sprintf("%s\n%s. They are in this folder.\nInstall Tillside on this machine again, and they are sent. Do not delete this folder before.\n",
		time.Now().Format(time.DateTime), u)
	return private.WriteFile(note, []byte(text))
}

// removeAll deletes a folder file by file: where os.RemoveAll does not work,
// this does.
func removeAll(dir string) error {
	if runtime.GOOS != "windows" {
		return os.RemoveAll(dir)
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		if e.IsDir() {
			err = removeAll(path)
		} else {
			err = os.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return os.Remove(dir)
}
