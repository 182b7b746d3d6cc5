package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/installer"
)

// The exit codes; main.go says what they mean.
const (
	exitFailed = 1
	// exitUsage = 2, shared with the rulebook commands
	exitSettings   = 3
	exitInUse      = 4
	exitNotEnroled = 5
	exitNotRunning = 6
	exitUnwell     = 7
	exitForced     = 8
	exitRestart    = 9
)

// exit is an error with an exit code of its own. quiet ones were told already.
type exit struct {
	code  int
	err   error
	quiet bool
}

func (e *exit) Error() string { return e.err.Error() }
func (e *exit) Unwrap() error { return e.err }

// program is the command line with its surroundings, so that tests can run it.
type program struct {
	in      io.Reader
	out     io.Writer
	err     io.Writer
	version string

	configFile string
	dataDir    string
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tillside",
		Short: "The loyalty agent beside a till",
		Long: `Tillside reads cards, prices receipts by the loyalty rules, prints the
balance, and talks to the centre whenever it can be reached.

  A new till, from the centre's one-time code to a sale:
    tillside enrol --server https://loyalty.example.com --code 7K2M-9QXT-4WDH
    tillside token add cashdesk          # prints the token for the cash software
    tillside run                         # or: tillside service install

  Look after it:
    tillside status
    tillside config check`,
		SilenceUsage: true, SilenceErrors: true,
		Args: cobra.ArbitraryArgs, RunE: needCommand,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().StringVar(&p.configFile, "config", "", "settings file (default: till.toml in the folder of --data, without --data "+installer.DefaultConfig()+")")
	root.PersistentFlags().StringVar(&p.dataDir, "data", "", "data folder (default: as in the settings, then "+installer.DefaultData()+")")
	root.SetIn(p.in)
	root.SetOut(p.out)
	root.SetErr(p.err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &exit{code: exitUsage, err: err} })
	root.AddCommand(p.runCmd(), p.configureCmd(), p.enrolCmd(), p.statusCmd(), p.doctorCmd(), p.bundleCmd(), p.updateCmd(), p.rollbackCmd(), p.configCmd(), p.tokenCmd(), p.pageCmd(),
		p.devicesCmd(), p.filesCmd(), p.wedgeCmd(), p.outboxCmd(), p.serviceCmd(), p.versionCmd(), rulebookCommand(), p.manpageCmd(), exitCodesTopic())
	root.AddCommand(p.relayCmd())
	return root
}

// main runs a command line and returns its exit code.
func (p *program) main(args []string) int {
	root := p.root()
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return 0
	}
	code, quiet := exitFailed, false
	var e *exit
	var coded *exitError
	var problems configs.Problems
	switch {
	case errors.As(err, &coded):
		code, quiet = coded.code, coded.quiet
	case errors.As(err, &e):
		code, quiet = e.code, e.quiet
	case errors.As(err, &problems):
		code = exitSettings
	case errors.Is(err, store.ErrInUse):
		code = exitInUse
	}
	if !quiet {
		fmt.Fprintln(p.err, "tillside:", err)
	}
	return code
}

// noArgs refuses arguments with the exit code of a wrong command line.
func noArgs(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return &exit{code: exitUsage, err: err}
	}
	return nil
}

func exactArgs(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := cobra.ExactArgs(n)(cmd, args); err != nil {
			return &exit{code: exitUsage, err: err}
		}
		return nil
	}
}

// settings finds and reads the settings: --config, till.toml in --data, the
// system's place; without a file the defaults. file is empty then.
func (p *program) settings() (s *configs.Agent, file string, err error) {
	var tried []string
	if p.configFile != "" {
		tried = []string{p.configFile}
	} else {
		if p.dataDir != "" {
			tried = append(tried, filepath.Join(p.dataDir, "till.toml"))
		}
		if p.dataDir == "" {
			tried = append(tried, installer.DefaultConfig())
		}
	}
	for _, f := range tried {
		s, err = configs.LoadAgent(f)
		if err == nil {
			file = f
			break
		}
		if !errors.Is(err, configs.ErrNoFile) || p.configFile != "" {
			return nil, f, err
		}
	}
	if s == nil {
		d := configs.DefaultAgent()
		s = &d
	}
	if p.dataDir != "" {
		if s.Data, err = filepath.Abs(p.dataDir); err != nil {
			return nil, file, err
		}
	}
	if s.Data == "" {
		s.Data = installer.DefaultData()
	}
	return s, file, nil
}

// data is the data folder alone, for commands that need no settings.
func (p *program) data() (string, error) {
	s, _, err := p.settings()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(s.Data, 0o700); err != nil {
		return "", fmt.Errorf("data folder: %w", err)
	}
	return s.Data, nil
}
