package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/trust"
	"github.com/tillside/tillside/sync/wire"
)

func keysCommand(p *program) *cobra.Command {
	c := group("keys", "Keys that vouch for rulebooks and programs: show, make, sign, rotate, publish")
	c.Long = `Tills believe a rulebook or a program because keys have signed it, not because it
comes from the centre. The root says which keys count; its own key is needed only
to change that, and belongs on a stick in a safe.

  keys show       which keys count, and which of them lie on this machine
  keys make       a new key, on any machine; prints its id
  keys sign       adds a signature to a file, on any machine, without a centre
  keys rotate     writes the next root: keys in, keys out, revoked, how many of them
  keys publish    gives a signed root to the tills

"make" and "sign" touch no database: run them where the key is.`
	c.AddCommand(keysShow(p), keysMake(), keysSign(), keysRotate(p), keysPublish(p))
	return c
}

// firstKeys makes keys and root when no centre has run on the folder yet.
func (p *program) firstKeys(ctx context.Context, cmd *cobra.Command, d *db.DB) error {
	files := keys.FilesIn(p.keyFile(""))
	var made bool
	err := d.Write(ctx, func(tx *db.Tx) (err error) { made, err = keys.First(tx, files, time.Now()); return err })
	if err == nil && made {
		fmt.Fprint(cmd.ErrOrStderr(), keysMade(files))
	}
	return err
}

// keysMade is told once, when the keys are new.
func keysMade(f keys.Files) string {
	return fmt.Sprintf(`Made the keys that vouch for rulebooks and programs, in %s
Move root.key and release.key to a stick kept in a safe, with a second copy elsewhere:
the centre never needs them, and whoever has them can make the tills believe anything.
`, filepath.Dir(f.Root))
}

func keysShow(p *program) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show [FILE]", Short: "Show which keys count, or what is in a key file or a signed file", Args: args(cobra.MaximumNArgs(1)),
		Example: "  tillside-central keys show\n  tillside-central keys show root-2.json",
		RunE: func(cmd *cobra.Command, a []string) error {
			out := cmd.OutOrStdout()
			if len(a) == 1 {
				b, err := os.ReadFile(a[0])
				if err != nil {
					return err
				}
				return showFile(out, b)
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				if err := p.firstKeys(ctx, cmd, d); err != nil {
					return err
				}
				var root *trust.Root
				err := d.Read(ctx, func(tx *db.Tx) error {
					st, err := keys.State(tx)
					if err == nil {
						root = st.Root()
					}
					return err
				})
				if err != nil {
					return err
				}
				if asJSON {
					return printJSON(out, root)
				}
				showRoot(out, root)
				files := keys.FilesIn(p.keyFile(""))
				for _, f := range []string{files.Root, files.Release, files.Rulebook} {
					key, err := keys.Load(f)
					if err != nil {
						continue
					}
					id := wire.KeyID(key.Public().(ed25519.PublicKey))
					fmt.Fprintf(out, "here: %s (%s)\n", f, id)
					if slices.Contains(root.Roles[trust.RoleRoot].Keys, id) {
						fmt.Fprintf(cmd.ErrOrStderr(), "warning: the root's key lies on the centre's machine; move %s to a safe place\n", f)
					}
				}
				if left := time.Until(root.Expires); left < 180*24*time.Hour {
					fmt.Fprintf(cmd.ErrOrStderr(), "warning: the root ends %s, and then no till takes a new rulebook: tillside-central keys rotate\n", root.Expires.Format(time.DateOnly))
				}
				return nil
			})
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func showRoot(out io.Writer, r *trust.Root) {
	fmt.Fprintf(out, "root %d of %s, until %s\n", r.Version, r.Tenant, r.Expires.Format(time.DateOnly))
	for _, role := range trust.Roles {
		if d, ok := r.Roles[role]; ok {
			fmt.Fprintf(out, "%-9s %d of %s", role, d.Threshold, strings.Join(d.Keys, " "))
			if d.From > 0 {
				fmt.Fprintf(out, ", from version %d", d.From)
			}
			fmt.Fprintln(out)
		}
	}
	if len(r.Revoked) > 0 {
		fmt.Fprintf(out, "revoked   %s\n", strings.Join(r.Revoked, " "))
	}
}

