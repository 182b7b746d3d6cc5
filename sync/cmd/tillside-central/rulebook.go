package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
)

func rulebookCommand(p *program) *cobra.Command {
	c := group("rulebook", "Rulebooks: publish, list, show, go back")
	c.AddCommand(rulebookPublish(p), rulebookList(p), rulebookShow(p), rulebookRollback(p))
	return c
}

// keyFile is where the signing key lies.
func (p *program) keyFile(flag string) string {
	switch {
	case flag != "":
		return flag
	case p.cfg.SigningKey != "":
		return p.cfg.SigningKey
	}
	return central.KeyFile(p.cfg.Data)
}

func (p *program) publish(ctx context.Context, cmd *cobra.Command, d *db.DB, document []byte, key, note string, copyOf int64, asJSON bool) error {
	file := p.keyFile(key)
	signer, made, err := rulebook.LoadKey(file)
	if err != nil {
		return err
	}
	if made {
		fmt.Fprintf(cmd.ErrOrStderr(), "Made a signing key: %s\nKeep a copy of it apart from this machine. Tills enrolled before now do not trust it.\n", file)
	}
	engine := central.NewEngine(d)
	return d.Write(ctx, func(tx *db.Tx) error {
		b, got, err := rulebook.Publish(tx, document, note, copyOf, signer, time.Now(), engine.Check)
		if err != nil {
			var bad *central.BadRulebook
			if errors.As(err, &bad) {
				return &checkFailed{bad.Error()}
			}
			return err
		}
		if err := access.Note(tx, "command line", "rulebook publish", strconv.FormatInt(b.Version, 10), note, time.Now()); err != nil {
			return err
		}
		for _, w := range got.Warnings {
			fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", w)
		}
		if asJSON {
			return printJSON(cmd.OutOrStdout(), map[string]any{"name": b.Name, "version": b.Version, "rules": got.Rules, "vectors": got.Vectors, "key": b.Signatures[0].Key})
		}
		fmt.Fprintf(cmd.OutOrStdout(), "%s %d: %d rules, %d test vectors passed; tills take it from now on\n", b.Name, b.Version, got.Rules, got.Vectors)
		return nil
	})
}

func rulebookPublish(p *program) *cobra.Command {
	var key, note string
	var asJSON bool
	c := &cobra.Command{
		Use: "publish FILE", Short: "Check, sign and publish a rulebook under the next version", Args: args(cobra.ExactArgs(1)),
		Long: `Checks a rulebook with the engine of the tills (all problems at once, test
vectors included), signs it and publishes it under the next version. Running
centres and connected tills take it within seconds.

The signing key is a file apart from the database; it is made on first use.`,
		Example: "  tillside-central rulebook publish grocer.json --note \"double points in May\"",
		RunE: func(cmd *cobra.Command, a []string) error {
			data, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return p.publish(ctx, cmd, d, data, key, note, 0, asJSON)
			})
		},
	}
	c.Flags().StringVar(&key, "key", "", "file of the signing key (default: keys/rulebook.key in the data folder)")
	c.Flags().StringVar(&note, "note", "", "what this version is about, for the list")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func rulebookRollback(p *program) *cobra.Command {
	var key, note string
	c := &cobra.Command{
		Use: "rollback VERSION", Short: "Publish the content of an older version again, as a new version", Args: args(cobra.ExactArgs(1)),
		Example: "  tillside-central rulebook rollback 6",
		RunE: func(cmd *cobra.Command, a []string) error {
			n, err := strconv.ParseInt(a[0], 10, 64)
			if err != nil || n < 1 {
				return &usageError{fmt.Errorf("version %q: want a number", a[0])}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var document []byte
				err := d.Read(ctx, func(tx *db.Tx) error {
					b, err := rulebook.Get(tx, n)
					if err == nil {
						document = b.Payload
					}
					return err
				})
				if err != nil {
					return fmt.Errorf("version %d: %w", n, err)
				}
				return p.publish(ctx, cmd, d, document, key, note, n, false)
			})
		},
	}
	c.Flags().StringVar(&key, "key", "", "file of the signing key")
	c.Flags().StringVar(&note, "note", "", "why, for the list")
	return c
}

func rulebookList(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "List published versions, newest first", Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				var all []rulebook.Published
				err := d.Read(ctx, func(tx *db.Tx) (err error) { all, err = rulebook.List(tx); return err })
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(cmd.OutOrStdout(), all)
				}
				w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
				fmt.Fprintln(w, "VERSION\tNAME\tPUBLISHED\tCOPY OF\tNOTE")
				for _, b := range all {
					of := ""
					if b.CopyOf > 0 {
						of = strconv.FormatInt(b.CopyOf, 10)
					}
					fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", b.Version, b.Name, b.At.In(p.zone).Format("2006-01-02 15:04:05"), of, b.Note)
				}
				return w.Flush()
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func rulebookShow(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "show [VERSION]", Short: "Print a published rulebook, the newest by default", Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error {
			n := int64(0)
			if len(a) == 1 {
				var err error
				if n, err = strconv.ParseInt(a[0], 10, 64); err != nil || n < 1 {
					return &usageError{fmt.Errorf("version %q: want a number", a[0])}
				}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Read(ctx, func(tx *db.Tx) error {
					b, err := rulebook.Get(tx, n)
					if err != nil {
						return err
					}
					var text bytes.Buffer
					if err := json.Indent(&text, b.Payload, "", "  "); err != nil {
						return err
					}
					text.WriteByte('\n')
					_, err = text.WriteTo(cmd.OutOrStdout())
					return err
				})
			})
		},
	}
}
