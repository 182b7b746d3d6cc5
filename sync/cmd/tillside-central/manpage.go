package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/installer/manpage"
)

// manpageCommand prints the manual page; packages carry it.
func manpageCommand() *cobra.Command {
	var epoch int64
	c := &cobra.Command{
		Use: "manpage", Short: "Print the manual page", Hidden: true, Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manpage.Write(cmd.OutOrStdout(), cmd.Root(), manpage.Page{Date: time.Unix(epoch, 0), Version: version,
				Exits: [][2]string{{"0", "done"}, {"1", "it failed; the reason is on standard error"}, {"2", "the command line is wrong"},
					{"3", "a check found something wrong: ledger verify, members import, config check, rulebook publish"}},
				Files: [][2]string{
					{"/etc/tillside/central.toml", "settings of the service; without it the defaults are in force"},
					{"/var/lib/tillside-central", "database and keys"},
				},
				SeeAlso: []string{"tillside(1)", "systemctl(1)", "journalctl(1)"}})
		},
	}
	c.Flags().Int64Var(&epoch, "epoch", 0, "date of the page, in seconds since 1970")
	return c
}
