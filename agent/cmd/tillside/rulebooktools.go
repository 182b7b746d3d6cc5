package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/loyalty"
)

func rulebookExplain() *cobra.Command {
	var f basketFlags
	var rule string
	cmd := &cobra.Command{
		Use:   "explain --rulebook FILE --receipt FILE [--member FILE] [--rule ID]",
		Short: "say in sentences why a receipt comes out as it does",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f.all = true
			rb, res, err := f.price(cmd)
			if err != nil {
				return err
			}
			x := rb.Explain(res, f.language)
			if rule != "" {
				x.Given, x.Not = only(x.Given, rule), only(x.Not, rule)
				if len(x.Given)+len(x.Not) == 0 {
					return &exitError{code: exitUsage, err: fmt.Errorf("the rulebook has no rule %q to speak of", rule)}
				}
			}
			if f.json {
				return printJSON(cmd, x)
			}
			out := cmd.OutOrStdout()
			fmt.Fprintln(out, x.Summary)
			for _, s := range x.Lines {
				fmt.Fprintf(out, "  %s\n", s.Text)
			}
			for _, s := range x.Given {
				fmt.Fprintf(out, "+ %s: %s\n", title(s), s.Text)
			}
			for _, s := range x.Not {
				fmt.Fprintf(out, "- %s: %s\n", title(s), s.Text)
			}
			return nil
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&rule, "rule", "", "speak of this rule only")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return cmd
}

func title(s loyalty.Sentence) string {
	if s.Name != "" {
		return s.Name + " [" + s.Rule + "]"
	}
	return s.Rule
}

func only(list []loyalty.Sentence, rule string) (out []loyalty.Sentence) {
	for _, s := range list {
		if s.Rule == rule {
			out = append(out, s)
		}
	}
	return out
}

func rulebookDiff() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "diff BEFORE AFTER",
		Short: "list what changes from one rulebook to another",
		Args:  exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			before, err := readRulebook(cmd, args[0])
			if err != nil {
				return err
			}
			after, err := readRulebook(cmd, args[1])
			if err != nil {
				return err
			}
			changes, err := loyalty.Diff(before, after)
			if err != nil {
				return &exitError{code: exitInternal, err: err}
			}
			if asJSON {
				if changes == nil {
					changes = []loyalty.Change{}
				}
				if err := printJSON(cmd, changes); err != nil {
					return err
				}
			} else {
				for _, c := range changes {
					fmt.Fprintln(cmd.OutOrStdout(), c)
				}
			}
			if len(changes) > 0 {
				return &exitError{code: exitFound, err: fmt.Errorf("%d changes", len(changes)), quiet: true}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func rulebookConflicts() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "conflicts FILE",
		Short: "report rules that shadow each other, add up or can never fire",
		Args:  exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			rb, err := compiledRulebook(cmd, args[0])
			if err != nil {
				return err
			}
			found := rb.Conflicts()
			if asJSON {
				if found == nil {
					found = []loyalty.Conflict{}
				}
				if err := printJSON(cmd, found); err != nil {
					return err
				}
			} else {
				for _, c := range found {
					fmt.Fprintln(cmd.OutOrStdout(), c)
				}
			}
			if len(found) > 0 {
				return &exitError{code: exitFound, err: fmt.Errorf("%d conflicts", len(found)), quiet: true}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func rulebookSchema() *cobra.Command {
	var asJSON, markdown bool
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of rulebooks, or their reference in Markdown",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if markdown {
				fmt.Fprint(cmd.OutOrStdout(), loyalty.Reference())
				return nil
			}
			data, err := loyalty.Schema()
			if err != nil {
				return &exitError{code: exitInternal, err: err}
			}
			_, err = cmd.OutOrStdout().Write(data)
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", true, "print JSON (always, but for --markdown)")
	cmd.Flags().BoolVar(&markdown, "markdown", false, "print every field as Markdown tables")
	return cmd
}

// returnFile is what the command return reads: goods that come back.
type returnFile struct {
	Lines []loyalty.ReturnLine `json:"lines"`
}

func rulebookReturn() *cobra.Command {
	var f basketFlags
	var back string
	cmd := &cobra.Command{
		Use:   "return --rulebook FILE --receipt FILE --return FILE [--member FILE]",
		Short: "price a receipt, then say what returning some of it gives and takes back",
		Long: `Price a receipt and replay it for goods that come back. The file of --return
holds {"lines": [{"id": "1", "quantity": "2"}]}; without it all of it comes back.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rb, res, err := f.price(cmd)
			if err != nil {
				return err
			}
			var r returnFile
			if back != "" {
				data, err := readFile(cmd, back, loyalty.ReceiptLimits.Bytes)
				if err != nil {
					return err
				}
				if err := loyalty.Unmarshal(data, &r, loyalty.ReceiptLimits); err != nil {
					return &exitError{code: exitRefused, err: fmt.Errorf("%s: %w", back, err)}
				}
			}
			ret, err := rb.Return(res, nil, r.Lines)
			if err != nil {
				return &exitError{code: exitRefused, err: err}
			}
			return printJSON(cmd, ret)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&back, "return", "", "file of the goods that come back (all)")
	cmd.Flags().BoolVar(&f.json, "json", true, "print JSON (always)")
	return cmd
}

// stateFile is what --state holds: what limits and budgets have used.
type stateFile struct {
	Budgets map[string]*loyalty.Quota   `json:"budgets,omitempty"`
	Usage   map[string]map[string]int64 `json:"usage,omitempty"`
}

func readState(cmd *cobra.Command, name string, in *loyalty.Input) error {
	data, err := readFile(cmd, name, loyalty.ReceiptLimits.Bytes)
	if err != nil {
		return err
	}
	var s stateFile
	if err := loyalty.Unmarshal(data, &s, loyalty.ReceiptLimits); err != nil {
		return &exitError{code: exitRefused, err: fmt.Errorf("%s: %w", name, err)}
	}
	if s.Budgets != nil {
		in.Budgets = s.Budgets
	}
	in.Usage = s.Usage
	return nil
}
