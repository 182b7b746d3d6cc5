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
		Long: `Price a receipt and say in sentences, in English, Russian or Polish, what became of
each line, what each rule gave and why the others gave nothing: what a cashier or
the call centre can tell a customer.

Exit codes: 0 explained, 1 the rulebook has problems, 2 wrong flags, an unknown
rule or a file that cannot be read, 3 the receipt or member is refused.`,
		Example: `  tillside rulebook explain --rulebook grocer.json --receipt basket.json --member anna.json --language pl
  tillside rulebook explain --rulebook grocer.json --receipt basket.json --rule base --json`,
		Args: noArgs,
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
		Long: `List what is added, removed and changed from one rulebook file to another, each with
its place and both values. The order of rules and of fields does not count.

Exit codes: 0 nothing differs, 1 something does or a file has problems, 2 wrong
arguments or a file that cannot be read.`,
		Example: `  tillside rulebook diff grocer-12.json grocer-13.json
  tillside rulebook diff --json grocer-12.json grocer-13.json`,
		Args: exactArgs(2),
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
		Long: `Report what is not wrong with a rulebook but should be known before it is published:
rules that another one shadows, discounts that add up, an order that only the ids
decide, discounts the law makes empty, codes that open two rules, declarations that
nothing uses.

Exit codes: 0 none, 1 some, or the file has problems, 2 wrong arguments or a file
that cannot be read.`,
		Example: `  tillside rulebook conflicts grocer.json
  tillside rulebook conflicts --json grocer.json`,
		Args: exactArgs(1),
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
		Long: `Print the JSON Schema of rulebook files, for editors that complete and check as one
types, or the reference of every field for people. Exit code 0.`,
		Example: `  tillside rulebook schema > rulebook.schema.json
  tillside rulebook schema --markdown > reference.md`,
		Args: noArgs,
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

// returnFlags are those of the command return beside the receipt's.
type returnFlags struct {
	back, sale, now string
	earlier         []string
}

func rulebookReturn() *cobra.Command {
	var f basketFlags
	var r returnFlags
	cmd := &cobra.Command{
		Use:   "return --rulebook FILE --receipt FILE [--return FILE] [--earlier FILE]... [--sale FILE] [--member FILE]",
		Short: "price a receipt, then say what returning some of it gives and takes back",
		Long: `Price a receipt and replay it for goods that come back. The file of --return
holds {"lines": [{"id": "1", "quantity": "2"}]}; without it all that is left comes
back. What had come back before is given with --earlier, once for each return and
in their order, in the same form or as this command printed it.

With --sale other goods are sold on the same receipt: an exchange. They are priced
for the member as she is after the return, and "to_pay" or "refund" is the
difference.

The member of --member is as she was before the receipt; what it and the earlier
returns changed is reckoned. --member-now gives her as she is now instead, when she
has spent meanwhile what the return would take: then the programme's policy
(return_shortfall) shows.

Exit codes: 0 priced, 1 the rulebook has problems, 2 wrong flags or a file that
cannot be read, 3 the receipt, member or return is refused.`,
		Example: `  tillside rulebook return --rulebook grocer.json --receipt basket.json --return back.json
  tillside rulebook return --rulebook grocer.json --receipt basket.json --earlier back.json --sale other.json --member anna.json`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v, err := r.run(cmd, &f)
			if err != nil {
				return err
			}
			return printJSON(cmd, v)
		},
	}
	f.add(cmd)
	fl := cmd.Flags()
	fl.StringVar(&r.back, "return", "", "file of the goods that come back (all that is left)")
	fl.StringArrayVar(&r.earlier, "earlier", nil, "file of what came back before; may be given again")
	fl.StringVar(&r.sale, "sale", "", "receipt file of the goods sold in exchange")
	fl.StringVar(&r.now, "member-now", "", "member snapshot file: as she is at the return")
	fl.BoolVar(&f.json, "json", true, "print JSON (always)")
	return cmd
}

// run prices the receipt and what comes back of it.
func (r *returnFlags) run(cmd *cobra.Command, f *basketFlags) (any, error) {
	rb, in, err := f.input(cmd)
	if err != nil {
		return nil, err
	}
	refused := func(err error) error { return &exitError{code: exitRefused, err: err} }
	sale, err := rb.Price(in)
	if err != nil {
		return nil, refused(err)
	}
	m := rb.Apply(in.Member, sale, sale.Time)
	var already []*loyalty.ReturnResult
	for _, name := range r.earlier {
		lines, err := returnLines(cmd, name)
		if err != nil {
			return nil, err
		}
		one, err := rb.Return(sale, already, lines)
		if err != nil {
			return nil, refused(fmt.Errorf("%s: %w", name, err))
		}
		already, m = append(already, one), rb.ApplyReturn(m, one, sale.Time)
	}
	if r.now != "" {
		if m, err = memberFile(cmd, r.now); err != nil {
			return nil, err
		}
	}
	var lines []loyalty.ReturnLine
	if r.back != "" {
		if lines, err = returnLines(cmd, r.back); err != nil {
			return nil, err
		}
	}
	var v any
	if r.sale == "" {
		v, err = rb.ReturnFor(sale, already, lines, m)
	} else {
		if in.Receipt, err = receiptFile(cmd, r.sale); err != nil {
			return nil, err
		}
		in.Member = m
		v, err = rb.Exchange(in, sale, already, lines)
	}
	if err != nil {
		return nil, refused(err)
	}
	return v, nil
}

// returnLines reads goods that come back: as they are asked for, or as this
// command told them.
func returnLines(cmd *cobra.Command, name string) ([]loyalty.ReturnLine, error) {
	data, err := readFile(cmd, name, loyalty.ReceiptLimits.Bytes)
	if err != nil {
		return nil, err
	}
	var r returnFile
	err = loyalty.Unmarshal(data, &r, loyalty.ReceiptLimits)
	if err == nil {
		return r.Lines, nil
	}
	var told loyalty.ReturnResult
	if loyalty.Unmarshal(data, &told, loyalty.ReceiptLimits) != nil {
		return nil, &exitError{code: exitRefused, err: fmt.Errorf("%s: %w", name, err)}
	}
	var lines []loyalty.ReturnLine
	for _, l := range told.Lines {
		lines = append(lines, loyalty.ReturnLine{ID: l.ID, Quantity: l.Quantity})
	}
	return lines, nil
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
