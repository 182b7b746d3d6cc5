package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

func rulebookCommand(p *program) *cobra.Command {
	c := group("rulebook", "Rulebooks: publish, list, show, go back")
	c.AddCommand(rulebookPublish(p), rulebookPrepare(p), rulebookList(p), rulebookShow(p), rulebookRollback(p))
	return c
}

// keyFile is where the key that signs rulebooks lies.
func (p *program) keyFile(flag string) string {
	switch {
	case flag != "":
		return flag
	case p.cfg.SigningKey != "":
		return p.cfg.SigningKey
	}
	return central.KeyFile(p.cfg.Data)
}

// order is what publishing asks besides the content.
type order struct {
	key, note string
	stores    []string
	days      int
	copyOf    int64
	json      bool
}

func (o *order) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.note, "note", "", "what this version is about, for the list")
	c.Flags().StringSliceVar(&o.stores, "store", nil, "for this store only (may be given several times)")
	c.Flags().IntVar(&o.days, "days", int(rulebook.Life/(24*time.Hour)), "tills take it newly for so many days; 0: no end. What a till has it keeps")
}

func (o *order) to(now time.Time) rulebook.For {
	f := rulebook.For{Stores: o.stores}
	if o.days > 0 {
		f.NotAfter = now.AddDate(0, 0, o.days)
	}
	return f
}

// publish prepares, signs with the key of this machine and stores a document.
func (p *program) publish(ctx context.Context, cmd *cobra.Command, d *db.DB, document []byte, o order) error {
	if err := p.firstKeys(ctx, cmd, d); err != nil {
		return err
	}
	file := p.keyFile(o.key)
	signer, err := keys.Load(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("the key %s is not on this machine: make a file with \"rulebook prepare\", sign it with \"keys sign\" where the key is, and publish the signed file", file)
	}
	if err != nil {
		return err
	}
	now := time.Now()
	return d.Write(ctx, func(tx *db.Tx) error {
		b, _, err := rulebook.Prepare(tx, document, o.to(now), now, central.NewEngine(d).Check)
		if err != nil {
			return unchecked(err)
		}
		if err := b.Sign(signer); err != nil {
			return err
		}
		return p.store(cmd, tx, d, b, o, now)
	})
}

// store publishes a signed bundle and tells of it.
func (p *program) store(cmd *cobra.Command, tx *db.Tx, d *db.DB, b *wire.Bundle, o order, now time.Time) error {
	got, err := rulebook.Store(tx, b, o.note, o.copyOf, now, central.NewEngine(d).Check)
	if errors.Is(err, trust.ErrSignature) {
		return fmt.Errorf("%w (keys that count: tillside-central keys show; a file that needs more signatures: rulebook prepare, keys sign)", err)
	}
	if err != nil {
		return unchecked(err)
	}
	if err := access.Note(tx, "command line", "rulebook publish", strconv.FormatInt(b.Version, 10), o.note, now); err != nil {
		return err
	}
	for _, w := range got.Warnings {
		fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", w)
	}
	if o.json {
		var by []string
		for _, s := range b.Signatures {
			by = append(by, s.Key)
		}
		return printJSON(cmd.OutOrStdout(), map[string]any{"name": b.Name, "version": b.Version, "rules": got.Rules, "vectors": got.Vectors, "key": by[0], "keys": by})
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s %d: %d rules, %d test vectors passed; tills take it from now on\n", b.Name, b.Version, got.Rules, got.Vectors)
	return nil
}

// unchecked makes a failed check an outcome of its own.
func unchecked(err error) error {
	var bad *central.BadRulebook
	if errors.As(err, &bad) {
		return &checkFailed{bad.Error()}
	}
	return err
}

func rulebookPublish(p *program) *cobra.Command {
	var o order
	c := &cobra.Command{
		Use: "publish FILE", Short: "Check, sign and publish a rulebook under the next version", Args: args(cobra.ExactArgs(1)),
		Long: `Checks a rulebook with the engine of the tills (all problems at once, test
vectors included), signs it and publishes it under the next version. Running
centres and connected tills take it within seconds.

The signing key is a file apart from the database. When it is on another
machine, FILE is what "rulebook prepare" made and "keys sign" signed there; it is
checked again and published as it is.`,
		Example: "  tillside-central rulebook publish grocer.json --note \"double points in May\"\n  tillside-central rulebook publish grocer-7.signed.json",
		RunE: func(cmd *cobra.Command, a []string) error {
			data, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				if b := asBundle(data); b != nil {
					now := time.Now()
					return d.Write(ctx, func(tx *db.Tx) error { return p.store(cmd, tx, d, b, o, now) })
				}
				return p.publish(ctx, cmd, d, data, o)
			})
		},
	}
	o.flags(c)
	c.Flags().StringVar(&o.key, "key", "", "file of the signing key (default: keys/rulebook.key in the data folder)")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}

func rulebookPrepare(p *program) *cobra.Command {
	var o order
	var out string
	c := &cobra.Command{
		Use: "prepare FILE --out FILE", Short: "Check a rulebook and make the file that a keyholder signs", Args: args(cobra.ExactArgs(1)),
		Long: `Checks a rulebook as "publish" does and writes what would be published, without
a signature. Carry the file to where the key is, sign it there with "keys sign",
bring it back and give it to "publish". The version is taken by whatever is
published first.`,
		Example: "  tillside-central rulebook prepare grocer.json --out grocer-7.json\n  tillside-central keys sign --key /media/stick/rulebook.key grocer-7.json\n  tillside-central rulebook publish grocer-7.json",
		RunE: func(cmd *cobra.Command, a []string) error {
			if out == "" {
				return &usageError{errors.New("name the file to write with --out")}
			}
			data, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				now := time.Now()
				return d.Read(ctx, func(tx *db.Tx) error {
					b, _, err := rulebook.Prepare(tx, data, o.to(now), now, central.NewEngine(d).Check)
					if err != nil {
						return unchecked(err)
					}
					if err := writeNew(out, bundleBytes(b)); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "%s %d is in %s, to be signed with: tillside-central keys sign --key KEY %s\n", b.Name, b.Version, out, out)
					return nil
				})
			})
		},
	}
	o.flags(c)
	c.Flags().StringVar(&out, "out", "", "file to write; it must not exist")
	return c
}

func rulebookRollback(p *program) *cobra.Command {
	var o order
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
				o.copyOf = n
				return p.publish(ctx, cmd, d, document, o)
			})
		},
	}
	o.flags(c)
	c.Flags().StringVar(&o.key, "key", "", "file of the signing key")
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
