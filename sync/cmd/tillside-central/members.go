package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/wire"
)

func membersCommand(p *program) *cobra.Command {
	c := group("members", "Members and cards: import, add, list, block, reissue")
	c.AddCommand(membersImport(p), membersAdd(p), membersList(p), membersCard(p, "block", "blocked"), membersCard(p, "unblock", "active"), membersReissue(p), membersErase(p), membersErasures(p))
	return c
}

func importHelp() string {
	var b strings.Builder
	b.WriteString("Reads members from a CSV file (UTF-8, commas, names of the columns in the first\nline, \"-\" is the standard input). Columns, in any order, all optional as long as\nthere is external_id, card or phone:\n\n")
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, col := range members.Columns {
		fmt.Fprintf(w, "  %s\t%s\n", col[0], col[1])
	}
	w.Flush()
	b.WriteString("\nNothing is written when a line is wrong; all problems are listed. Importing the\nsame file again changes nothing.")
	return b.String()
}

func membersImport(p *program) *cobra.Command {
	var makeCards, asJSON bool
	var cardsTo string
	c := &cobra.Command{
		Use: "import FILE", Short: "Read members and cards from a CSV file", Args: args(cobra.ExactArgs(1)), Long: importHelp(),
		Example: "  tillside-central members import members.csv\n  tillside-central members import members.csv --make-cards --cards-to new-cards.csv",
		RunE: func(cmd *cobra.Command, a []string) error {
			in := cmd.InOrStdin()
			if a[0] != "-" {
				f, err := os.Open(a[0])
				if err != nil {
					return err
				}
				defer f.Close()
				in = f
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				return runImport(ctx, cmd, d, m, in, makeCards, cardsTo, asJSON)
			})
		},
	}
	c.Flags().BoolVar(&makeCards, "make-cards", false, "give a new card number to each member in the file who has no card")
	c.Flags().StringVar(&cardsTo, "cards-to", "", "write the numbers made to this CSV file")
	c.Flags().BoolVar(&asJSON, "json", false, "print the counts as JSON")
	return c
}

func runImport(ctx context.Context, cmd *cobra.Command, d *db.DB, m *members.Room, in io.Reader, makeCards bool, cardsTo string, asJSON bool) (err error) {
	o := members.ImportOptions{MakeCards: makeCards}
	last := time.Now()
	o.Progress = func(done, all int) {
		if now := time.Now(); now.Sub(last) > time.Second || done == all {
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d\n", done, all)
			last = now
		}
	}
	if cardsTo != "" {
		f, ferr := os.OpenFile(cardsTo, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
		if ferr != nil {
			return ferr
		}
		w := csv.NewWriter(f)
		defer func() {
			w.Flush()
			err = errors.Join(err, w.Error(), f.Close())
		}()
		if err := w.Write([]string{"external_id", "card", "first_name", "last_name"}); err != nil {
			return err
		}
		o.Made = func(m members.Member) error {
			for _, c := range m.Cards {
				if c.Kind == wire.KindCard {
					if err := w.Write([]string{m.External, c.Number, m.FirstName, m.LastName}); err != nil {
						return err
					}
				}
			}
			return nil
		}
	}
	sum, err := m.Import(ctx, d, in, o)
	var wrong members.RowProblems
	if errors.As(err, &wrong) {
		text := wrong.Error()
		if sum.Rows == 0 {
			text += fmt.Sprintf("\n%d problems, nothing was imported", len(wrong))
		} else {
			text += fmt.Sprintf("\nstopped; %d rows before it are imported, the same file can be imported again", sum.Rows)
		}
		return &checkFailed{text}
	}
	if err != nil {
		return err
	}
	if asJSON {
		return printJSON(cmd.OutOrStdout(), sum)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%d rows: %d added, %d changed, %d unchanged, %d cards made\n", sum.Rows, sum.Added, sum.Changed, sum.Unchanged, sum.Cards)
	return nil
}

func membersAdd(p *program) *cobra.Command {
	var person members.Person
	var card, balance, wallet string
	var makeCard, asJSON bool
	c := &cobra.Command{
		Use: "add", Short: "Add one member", Args: args(cobra.NoArgs),
		Example: "  tillside-central members add --first-name Ada --phone +48501002003 --make-card",
		RunE: func(cmd *cobra.Command, _ []string) error {
			points := loyalty.Points(0)
			if balance != "" {
				var err error
				if points, err = loyalty.ParsePoints(balance); err != nil || points < 0 {
					return &usageError{fmt.Errorf("--balance %s: want points such as 12.50", balance)}
				}
			}
			if err := person.Check(); err != nil {
				return &usageError{err}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				var made *members.Member
				err := d.Write(ctx, func(tx *db.Tx) error {
					id, err := m.Add(tx, person)
					if err != nil {
						return err
					}
					if card != "" {
						if err := m.AddCard(tx, id, wire.KindCard, card, "", "active"); err != nil {
							return err
						}
					} else if makeCard {
						if _, err := m.MakeCard(tx, id); err != nil {
							return err
						}
					}
					if points > 0 {
						if _, err := m.Ledger.AdjustBy(tx, id, wallet, points, "opening:"+id.String()+":"+wallet, "opening balance"); err != nil {
							return err
						}
					}
					made, err = m.Get(tx, id)
					return err
				})
				if errors.Is(err, members.ErrBad) || errors.Is(err, members.ErrTaken) {
					return &usageError{err}
				}
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), made)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "member %s\n", made.ID)
				for _, c := range made.Cards {
					fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", c.Kind, c.Number)
				}
				return nil
			})
		},
	}
	f := c.Flags()
	f.StringVar(&person.External, "external-id", "", "number in the system they come from")
	f.StringVar(&person.FirstName, "first-name", "", "as greeted at the till")
	f.StringVar(&person.LastName, "last-name", "", "")
	f.StringVar(&person.Email, "email", "", "")
	f.StringVar(&person.Phone, "phone", "", "international form: +48501002003")
	f.StringVar(&person.Birthday, "birthday", "", "YYYY-MM-DD or MM-DD")
	f.StringVar(&person.Language, "language", "", "en, ru, pl")
	f.StringSliceVar(&person.Segments, "segment", nil, "may be given several times")
	f.StringVar(&card, "card", "", "number of an existing card")
	f.BoolVar(&makeCard, "make-card", false, "make a new card number")
	f.StringVar(&balance, "balance", "", "opening balance in points")
	f.StringVar(&wallet, "wallet", "points", "wallet of the opening balance")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// listed is a member in the output of `members list --json`; its fields are a
