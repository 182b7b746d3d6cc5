package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/till"
)

// pageTokens is how many opened pages keep working when one more is opened.
const pageTokens = 5

func (p *program) pageCmd() *cobra.Command {
	var practice bool
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Print the address of the cashier's page, with a token",
		Long: `Page prints an address to open in a browser on this machine. The token is in
the part after "#", which a browser sends to nobody; the page keeps it for its
own tab. The five newest addresses work.`,
		Example: "  tillside page\n  tillside page --practice",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			dir, err := p.data()
			if err != nil {
				return err
			}
			addr, err := address(dir)
			if err != nil {
				return err
			}
			token, err := till.OpenPrograms(dir).Add("page", pageTokens, time.Now())
			if err != nil {
				return err
			}
			path := "cashier"
			if practice {
				path = "practice"
			}
			fmt.Fprintf(p.out, "http://%s/%s#token=%s\n", addr, path, token)
			return nil
		},
	}
	cmd.Flags().BoolVar(&practice, "practice", false, "the practice till (api.practice must be on)")
	return cmd
}
