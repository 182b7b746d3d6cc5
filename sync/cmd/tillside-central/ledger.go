package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
)

func ledgerCommand(p *program) *cobra.Command {
	c := group("ledger", "The ledger: verify it, add it up")
	c.AddCommand(ledgerVerify(p), ledgerTotals(p), ledgerParked(p), ledgerRetry(p), ledgerReceipts(p))
	return c
}

func ledgerVerify(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "verify", Short: "Recompute every balance from its entries and check the invariants", Args: args(cobra.NoArgs),
		Long: `Recomputes every balance from its entries and holds it against what is stored:
what was issued equals what is available, pending, held, leased, spent and
expired; nothing is below zero; holds and lots are covered; no entry is
missing. Exit code 3 when something is wrong.

Then it tells what is out at the tills: holds that nobody ended for a day,
oldest first; leases of tills that were silent for a week; what the shops
bore, by till; and what lies on leases.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var r *ledger.Report
				var e *ledger.Exposure
				err := d.Read(ctx, func(tx *db.Tx) (err error) {
					if r, err = ledger.Verify(tx); err == nil {
						e, err = ledger.Exposed(tx, time.Now(), 24*time.Hour, 7*24*time.Hour, 1000)
					}
					return err
				})
				if err != nil {
					return err
				}
				if asJSON {
					err = printJSON(cmd.OutOrStdout(), struct {
						*ledger.Report
						*ledger.Exposure
					}{r, e})
				} else {
					_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d members, %d balances, %d entries, %d receipts: %d problems\n", r.Members, r.Balances, r.Entries, r.Receipts, r.Broken)
					exposure(cmd.OutOrStdout(), e)
				}
				if err != nil {
					return err
				}
				if !r.OK() {
					return &checkFailed{strings.Join(r.Problems, "\n")}
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// exposure prints what is out at the tills, and nothing where nothing is.
func exposure(out io.Writer, e *ledger.Exposure) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, h := range e.Holds {
		fmt.Fprintf(w, "hold\t%s/%s\treceipt %s\tmember %s\t%s %s\t%s since %s\n", h.Store, h.Till, h.Receipt, h.Member, h.Points, h.Wallet, h.State, h.Made.Format(time.DateTime))
	}
	for _, s := range e.Silent {
		fmt.Fprintf(w, "silent\t%s/%s\t%s, %s\t%d leases\t%s\tlast heard %s\n", s.Store, s.Till, s.Device, s.State, s.Leases, s.Points, s.LastSeen.Format(time.DateTime))
	}
	for _, l := range e.Losses {
		fmt.Fprintf(w, "loss\t%s/%s\t%d entries\t\t%s %s\t\n", l.Store, l.Till, l.Times, l.Points, l.Wallet)
	}
	for _, s := range e.Leases {
		fmt.Fprintf(w, "leased\t%s/%s\t%d members\t\t%s %s\t\n", s.Store, s.Till, s.Members, s.Points, s.Wallet)
	}
	w.Flush()
}

func ledgerTotals(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "totals", Short: "Add up what was earned, spent, reversed and is left", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var s *ledger.Summary
				err := d.Read(ctx, func(tx *db.Tx) (err error) { s, err = ledger.Sum(tx); return err })
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), s)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintf(w, "members\t%d\nreceipts\t%d\nreturns\t%d\nvoided\t%d\nentries\t%d\nrecords\t%d\nparked\t%d\nwaiting\t%d\nfindings\t%d\n",
					s.Members, s.Receipts, s.Returns, s.Voided, s.Entries, s.Records, s.Parked, s.Waiting, s.Findings)
				for _, t := range s.Wallets {
					fmt.Fprintf(w, "\nwallet\t%s\nearned\t%s\nspent\t%s\nreversed\t%s\nrestored\t%s\nexpired\t%s\nadjusted\t%s\nunclaimed\t%s\nlost\t%s\navailable\t%s\npending\t%s\nheld\t%s\nleased\t%s\n",
						t.Wallet, t.Earned, t.Spent, t.Reversed, t.Restored, t.Expired, t.Adjusted, t.Unclaimed, t.Lost, t.Available, t.Pending, t.Held, t.Leased)
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func ledgerParked(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "parked", Short: "List records that could not be booked, with the reason", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				all := []ledger.Parked{}
				err := d.Read(ctx, func(tx *db.Tx) error {
					some, err := ledger.ParkedRecords(tx, 100_000)
					all = append(all, some...)
					return err
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "STORE\tTILL\tDEVICE\tEPOCH\tSEQ\tTYPE\tREASON")
				for _, x := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%s\n", x.Store, x.Till, x.Device, x.Epoch, x.Seq, x.Type, x.Reason)
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func ledgerRetry(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "retry", Short: "Book parked records again", Args: args(cobra.NoArgs),
		Long: `Books parked records again: after an upgrade that knows their type, or once
their member is there. What still cannot be booked stays parked.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					booked, left, err := m.Ledger.Retry(tx, 10_000)
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%d booked, %d still parked\n", booked, left)
					return access.Note(tx, "command line", "ledger retry", "", fmt.Sprintf("%d booked", booked), time.Now())
				})
			})
		},
	}
}
