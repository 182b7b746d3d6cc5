package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/members"
)

// stopGrace is how long sessions and requests may take to end.
const stopGrace = 8 * time.Second

func runCommand(p *program) *cobra.Command {
	var listen, url string
	c := &cobra.Command{
		Use: "run", Short: "Serve tills and pages until stopped", Args: args(cobra.NoArgs),
		Long: `Serves tills and pages until stopped. The real address is printed and written
to the file "address" in the data folder. It speaks TLS, with a certificate of
its own authority unless the settings name another. At the first start the password of
the operator "admin" is printed, once.`,
		Example: "  tillside-central run\n  tillside-central run --data ./centre --listen 127.0.0.1:0",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listen != "" {
				if _, _, err := net.SplitHostPort(listen); err != nil {
					return &usageError{fmt.Errorf("--listen %s: want address and port such as 0.0.0.0:8760", listen)}
				}
				p.cfg.Listen = listen
			}
			if url != "" {
				p.cfg.URL = url
			}
			if err := p.cfg.Check(); err != nil { // the flags may not fit the settings
				return &usageError{err}
			}
			return p.serve(cmd)
		},
	}
	c.Flags().StringVar(&listen, "listen", "", "address and port; port 0 takes a free one (default 127.0.0.1:8760)")
	c.Flags().StringVar(&url, "url", "", "how tills reach the centre from outside: https://loyalty.example")
	return c
}

func (p *program) serve(cmd *cobra.Command) error {
	ctx := cmd.Context()
	s, err := central.Open(ctx, central.Config{
		Dir: p.cfg.Data, Listen: p.cfg.Listen, URL: p.cfg.URL, Hosts: p.cfg.Hosts, Zone: p.zone,
		SignKey: p.cfg.SigningKey,
		Cert:    p.cfg.TLS.Cert, CertKey: p.cfg.TLS.Key, OwnTLS: p.ownTLS(), Version: version, Log: p.log(),
	})
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	fmt.Fprintf(out, "Tillside central is at %s, data in %s\n", s.URL(), p.cfg.Data)
	if f := s.CAFile(); f != "" {
		fmt.Fprintf(out, "Its certificate is signed by %s; let browsers trust that file\n", f)
	}
	if s.KeysMade {
		fmt.Fprint(out, keysMade(keys.FilesIn(p.keyFile(""))))
	}
	if s.Password != "" {
		fmt.Fprintf(out, "Log in as %s with the password %s (shown only now)\n", access.Admin, s.Password)
	}
	select {
	case <-ctx.Done():
	case err = <-s.Failed():
	}
	stop, cancel := context.WithTimeout(context.Background(), stopGrace)
	defer cancel()
	if cerr := s.Close(stop); cerr != nil && err == nil && stop.Err() == nil {
		err = cerr
	}
	return err
}

func accessCommand(p *program) *cobra.Command {
	c := group("access", "Who may look at the pages")
	c.AddCommand(&cobra.Command{
		Use: "reset [NAME]", Short: "Give an operator a new password and print it; makes the operator when there is none", Args: args(cobra.MaximumNArgs(1)),
		Example: "  tillside-central access reset admin",
		RunE: func(cmd *cobra.Command, a []string) error {
			name := access.Admin
			if len(a) == 1 {
				name = a[0]
			}
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				return d.Write(ctx, func(tx *db.Tx) error {
					password, err := access.Reset(tx, name, time.Now())
					if err != nil {
						return err
					}
					if err := access.Note(tx, "command line", "access reset", name, "", time.Now()); err != nil {
						return err
					}
					fmt.Fprintf(cmd.OutOrStdout(), "Log in as %s with the password %s (shown only now)\n", name, password)
					return nil
				})
			})
		},
	})
	return c
}
