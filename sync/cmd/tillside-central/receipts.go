package main

import (
	"context"
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
)

// receiptsPage is how many receipts are read in one transaction, so that a long
// list does not hold up the till's ingest.
const receiptsPage = 1000

func ledgerReceipts(p *program) *cobra.Command {
	var asJSON bool
	var f ledger.Filter
	c := &cobra.Command{
		Use: "receipts", Short: "List the receipts of all tills, newest arrival first", Args: args(cobra.NoArgs),
		Long: `Lists sales and returns as the tills sent them, newest arrival first. With --json
there is one object a line, so that a long history can be read as it comes.`,
		Example: "  tillside-central ledger receipts --store warsaw-1 --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				lines := json.NewEncoder(cmd.OutOrStdout())
				if !asJSON {
					fmt.Fprintln(w, "STORE\tTILL\tNUMBER\tKIND\tSTATE\tTIME\tMEMBER\tNET")
				}
				for {
					var page []ledger.Receipt
					err := d.Read(ctx, func(tx *db.Tx) (err error) { page, err = ledger.Receipts(tx, f, receiptsPage); return err })
					if err != nil {
						return err
					}
					for _, r := range page {
						if asJSON {
							if err := lines.Encode(r); err != nil {
								return err
							}
							continue
						}
						fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Store, r.Till, r.Number, r.Kind, r.State, r.At.Format("2006-01-02 15:04"), r.Member, r.Totals.Net)
					}
					if len(page) < receiptsPage {
						return w.Flush()
					}
					f.Before = page[len(page)-1].ID
				}
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	c.Flags().StringVar(&f.Store, "store", "", "only this store")
	c.Flags().StringVar(&f.Till, "till", "", "only this till")
	c.Flags().StringVar(&f.Number, "number", "", "only this receipt or fiscal number")
	return c
}