func showFile(out io.Writer, b []byte) error {
	if pub, err := trust.ParsePublic(b); err == nil {
		fmt.Fprintf(out, "key %s\n", wire.KeyID(pub))
		return nil
	}
	if u := asBundle(b); u != nil {
		until := "no end"
		if !u.NotAfter.IsZero() {
			until = "until " + u.NotAfter.Format(time.DateOnly)
		}
		fmt.Fprintf(out, "rulebook %s %d for %s, stores %s, %s; signed by %s\n", u.Name, u.Version, u.Tenant, orAll(u.Stores), until, signers(u.Signatures))
		return nil
	}
	s, err := trust.ParseSigned(b)
	if err != nil {
		return fmt.Errorf("neither a key, nor a rulebook, a root or a release list: %w", err)
	}
	if s.Kind == trust.RoleRoot {
		r, err := trust.ParseRoot(s.Payload)
		if err != nil {
			return err
		}
		showRoot(out, r)
	} else {
		l, err := trust.ParseReleases(s.Payload)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "release list %d, until %s\n", l.Version, l.Expires.Format(time.DateOnly))
		for _, g := range l.Programs {
			fmt.Fprintf(out, "%s %s %s/%s, %d bytes, stores %s\n", g.Name, g.Version, g.OS, g.Arch, g.Size, orAll(g.Stores))
		}
	}
	fmt.Fprintf(out, "signed by %s\n", signers(s.Signatures))
	return nil
}

func orAll(stores []string) string {
	if len(stores) == 0 {
		return "all"
	}
	return strings.Join(stores, " ")
}

func signers(list []wire.Signature) string {
	if len(list) == 0 {
		return "nobody yet"
	}
	var ids []string
	for _, s := range list {
		ids = append(ids, s.Key)
	}
	return strings.Join(ids, " ")
}

func keysMake() *cobra.Command {
	c := &cobra.Command{
		Use: "make FILE", Short: "Make a key in a new file, and its public half beside it", Args: args(cobra.ExactArgs(1)),
		Long: `Makes a key. FILE is secret and belongs to whoever signs; FILE.pub is what
"keys rotate --add" wants. Needs no centre.`,
		Example: "  tillside-central keys make /media/stick/rulebook-2.key",
		RunE: func(cmd *cobra.Command, a []string) error {
			key, err := keys.Make(a[0])
			if err != nil {
				return err
			}
			pub := key.Public().(ed25519.PublicKey)
			if err := writeNew(a[0]+".pub", trust.FormatPublic(pub)); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key %s in %s, its public half in %s.pub\n", wire.KeyID(pub), a[0], a[0])
			return nil
		},
	}
	return c
}

func keysSign() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use: "sign --key KEY FILE", Short: "Add a signature to a rulebook, a root or a release list", Args: args(cobra.ExactArgs(1)),
		Long: `Adds a signature to a file that "rulebook prepare" or "keys rotate" made, or to a
release list. Needs no centre. It prints what is signed: read it, and read the
rulebook with "keys show", before you use a key from the safe.`,
		Example: "  tillside-central keys sign --key /media/stick/root.key root-2.json",
		RunE: func(cmd *cobra.Command, a []string) error {
			if file == "" {
				return &usageError{errors.New("name the key with --key")}
			}
			key, err := keys.Load(file)
			if err != nil {
				return err
			}
			b, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			var out []byte
			if u := asBundle(b); u != nil {
				if err := u.Sign(key); err != nil {
					return err
				}
				out = bundleBytes(u)
			} else {
				s, err := trust.ParseSigned(b)
				if err != nil {
					return fmt.Errorf("%s: neither a rulebook from \"rulebook prepare\", nor a root or a release list: %w", a[0], err)
				}
				s.Sign(key)
				out = s.Bytes()
			}
			if err := replace(a[0], out); err != nil {
				return err
			}
			return showFile(cmd.OutOrStdout(), out)
		},
	}
	c.Flags().StringVar(&file, "key", "", "file of the private key")
	return c
}

