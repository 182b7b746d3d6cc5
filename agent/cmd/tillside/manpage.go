package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/installer"
	"github.com/tillside/tillside/installer/manpage"
)

// exitTable says what every exit code means, for help and manual page.
var exitTable = [][2]string{
	{"0", "done"},
	{"1", "failed; the reason is on standard error"},
	{"2", "the command line is wrong"},
	{"3", "settings are wrong (config check tells all of it)"},
	{"4", "another agent works on this data folder"},
	{"5", "not enrolled"},
	{"6", "the agent does not run (status, page)"},
	{"7", "the agent runs and something is wrong (status)"},
	{"8", "stopped by a second signal before everything was finished"},
	{"9", "another program takes over (between the program and its service only)"},
}

// exitCodesTopic is "tillside help exit-codes".
func exitCodesTopic() *cobra.Command {
	var b strings.Builder
	b.WriteString("The exit codes, for scripts:\n\n")
	for _, r := range exitTable {
		fmt.Fprintf(&b, "  %-4s %s\n", r[0], r[1])
	}
	return &cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: strings.TrimRight(b.String(), "\n")}
}

// manpageCmd prints the manual page; packages carry it.
func (p *program) manpageCmd() *cobra.Command {
	var epoch int64
	cmd := &cobra.Command{
		Use: "manpage", Short: "Print the manual page", Hidden: true, Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return manpage.Write(p.out, cmd.Root(), manpage.Page{Date: time.Unix(epoch, 0), Version: p.version, Exits: exitTable,
				Files: [][2]string{
					{installer.DefaultConfig(), "settings; without it the defaults are in force"},
					{installer.DefaultData(), "everything the agent keeps"},
				},
				SeeAlso: []string{"tillside-central(1)", "systemctl(1)", "journalctl(1)"}})
		},
	}
	cmd.Flags().Int64Var(&epoch, "epoch", 0, "date of the page, in seconds since 1970")
	return cmd
}
