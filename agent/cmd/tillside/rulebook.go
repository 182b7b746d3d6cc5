package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/loyalty"
)

// Exit codes of the rulebook commands.
const (
	exitFound    = 1 // the command worked and found what it looks for: problems, conflicts, differences
	exitUsage    = 2 // wrong flags, or a file that cannot be read
	exitRefused  = 3 // the receipt or member cannot be priced
	exitInternal = 4
)

// exitError carries an exit code; its error has been shown when quiet.
type exitError struct {
	code  int
	err   error
	quiet bool
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }
func (e *exitError) ExitCode() int { return e.code }

// rulebookCommand is `tillside rulebook`: everything that can be done with a
// rulebook file without a till or a centre.
func rulebookCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rulebook",
		Short: "check, try and explain rulebook files",
		Long: `Work with rulebook files: the documents that say what a programme gives.

Exit codes:
  0  fine
  1  the file has problems, conflicts or differences (they are printed)
  2  wrong flags, or a file that cannot be read
  3  the receipt or member is refused (the reason is printed)`,
		Example: `  tillside rulebook check grocer.json
  tillside rulebook eval --rulebook grocer.json --receipt basket.json --member anna.json
  tillside rulebook explain --rulebook grocer.json --receipt basket.json --language pl`,
		SilenceUsage: true,
	}
	cmd.AddCommand(rulebookCheck(), rulebookEval(), rulebookExplain(), rulebookReturn(), rulebookDiff(), rulebookConflicts(), rulebookSchema())
	return cmd
}

// readRulebook reads and decodes a rulebook file; "-" is standard input.
func readRulebook(cmd *cobra.Command, name string) (*loyalty.Document, error) {
	data, err := readFile(cmd, name, loyalty.DocumentLimits.Bytes)
	if err != nil {
		return nil, err
	}
	doc, err := loyalty.Decode(data)
	if err != nil {
		return nil, &exitError{code: exitFound, err: fmt.Errorf("%s: %w", name, err)}
	}
	return doc, nil
}

// readFile reads at most one byte more than limit, so that the decoder can
// say that there is too much without the memory for it.
func readFile(cmd *cobra.Command, name string, limit int) ([]byte, error) {
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, &exitError{code: exitUsage, err: err}
		}
		defer f.Close()
		in = f
	}
	data, err := io.ReadAll(io.LimitReader(in, int64(limit)+1))
	if err != nil {
		return nil, &exitError{code: exitUsage, err: fmt.Errorf("read %s: %w", name, err)}
	}
	return data, nil
}

// compiledRulebook reads, decodes and compiles.
func compiledRulebook(cmd *cobra.Command, name string) (*loyalty.Rulebook, error) {
	doc, err := readRulebook(cmd, name)
	if err != nil {
		return nil, err
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		return nil, &exitError{code: exitFound, err: fmt.Errorf("%s: %w", name, err)}
	}
	return rb, nil
}

