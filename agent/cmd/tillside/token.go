package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/till"
)

func (p *program) tokenCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "token", Short: "Tokens of the programs that may call the agent", RunE: needCommand}
	var only string
	add := &cobra.Command{
		Use:   "add NAME",
		Short: "Make a token for a program and print it, once",
		Long: `Add makes a token for a program and prints it. Only its hash is kept, so it
cannot be printed again; adding the same name anew replaces the token. A
running agent knows the token at once. With --only the program may make that
one call and no other.`,
		Example: "  tillside token add cashdesk\n  tillside token add wedge --only scan\n  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:8750/v1/status",
		Args:    exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := p.data()
			if err != nil {
				return err
			}
			token, err := till.OpenPrograms(dir).AddFor(args[0], only, 1, time.Now())
			if err != nil {
				return err
			}
			fmt.Fprintln(p.out, token)
			return nil
		},
	}
	add.Flags().StringVar(&only, "only", "", "the one call the program may make, by its operation id in /v1/openapi.json")
	list := &cobra.Command{
		Use: "list", Short: "List the programs", Example: "  tillside token list", Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := p.data()
			if err != nil {
				return err
			}
			list, err := till.OpenPrograms(dir).List()
			if err != nil {
				return err
			}
			for _, e := range list {
				may := ""
				if e.Only != "" {
					may = ", only " + e.Only
				}
				fmt.Fprintf(p.out, "%-24s since %s%s\n", e.Name, e.Created.Local().Format(time.DateTime), may)
			}
			return nil
		},
	}
	remove := &cobra.Command{
		Use: "remove NAME", Short: "Take a program's token away", Example: "  tillside token remove cashdesk", Args: exactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := p.data()
			if err != nil {
				return err
			}
			was, err := till.OpenPrograms(dir).Remove(args[0])
			if err != nil {
				return err
			}
			if !was {
				return fmt.Errorf("no program %q", args[0])
			}
			fmt.Fprintf(p.out, "%s may not call any more\n", args[0])
			return nil
		},
	}
	cmd.AddCommand(add, list, remove)
	return cmd
}