// promise.
type listed struct {
	members.Member
	Wallets map[string]ledger.Balance `json:"wallets"`
}

func membersList(p *program) *cobra.Command {
	var search string
	var limit int
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List members with cards and balances", Args: args(cobra.NoArgs),
		Example: "  tillside-central members list --json\n  tillside-central members list --search 2712345678903",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				all := []listed{}
				err := d.Read(ctx, func(tx *db.Tx) error {
					found, err := findMembers(tx, m, search, limit)
					if err != nil {
						return err
					}
					for _, x := range found {
						b, err := ledger.Balances(tx, x.ID)
						if err != nil {
							return err
						}
						all = append(all, listed{x, b})
					}
					return nil
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "MEMBER\tNAME\tOUTSIDE\tCARDS\tAVAILABLE")
				for _, x := range all {
					var cards, points []string
					for _, c := range x.Cards {
						s := members.Mask(c.Number)
						if c.Status != "active" {
							s += " (" + c.Status + ")"
						}
						cards = append(cards, s)
					}
					for name, b := range x.Wallets {
						points = append(points, name+" "+b.Available.String())
					}
					fmt.Fprintf(w, "%s\t%s %s\t%s\t%s\t%s\n", x.ID, x.FirstName, x.LastName, x.External, strings.Join(cards, ", "), strings.Join(points, ", "))
				}
				return w.Flush()
			})
		},
	}
	c.Flags().StringVar(&search, "search", "", "card, phone, e-mail, outside number or beginning of a name")
	c.Flags().IntVar(&limit, "limit", 0, "at most so many; 0 is all")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with card numbers in full")
	return c
}

func findMembers(tx *db.Tx, m *members.Room, search string, limit int) ([]members.Member, error) {
	if search != "" {
		if limit <= 0 {
			limit = 1000
		}
		return m.Search(tx, search, limit)
	}
	var all []members.Member
	after := loyalty.MemberID(0)
	for {
		n := 500
		if limit > 0 {
			n = min(n, limit-len(all))
		}
		some, err := m.Page(tx, after, n)
		if err != nil || len(some) == 0 {
			return all, err
		}
		all = append(all, some...)
		after = some[len(some)-1].ID
	}
}

func membersCard(p *program, use, status string) *cobra.Command {
	return &cobra.Command{
		Use: use + " CARD", Short: "Make a card " + status + "; tills are told before anything else", Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					ref, err := cardRef(tx, m, a[0])
					if err != nil {
						return err
					}
					if err := m.SetStatus(tx, ref, status); err != nil {
						return fmt.Errorf("card %s: %w", members.Mask(a[0]), err)
					}
					fmt.Fprintf(cmd.OutOrStdout(), "card %s is %s\n", members.Mask(a[0]), status)
					return access.Note(tx, "command line", "card "+use, ref.String(), "", time.Now())
				})
			})
		},
	}
}