func printJSON(cmd *cobra.Command, v any) error {
	e := json.NewEncoder(cmd.OutOrStdout())
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// checkReport is what `check --json` prints.
type checkReport struct {
	File     string           `json:"file"`
	Version  string           `json:"version,omitempty"`
	OK       bool             `json:"ok"`
	Rules    int              `json:"rules"`
	Vectors  int              `json:"vectors"` // that were run
	Problems loyalty.Problems `json:"problems"`
	// Conflicts do not make a rulebook wrong, but should be known.
	Conflicts []loyalty.Conflict `json:"conflicts"`
}

func rulebookCheck() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check FILE",
		Short: "check a rulebook: form, meaning, conflicts and test vectors",
		Long: `Check a rulebook file (- is standard input) and tell all that is wrong at once, each
with its place, what was found and what would do: form, meaning, what tills that
do not see each other could not keep, and the test vectors in the file. Conflicts
are noted and do not make it wrong. What this finds fine is published and comes
into force.`,
		Example: `  tillside rulebook check grocer.json
  tillside rulebook check --json grocer.json | jq '.problems[] | .path + ": " + .remedy'`,
		Args: exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			report := checkReport{File: args[0], Problems: loyalty.Problems{}, Conflicts: []loyalty.Conflict{}}
			rb, err := compiledRulebook(cmd, args[0])
			var problems loyalty.Problems
			switch {
			case errors.As(err, &problems):
				report.Problems = problems
			case err != nil:
				return err
			default:
				report.Version = rb.Version()
				report.Rules = len(rb.Programme().Rules)
				report.Vectors = len(rb.Programme().Vectors)
				report.Conflicts = append(report.Conflicts, rb.Conflicts()...)
				for _, err := range []error{rb.Publishable(), rb.CheckVectors()} {
					if errors.As(err, &problems) {
						report.Problems = append(report.Problems, problems...)
					}
				}
				report.OK = len(report.Problems) == 0
			}
			if asJSON {
				if err := printJSON(cmd, report); err != nil {
					return err
				}
			} else {
				for _, p := range report.Problems {
					fmt.Fprintln(cmd.OutOrStdout(), p)
				}
				for _, c := range report.Conflicts {
					fmt.Fprintln(cmd.OutOrStdout(), "note:", c)
				}
				if report.OK {
					fmt.Fprintf(cmd.OutOrStdout(), "%s: %s, %d rules, %d vectors: fine\n", args[0], report.Version, report.Rules, report.Vectors)
				}
			}
			if !report.OK {
				return &exitError{code: exitFound, err: fmt.Errorf("%s has %d problems", args[0], len(report.Problems)), quiet: true}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// basketFlags are the flags of the commands that price a receipt.
type basketFlags struct {
	rulebook, receipt, member, language, at string
	state, lease                            string
	offline, all, json                      bool
}

func (f *basketFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.rulebook, "rulebook", "", "rulebook file (required)")
	fl.StringVar(&f.receipt, "receipt", "", "receipt file; lines with sku, quantity and price are enough (required; - is standard input)")
	fl.StringVar(&f.member, "member", "", "member snapshot file; without it the customer is a stranger")
	fl.StringVar(&f.language, "language", "", "language of the texts: en, ru, pl")
	fl.StringVar(&f.at, "at", "", "the moment, when the receipt has no time: 2026-12-24T18:30:00+01:00 (now)")
	fl.StringVar(&f.state, "state", "", "file of what is left of budgets and what limits have used: {\"budgets\": {…}, \"usage\": {…}} (nothing used)")
	fl.StringVar(&f.lease, "lease", "", "with --offline: points that may be spent without a link (0)")
	fl.BoolVar(&f.offline, "offline", false, "price as a till without a link")
	fl.BoolVar(&f.all, "all", false, "trace every rule, also those that could not fire on this basket")
}

// price prices the basket that the flags name.
func (f *basketFlags) price(cmd *cobra.Command) (*loyalty.Rulebook, *loyalty.Result, error) {
	rb, in, err := f.input(cmd)
	if err != nil {
		return nil, nil, err
	}
	res, err := rb.Price(in)
	if err != nil {
		return nil, nil, &exitError{code: exitRefused, err: err}
	}
	return rb, res, nil
}

// input is the basket that the flags name.
func (f *basketFlags) input(cmd *cobra.Command) (rb *loyalty.Rulebook, in loyalty.Input, err error) {
	if f.rulebook == "" || f.receipt == "" {
		return nil, in, &exitError{code: exitUsage, err: errors.New("--rulebook and --receipt are needed; see " + cmd.CommandPath() + " --help")}
	}
	if rb, err = compiledRulebook(cmd, f.rulebook); err != nil {
		return nil, in, err
	}
	in = loyalty.Input{Offline: f.offline, Language: f.language, Now: time.Now(), Budgets: rb.FreshBudgets()}
	if f.all {
		in.Trace = loyalty.TraceAll
	}
	if in.Receipt, err = receiptFile(cmd, f.receipt); err != nil {
		return nil, in, err
	}
	if f.at != "" {
		if in.Now, err = time.Parse(time.RFC3339, f.at); err != nil {
			return nil, in, &exitError{code: exitUsage, err: fmt.Errorf("--at %q is not a time like 2026-12-24T18:30:00+01:00", f.at)}
		}
	}
	if f.state != "" {
		if err := readState(cmd, f.state, &in); err != nil {
			return nil, in, err
		}
	}
	if f.lease != "" {
		if in.Lease, err = loyalty.ParsePoints(f.lease); err != nil {
			return nil, in, &exitError{code: exitUsage, err: fmt.Errorf("--lease: %w", err)}
		}
	}
	if f.member != "" {
		if in.Member, err = memberFile(cmd, f.member); err != nil {
			return nil, in, err
		}
	}
	return rb, in, nil
}

func receiptFile(cmd *cobra.Command, name string) (*loyalty.Receipt, error) {
	data, err := readFile(cmd, name, loyalty.ReceiptLimits.Bytes)
	if err != nil {
		return nil, err
	}
	r, err := loyalty.DecodeReceipt(data)
	if err != nil {
		return nil, &exitError{code: exitRefused, err: fmt.Errorf("%s: %w", name, err)}
	}
	return r, nil
}

func memberFile(cmd *cobra.Command, name string) (*loyalty.Member, error) {
	data, err := readFile(cmd, name, loyalty.ReceiptLimits.Bytes)
	if err != nil {
		return nil, err
	}
	m, err := loyalty.DecodeMember(data)
	if err != nil {
		return nil, &exitError{code: exitRefused, err: fmt.Errorf("%s: %w", name, err)}
	}
	return m, nil
}

func rulebookEval() *cobra.Command {
	var f basketFlags
	cmd := &cobra.Command{
		Use:   "eval --rulebook FILE --receipt FILE [--member FILE]",
		Short: "price a receipt: the body that the call calculate answers",
		Long: `Price a receipt and print, as JSON, what the till's call calculate answers: what each
rule took off each line, points, gifts, coupons, stamps, texts, and in "trace" for
every rule that was looked at whether it fired and why. Budgets and limits are
fresh unless --state says what is left of them; --offline and --lease price as a
till without a link does.

Exit codes: 0 priced, 1 the rulebook has problems, 2 wrong flags or a file that
cannot be read, 3 the receipt or member is refused; what and why is on standard
error.`,
		Example: `  tillside rulebook eval --rulebook grocer.json --receipt basket.json --member anna.json
  tillside rulebook eval --rulebook grocer.json --receipt - --all < basket.json | jq '.trace[] | select(.fired | not)'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, res, err := f.price(cmd)
			if err != nil {
				return err
			}
			return printJSON(cmd, res)
		},
	}
	f.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", true, "print JSON (always)")
	return cmd
}