func keysRotate(p *program) *cobra.Command {
	var role, out string
	var add, remove, revoke []string
	var threshold, years int
	c := &cobra.Command{
		Use: "rotate --out FILE", Short: "Write the next root, to be signed and published", Args: args(cobra.NoArgs),
		Long: `Writes the next root with the keys of one role changed. With no change it is the
same root with a later end. It must be signed by as many root keys as the present
root asks and as the new one asks, and then be published:

  tillside-central keys rotate --role rulebook --add new.key.pub --remove 1f2e3d4c5b6a7988 --out root-2.json
  tillside-central keys sign --key /media/stick/root.key root-2.json      # where the key is
  tillside-central keys publish root-2.json

--revoke is for a key that may be in wrong hands: it loses every role, tills
forget how high a version it signed, and a rulebook that only it has signed goes
out of force. Publish a rulebook with a good key right after.`,
		Example: "  tillside-central keys rotate --revoke 1f2e3d4c5b6a7988 --role rulebook --add new.key.pub --out root-3.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" {
				return &usageError{errors.New("name the file to write with --out")}
			}
			of := trust.Role(role)
			if !slices.Contains(trust.Roles, of) {
				return &usageError{fmt.Errorf("--role %s: want root, rulebook or release", role)}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Read(ctx, func(tx *db.Tx) error {
					st, err := keys.State(tx)
					if err != nil {
						return err
					}
					next := st.Root().Next()
					next.Issued = time.Now().UTC().Truncate(time.Second)
					next.Expires = next.Issued.AddDate(years, 0, 0)
					for _, f := range add {
						b, err := os.ReadFile(f)
						if err != nil {
							return err
						}
						pub, err := trust.ParsePublic(b)
						if err != nil {
							return fmt.Errorf("%s: %w", f, err)
						}
						next.Add(of, pub)
					}
					known := func(id string) error {
						if !slices.ContainsFunc(st.Root().Keys, func(k wire.PublicKey) bool { return k.ID == id }) {
							return &usageError{fmt.Errorf("key %s is not in the root; \"keys show\" lists those that are", id)}
						}
						return nil
					}
					for _, id := range remove {
						if err := known(id); err != nil {
							return err
						}
						next.Remove(of, id)
					}
					for _, id := range revoke {
						if err := known(id); err != nil {
							return err
						}
						for _, r := range trust.Roles {
							next.Remove(r, id)
						}
						next.Revoked = append(next.Revoked, id)
					}
					if threshold > 0 {
						dl := next.Roles[of]
						dl.Threshold = threshold
						next.Roles[of] = dl
					}
					// Where a till forgets how high it has seen, honest counting
					// goes on with what is published here now.
					latest, err := tx.Counter("bundle")
					if err != nil {
						return err
					}
					dl := next.Roles[trust.RoleRulebook]
					dl.From = max(dl.From, latest)
					next.Roles[trust.RoleRulebook] = dl
					s, err := next.Sealed()
					if err != nil {
						return &usageError{err}
					}
					if err := writeNew(out, s.Bytes()); err != nil {
						return err
					}
					showRoot(cmd.OutOrStdout(), next)
					fmt.Fprintf(cmd.OutOrStdout(), "in %s, to be signed with: tillside-central keys sign --key KEY %s\n", out, out)
					return nil
				})
			})
		},
	}
	c.Flags().StringVar(&role, "role", string(trust.RoleRulebook), "root, rulebook or release")
	c.Flags().StringSliceVar(&add, "add", nil, "public key file that gets the role")
	c.Flags().StringSliceVar(&remove, "remove", nil, "id of a key that loses the role")
	c.Flags().StringSliceVar(&revoke, "revoke", nil, "id of a key that may be in wrong hands")
	c.Flags().IntVar(&threshold, "threshold", 0, "how many keys of the role must sign (default: as before)")
	c.Flags().IntVar(&years, "years", 5, "how long the root is good")
	c.Flags().StringVar(&out, "out", "", "file to write; it must not exist")
	return c
}

func keysPublish(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "publish FILE", Short: "Give a signed root to the tills", Args: args(cobra.ExactArgs(1)),
		Example: "  tillside-central keys publish root-2.json",
		RunE: func(cmd *cobra.Command, a []string) error {
			b, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					r, err := keys.Publish(tx, b, time.Now())
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "root %d; tills follow it from now on\n", r.Version)
					return access.Note(tx, "command line", "keys publish", fmt.Sprint("root ", r.Version), "", time.Now())
				})
			})
		},
	}
}

// asBundle reads the file form of a rulebook to be published; nil when the
// bytes are something else, such as the rulebook itself.
func asBundle(b []byte) *wire.Bundle {
	if len(b) > 2*wire.MaxItem {
		return nil
	}
	var u wire.Bundle
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&u) != nil || u.Version < 1 || len(u.Payload) == 0 || u.Tenant == "" {
		return nil
	}
	return &u
}

func bundleBytes(b *wire.Bundle) []byte {
	out, err := json.MarshalIndent(b, "", "  ")
	if err != nil { // only strings, numbers and bytes
		panic(err)
	}
	return append(out, '\n')
}

// writeNew writes a file that must not exist.
func writeNew(file string, b []byte) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// replace writes a file whole over an old one.
func replace(file string, b []byte) error {
	tmp := file + ".new"
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		return err
	}
	return os.Rename(tmp, file)
}