func membersErase(p *program) *cobra.Command {
	var card, phone, reason string
	var yes bool
	c := &cobra.Command{
		Use: "erase [MEMBER]", Short: "Forget a person for good, here and at every till", Args: args(cobra.MaximumNArgs(1)),
		Long: `Erases name, contact data, card and phone numbers, consents and segments of a
member. Entries and receipts stay in the ledger under a pseudonym that leads to
nobody. Connected tills forget the member at once, the others at their next
contact before anything else; each writes that into its journal ("members
erasures" shows how many have). It cannot be undone. Without --yes it only says
what it would do.

Backups made before still hold the person: keep them no longer than you must. When
one is put back, the next start erases again whoever is in erased.log of the data
folder.`,
		Example: "  tillside-central members erase --card 2712345678903 --reason \"request of 3 May\" --yes",
		RunE: func(cmd *cobra.Command, a []string) error {
			if b2i(len(a) == 1)+b2i(card != "")+b2i(phone != "") != 1 {
				return &usageError{errors.New("name the member: by id, --card or --phone")}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				var who *members.Member
				err := d.Read(ctx, func(tx *db.Tx) error {
					id, err := findOne(tx, m, a, card, phone)
					if err == nil {
						who, err = m.Get(tx, id)
					}
					return err
				})
				if err != nil {
					return err
				}
				if !yes {
					fmt.Fprintf(cmd.OutOrStdout(), "would erase member %s with %d cards, for good; add --yes\n", who.ID, len(who.Cards))
					return nil
				}
				if err := members.NoteErasure(central.ErasedFile(p.cfg.Data), who.ID); err != nil {
					return err
				}
				err = d.Write(ctx, func(tx *db.Tx) error {
					if err := m.Erase(tx, who.ID, "command line", reason); err != nil {
						return err
					}
					return access.Note(tx, "command line", "member erase", who.ID.String(), reason, time.Now())
				})
				if err != nil {
					return err
				}
				if err := d.Scrub(ctx); err != nil {
					fmt.Fprintf(cmd.ErrOrStderr(), "note: %v\n", err)
				}
				fmt.Fprintf(cmd.OutOrStdout(), "member %s is erased; tills are told before anything else\n", who.ID)
				return nil
			})
		},
	}
	c.Flags().StringVar(&card, "card", "", "by card number")
	c.Flags().StringVar(&phone, "phone", "", "by phone number")
	c.Flags().StringVar(&reason, "reason", "", "why, for the list; nothing about the person")
	c.Flags().BoolVar(&yes, "yes", false, "do it")
	return c
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// findOne finds a member by what the command line named.
func findOne(tx *db.Tx, m *members.Room, a []string, card, phone string) (loyalty.MemberID, error) {
	if len(a) == 1 {
		var id loyalty.MemberID
		if err := id.UnmarshalText([]byte(a[0])); err != nil || id > 1<<63-1 {
			return 0, &usageError{fmt.Errorf("member %q: want the id that \"members list\" prints", a[0])}
		}
		return id, nil
	}
	kind, n, err := wire.KindCard, "", error(nil)
	if card != "" {
		n, err = members.CheckCard(card)
	} else {
		kind = wire.KindPhone
		n, err = members.CheckPhone(phone)
	}
	if err != nil {
		return 0, &usageError{err}
	}
	key, err := m.LookupKeyIfMade(tx)
	if err != nil {
		return 0, err
	}
	return members.ByRef(tx, wire.CardRef(key, kind, n))
}

func membersErasures(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "erasures", Short: "List who was erased, by pseudonym, and how many tills have confirmed it", Args: args(cobra.NoArgs),
		Example: "  tillside-central members erasures --json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var all []members.Erasure
				err := d.Read(ctx, func(tx *db.Tx) (err error) { all, err = members.Erasures(tx); return err })
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "MEMBER\tERASED\tBY\tTILLS\tREASON")
				for _, e := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\n", e.Member, e.At.In(p.zone).Format("2006-01-02 15:04:05"), e.By, e.Told, e.Tills, e.Reason)
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func cardRef(tx *db.Tx, m *members.Room, number string) (wire.Ref, error) {
	n, err := members.CheckCard(number)
	if err != nil {
		return wire.Ref{}, &usageError{err}
	}
	key, err := m.LookupKey(tx)
	if err != nil {
		return wire.Ref{}, err
	}
	return wire.CardRef(key, wire.KindCard, n), nil
}

func membersReissue(p *program) *cobra.Command {
	var number string
	c := &cobra.Command{
		Use: "reissue CARD", Short: "Mark a card as lost and give the member a new one; the balance stays", Args: args(cobra.ExactArgs(1)),
		Example: "  tillside-central members reissue 2712345678903",
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, m *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					ref, err := cardRef(tx, m, a[0])
					if err != nil {
						return err
					}
					fresh, err := m.Reissue(tx, ref, number)
					if errors.Is(err, members.ErrTaken) || errors.Is(err, members.ErrBad) {
						return &usageError{err}
					}
					if err != nil {
						return fmt.Errorf("card %s: %w", members.Mask(a[0]), err)
					}
					fmt.Fprintln(cmd.OutOrStdout(), fresh)
					return access.Note(tx, "command line", "card reissue", ref.String(), "", time.Now())
				})
			})
		},
	}
	c.Flags().StringVar(&number, "number", "", "number of the new card; made when empty")
	return c
}
