package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/filedrop"
)

func (p *program) filesCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "files", Short: "Receipts in files: try how one would be read", RunE: needCommand}
	read := &cobra.Command{
		Use:   "read FILE...",
		Short: "Show what the agent would make of a file; nothing is booked or moved",
		Long: `Read decodes files as the exchange of [files] in the settings would: it tells
the encoding and the format it found, and the calls of the API each request
becomes. Use it while making a field map. Exit code 1: a file would be refused.`,
		Example: "  tillside files read receipt.xml\n  tillside files read --config new.toml samples/*.csv",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := cobra.MinimumNArgs(1)(cmd, args); err != nil {
				return &exit{code: exitUsage, err: err}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			s, _, err := p.settings()
			if err != nil {
				return err
			}
			set := agent.FileSettings(s.Files).Defaults()
			if err := set.Check(); err != nil {
				return &exit{code: exitSettings, err: err}
			}
			bad := 0
			for _, name := range args {
				if err := p.readFile(name, &set); err != nil {
					bad++
					fmt.Fprintf(p.out, "%s: refused: %v\n", name, err)
				}
			}
			if bad > 0 {
				return &exit{code: exitFailed, err: errors.New("refused"), quiet: true}
			}
			return nil
		},
	}
	fields := &cobra.Command{
		Use: "fields", Short: "List the names of fields, for files and field maps", Example: "  tillside files fields", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			for _, n := range filedrop.FieldNames() {
				fmt.Fprintln(p.out, n)
			}
			fmt.Fprintln(p.out, "line.attributes.NAME")
			return nil
		},
	}
	cmd.AddCommand(read, fields)
	return cmd
}

func (p *program) readFile(name string, set *filedrop.Settings) error {
	b, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	f, err := filedrop.Read(filepath.Base(name), b, set)
	if f.Encoding != "" {
		fmt.Fprintf(p.out, "%s: %s, %s, %d requests\n", name, f.Encoding, f.Format, len(f.Requests))
	}
	if err != nil {
		return err
	}
	for i, d := range f.Requests {
		calls, err := d.Calls(set, fmt.Sprint(i+1))
		if err != nil {
			return fmt.Errorf("request %d: %w", i+1, err)
		}
		for _, c := range calls {
			var v any
			if err := json.Unmarshal(c.Body, &v); err != nil {
				return err
			}
			out, err := json.MarshalIndent(v, "  ", "  ")
			if err != nil {
				return err
			}
			fmt.Fprintf(p.out, "  %s %s\n  %s\n", c.Name, c.ID, out)
		}
	}
	return nil
}
