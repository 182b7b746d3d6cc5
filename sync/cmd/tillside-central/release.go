package main

import (
	"archive/zip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/release"
	"github.com/tillside/tillside/sync/trust"
)

func releaseCommand(p *program) *cobra.Command {
	c := group("release", "Programs for the tills: make a list, pack it, publish it")
	c.Long = `Tills install a program by themselves when a list names it that the release keys
have signed. The list says which program goes to which stores; a later list
replaces it whole. Going back is a later list that names an older version.

  release make      writes a list of programs, to be signed
  keys sign         signs it, on the machine that has the key
  release pack      list and programs in one file, for a stick or for publishing
  release publish   gives it to the tills: each switches in its own hours, and
                    goes back by itself when the new program does not do well`
	c.AddCommand(releaseMake(p), releasePack(), releasePublish(p), releaseShow(p))
	return c
}

func releaseMake(p *program) *cobra.Command {
	var programs []string
	var out string
	var days int
	var number int64
	c := &cobra.Command{
		Use: "make", Short: "Write a list of programs, to be signed", Args: args(cobra.NoArgs),
		Long: `Writes the next list. Each --program is VERSION:OS/ARCH:FILE, and behind an @ the
stores it is for; without stores it is for all. The first that fits a till is
taken, so a pilot stands before the version for everybody.`,
		Example: "  tillside-central release make --out list.json --program 1.5.0:linux/amd64:dist/tillside@warsaw-1 --program 1.4.2:linux/amd64:old/tillside",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if out == "" || len(programs) == 0 {
				return &usageError{errors.New("name the file to write with --out and the programs with --program")}
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Read(ctx, func(tx *db.Tx) error {
					st, err := keys.State(tx)
					if err != nil {
						return err
					}
					have, _, err := release.Newest(tx)
					if err != nil {
						return err
					}
					l := &trust.Releases{Header: st.Root().Header}
					if l.Version = number; number == 0 {
						l.Version = have + 1
					}
					l.Issued = time.Now().UTC().Truncate(time.Second)
					l.Expires = l.Issued.AddDate(0, 0, days)
					for _, s := range programs {
						one, err := parseProgram(s)
						if err != nil {
							return err
						}
						l.Programs = append(l.Programs, *one)
					}
					doc, err := l.Sealed()
					if err != nil {
						return err
					}
					if err := writeNew(out, doc.Bytes()); err != nil {
						return err
					}
					return showFile(cmd.OutOrStdout(), doc.Bytes())
				})
			})
		},
	}
	c.Flags().StringArrayVar(&programs, "program", nil, "VERSION:OS/ARCH:FILE[@STORE,STORE]")
	c.Flags().StringVar(&out, "out", "", "file to write")
	c.Flags().Int64Var(&number, "number", 0, "number of the list; the next one when left out. Tills take no number twice, so count on where lists went out on sticks only")
	c.Flags().IntVar(&days, "days", 90, "how long the list may be taken")
	return c
}

func parseProgram(s string) (*trust.Program, error) {
	s, stores, _ := strings.Cut(s, "@")
	version, rest, ok := strings.Cut(s, ":")
	system, file, ok2 := strings.Cut(rest, ":")
	goos, arch, ok3 := strings.Cut(system, "/")
	if !ok || !ok2 || !ok3 {
		return nil, &usageError{fmt.Errorf("--program %q: want VERSION:OS/ARCH:FILE, such as 1.5.0:linux/amd64:dist/tillside", s)}
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		return nil, err
	}
	p := &trust.Program{Name: "tillside", Version: version, OS: goos, Arch: arch, Size: n, SHA256: hex.EncodeToString(h.Sum(nil))}
	if stores != "" {
		p.Stores = strings.Split(stores, ",")
	}
	return p, nil
}

func releasePack() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use: "pack LIST FILE...", Short: "Put a signed list and its programs into one file", Args: args(cobra.MinimumNArgs(2)),
		Example: "  tillside-central release pack list.json dist/tillside --out tillside-1.5.0.zip",
		RunE: func(cmd *cobra.Command, a []string) error {
			if out == "" {
				return &usageError{errors.New("name the file to write with --out")}
			}
			signed, err := os.ReadFile(a[0])
			if err != nil {
				return err
			}
			doc, err := trust.ParseSigned(signed)
			if err != nil {
				return fmt.Errorf("%s: %w", a[0], err)
			}
			l, err := trust.ParseReleases(doc.Payload)
			if err != nil {
				return fmt.Errorf("%s: %w", a[0], err)
			}
			if len(doc.Signatures) == 0 {
				return fmt.Errorf("%s is signed by nobody yet; sign it with: tillside-central keys sign", a[0])
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o644)
			if err != nil {
				return err
			}
			err = pack(f, signed, l, a[1:])
			if e := f.Close(); err == nil {
				err = e
			}
			if err != nil {
				os.Remove(out)
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s: list %d, %d programs\n", out, l.Version, len(l.Programs))
			return nil
		},
	}
	c.Flags().StringVar(&out, "out", "", "file to write")
	return c
}

func pack(w io.Writer, signed []byte, l *trust.Releases, files []string) error {
	z := zip.NewWriter(w)
	add := func(name string, r io.Reader) error {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		if err == nil {
			_, err = io.Copy(f, r)
		}
		return err
	}
	if err := add(release.ListFile, strings.NewReader(string(signed))); err != nil {
		return err
	}
	done := map[string]bool{}
	for _, path := range files {
		for i := range l.Programs {
			p := &l.Programs[i]
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			if p.Verify(f) == nil && !done[p.SHA256] {
				done[p.SHA256] = true
				if _, err = f.Seek(0, io.SeekStart); err == nil {
					err = add(p.SHA256, f)
				}
			}
			f.Close()
			if err != nil {
				return err
			}
		}
	}
	for _, p := range l.Programs {
		if !done[p.SHA256] {
			return fmt.Errorf("%s %s for %s/%s is in the list and none of the files is it", p.Name, p.Version, p.OS, p.Arch)
		}
	}
	return z.Close()
}

func releasePublish(p *program) *cobra.Command {
	c := &cobra.Command{
		Use: "publish FILE", Short: "Give a signed release to the tills", Args: args(cobra.ExactArgs(1)),
		Example: "  tillside-central release publish tillside-1.5.0.zip",
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					l, err := release.Publish(tx, d.Dir(), a[0], time.Now())
					if err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "list %d published, until %s; tills take it from now on\n", l.Version, l.Expires.Format(time.DateOnly))
					return access.Note(tx, "command line", "release publish", fmt.Sprint(l.Version), "", time.Now())
				})
			})
		},
	}
	return c
}

func releaseShow(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "show", Short: "Show the list the tills are given", Args: args(cobra.NoArgs), Example: "  tillside-central release show",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Read(ctx, func(tx *db.Tx) error {
					_, signed, err := release.Newest(tx)
					if err != nil {
						return err
					}
					if signed == nil {
						fmt.Fprintln(cmd.OutOrStdout(), "no list yet")
						return nil
					}
					return showFile(cmd.OutOrStdout(), signed)
				})
			})
		},
	}
}
