package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
)

// program is what all commands share.
type program struct {
	configFile string
	dataDir    string
	cfg        configs.Central
	zone       *time.Location
}

func command(p *program) *cobra.Command {
	root := &cobra.Command{
		Use:   "tillside-central",
		Short: "The loyalty centre: members, ledger, rulebooks and tills",
		Long: `The loyalty centre: members, ledger, rulebooks and tills.

With no settings it serves from one folder with nothing to install beside it:

  tillside-central run

All other commands work on the same folder, also while the centre runs. Root
becomes the folder's owner for them.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          args(cobra.NoArgs),
		RunE:          help,
		PersistentPreRunE: func(cmd *cobra.Command, args []string) error {
			return p.settings()
		},
	}
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "settings file (TOML)")
	root.PersistentFlags().StringVar(&p.dataDir, "data", "", "data folder (default: from the settings, else the system's place)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err} })
	root.AddCommand(runCommand(p), tillCommand(p), membersCommand(p), rulebookCommand(p), keysCommand(p), releaseCommand(p), ledgerCommand(p), accessCommand(p), configCommand(p), backupCommand(p), versionCommand(), manpageCommand())
	return root
}

// group is a command that only holds others.
func group(use, short string) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Args: args(cobra.NoArgs), RunE: help}
}

func help(cmd *cobra.Command, _ []string) error { return cmd.Help() }

// args wraps cobra's argument checks so that they count as a wrong line.
func args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, a []string) error {
		if err := check(cmd, a); err != nil {
			return &usageError{err}
		}
		return nil
	}
}

// settings reads the settings file, if one is named, and lays the flags over
// it.
func (p *program) settings() error {
	p.cfg = configs.DefaultCentral()
	if p.configFile != "" {
		c, err := configs.LoadCentral(p.configFile)
		if err != nil {
			return err
		}
		p.cfg = *c
	}
	if p.dataDir != "" {
		dir, err := filepath.Abs(p.dataDir)
		if err != nil {
			return err
		}
		p.cfg.Data = dir
	}
	if p.cfg.Data == "" {
		p.cfg.Data = defaultData()
	}
	if err := becomeOwner(p.cfg.Data); err != nil {
		return err
	}
	p.zone = time.Local
	if p.cfg.Zone != "" {
		var err error
		if p.zone, err = time.LoadLocation(p.cfg.Zone); err != nil {
			return fmt.Errorf("zone: %w", err)
		}
	}
	return nil
}

// defaultData is the system's place for an administrator, the folder for
// programs' data in the home for anybody else.
func defaultData() string {
	if runtime.GOOS == "windows" {
		if d := os.Getenv("ProgramData"); d != "" {
			return filepath.Join(d, "Tillside Central")
		}
	}
	if os.Geteuid() == 0 {
		return "/var/lib/tillside-central"
	}
	if d := os.Getenv("XDG_DATA_HOME"); d != "" {
		return filepath.Join(d, "tillside-central")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(".", "tillside-central")
	}
	return filepath.Join(home, ".local", "share", "tillside-central")
}

// open opens the database with the rooms of this program on it.
func (p *program) open(ctx context.Context) (*db.DB, *members.Room, error) {
	d, err := db.Open(ctx, p.cfg.Data)
	if err != nil {
		return nil, nil, err
	}
	l := &ledger.Ledger{Zone: p.zone, Rules: central.NewEngine(d)}
	return d, &members.Room{Ledger: l}, nil
}

// with runs fn on the open database.
func (p *program) with(cmd *cobra.Command, fn func(ctx context.Context, d *db.DB, m *members.Room) error) error {
	d, m, err := p.open(cmd.Context())
	if err != nil {
		return err
	}
	return errors.Join(fn(cmd.Context(), d, m), d.Close())
}

func (p *program) log() *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(p.cfg.Log.Level)) // checked with the settings
	o := &slog.HandlerOptions{Level: level}
	if p.cfg.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

// printJSON writes a value for other programs.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
		fmt.Fprintf(cmd.OutOrStdout(), "tillside-central %s %s %s/%s\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
		return nil
	}}
}

func configCommand(p *program) *cobra.Command {
	c := group("config", "Check or print settings")
	c.AddCommand(&cobra.Command{
		Use: "check", Short: "Check the settings file named by --config", Args: args(cobra.NoArgs),
		Example: "  tillside-central config check --config /etc/tillside/central.toml",
		// The check itself reads the file, so that its problems are the outcome.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.configFile == "" {
				return &usageError{errors.New("name the file with --config")}
			}
			_, err := configs.LoadCentral(p.configFile)
			var problems configs.Problems
			if errors.As(err, &problems) {
				return &checkFailed{problems.Error()}
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is good\n", p.configFile)
			return nil
		},
	}, &cobra.Command{Use: "sample", Short: "Print the commented sample", Args: args(cobra.NoArgs), RunE: func(cmd *cobra.Command, _ []string) error {
		_, err := cmd.OutOrStdout().Write(configs.CentralSample)
		return err
	}})
	return c
}

func backupCommand(p *program) *cobra.Command {
	return &cobra.Command{
		Use: "backup FILE", Short: "Write a consistent copy of the database, also while the centre runs", Args: args(cobra.ExactArgs(1)),
		Long: `Writes a consistent copy of the database to FILE, which must not exist.

The keys of rulebooks and programs are not in it: keep copies of those files apart.
To restore: stop the centre, put the copy in the data folder as central.db,
remove central.db-wal and central.db-shm, start. What the copy lacks the tills
send again; they keep their journals for 35 days.`,
		Example: "  tillside-central backup /var/backups/central-monday.db",
		RunE: func(cmd *cobra.Command, a []string) error {
			return p.with(cmd, func(ctx context.Context, d *db.DB, _ *members.Room) error {
				if _, err := os.Stat(a[0]); err == nil {
					return fmt.Errorf("%s exists already", a[0])
				}
				return d.Backup(ctx, a[0])
			})
		},
	}
}
