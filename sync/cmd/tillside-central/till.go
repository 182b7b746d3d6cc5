package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/members"
)

func tillCommand(p *program) *cobra.Command {
	c := group("till", "Tills: add, list, revoke")
	c.AddCommand(tillAdd(p), tillList(p), tillRevoke(p))
	return c
}

func tillAdd(p *program) *cobra.Command {
	var store, till string
	var asJSON bool
	c := &cobra.Command{
		Use: "add", Short: "Make a one-time code that enrols a till", Args: args(cobra.NoArgs),
		Long: `Makes a one-time code for a till, and the till when it is new. The code lasts 24
hours, works once and dies after five wrong tries; a new code ends the one
before. Its last group is the mark of this centre's authority: the till compares
it before it sends the code. Type it at the till:

  tillside enrol --server URL --code CODE`,
		Example: "  tillside-central till add --store warsaw-1 --till 3",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if store == "" || till == "" {
				return &usageError{errors.New("name the place with --store and --till")}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var code string
				var expires time.Time
				err := d.Write(ctx, func(tx *db.Tx) (err error) {
					if code, expires, err = fleet.NewCode(tx, store, till, time.Now(), nil); err != nil {
						return err
					}
					return access.Note(tx, "command line", "till add", store+"/"+till, "", time.Now())
				})
				if errors.Is(err, fleet.ErrMalformed) {
					return &usageError{err}
				}
				if err != nil {
					return err
				}
				if code, err = p.complete(code); err != nil {
					return err
				}
				out := cmd.OutOrStdout()
				if asJSON {
					return printJSON(out, map[string]any{"store": store, "till": till, "code": code, "expires": expires.UTC().Format(time.RFC3339)})
				}
				fmt.Fprintf(out, "%s\n", code)
				fmt.Fprintf(cmd.ErrOrStderr(), "Store %s, till %s; until %s, once:\n  tillside enrol --server %s --code %s\n",
					store, till, expires.Format("2006-01-02 15:04"), p.server(), code)
				return nil
			})
		},
	}
	c.Flags().StringVar(&store, "store", "", "store number or short name")
	c.Flags().StringVar(&till, "till", "", "till number or short name")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// ownTLS tells whether the centre ends TLS with its own authority.
func (p *program) ownTLS() bool { return p.cfg.TLS.Mode == "on" && p.cfg.TLS.Cert == "" }

// complete adds the mark of the centre's authority to a one-time code.
func (p *program) complete(code string) (string, error) {
	if !p.ownTLS() {
		return code, nil
	}
	a, err := central.Authority(p.cfg.Data, p.cfg.Listen, p.cfg.URL, p.cfg.Hosts, time.Now)
	if err != nil {
		return "", err
	}
	return a.Code(code), nil
}

// server is the address to type at a till, as far as it is known here.
func (p *program) server() string {
	if p.cfg.URL != "" {
		return p.cfg.URL
	}
	scheme := "http://"
	if p.cfg.TLS.Mode == "on" {
		scheme = "https://"
	}
	if b, err := os.ReadFile(filepath.Join(p.cfg.Data, central.AddressFile)); err == nil {
		return scheme + strings.TrimSpace(string(b))
	}
	return scheme + p.cfg.Listen
}

func tillList(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List the tills with version, rulebook and queue", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				tills := []fleet.Till{}
				err := d.Read(ctx, func(tx *db.Tx) error {
					all, err := fleet.Tills(tx)
					tills = append(tills, all...)
					return err
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), tills)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "STORE\tTILL\tDEVICE\tSTATE\tLAST HEARD\tVERSION\tRULEBOOK\tRECORDS\tQUEUE")
				for _, t := range tills {
					if t.Device == nil {
						fmt.Fprintf(w, "%s\t%s\t-\tnot enrolled\t-\t-\t-\t-\t-\n", t.Store, t.Till)
						continue
					}
					seen := "never"
					if !t.Device.LastSeen.IsZero() {
						seen = t.Device.LastSeen.In(p.zone).Format("2006-01-02 15:04:05")
					}
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\n", t.Store, t.Till, t.Device.ID, t.Device.State, seen, t.Device.Program, t.Device.Bundle, t.Device.Acked.Seq, t.Device.Queue)
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func tillRevoke(p *program) *cobra.Command {
	var store, till, reason string
	c := &cobra.Command{
		Use: "revoke [DEVICE]", Short: "End the trust in a till's device", Args: args(cobra.MaximumNArgs(1)),
		Long: `Ends the trust in a device, named by its id or by its till. It gets nothing more
and what it sends is refused; a running session ends within a second. The till
itself stays; a new code enrols another device for it.`,
		Example: "  tillside-central till revoke dev-3k9m2p7q1z\n  tillside-central till revoke --store warsaw-1 --till 3 --reason stolen",
		RunE: func(cmd *cobra.Command, a []string) error {
			id := ""
			if len(a) == 1 {
				id = a[0]
			}
			if id == "" && (store == "" || till == "") {
				return &usageError{errors.New("name the device, or the till with --store and --till")}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					n, err := fleet.Revoke(tx, store, till, id, reason, time.Now())
					if err != nil {
						return err
					}
					if n == 0 {
						return fmt.Errorf("nothing to revoke: %w", fleet.ErrUnknown)
					}
					if _, err := m.Ledger.ReturnRevoked(tx); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "revoked %d\n", n)
					return access.Note(tx, "command line", "till revoke", id+store+"/"+till, reason, time.Now())
				})
			})
		},
	}
	c.Flags().StringVar(&store, "store", "", "store of the till")
	c.Flags().StringVar(&till, "till", "", "till")
	c.Flags().StringVar(&reason, "reason", "by command", "why, for the fleet page")
	return c
}
