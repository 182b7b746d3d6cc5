package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/agent/gallery"
)

func galleryCommand() *cobra.Command {
	var out, languages, columns, parts string
	cmd := &cobra.Command{
		Use: "gallery", Short: "Every slip and every display text as pictures, on one page", Args: cobra.NoArgs,
		Long: `Every state of every slip and every customer display as pictures, on one page:
slips in each language and width, one sale on every printer model, every display
model, and a sheet of each code page the models use. Each picture is made by the
real path: rulebook, layout, driver, emulated device.

Pictures of pages that lie in DIR/pages are shown on the same page; ` + "`make gallery`" + `
makes those too (it needs a browser).`,
		Example: "  tillbench gallery --out /tmp/gallery\n  tillbench gallery --out /tmp/gallery --languages pl --columns 32,48",
		RunE: func(cmd *cobra.Command, _ []string) error {
			langs := strings.FieldsFunc(languages, func(r rune) bool { return r == ',' || r == ' ' })
			for _, l := range langs {
				if !strings.Contains(" "+strings.Join(gallery.Languages, " ")+" ", " "+l+" ") {
					return fmt.Errorf("--languages %q: the languages are %s", l, strings.Join(gallery.Languages, ", "))
				}
			}
			var widths []int
			for _, w := range strings.FieldsFunc(columns, func(r rune) bool { return r == ',' || r == ' ' }) {
				n, err := strconv.Atoi(w)
				if err != nil || n < 24 || n > 48 {
					return fmt.Errorf("--columns %q: want numbers from 24 to 48, such as 32,42", w)
				}
				widths = append(widths, n)
			}
			made := map[string]func(context.Context) ([]gallery.Picture, error){
				"slips":    func(ctx context.Context) ([]gallery.Picture, error) { return gallery.Slips(ctx, langs, widths) },
				"displays": func(ctx context.Context) ([]gallery.Picture, error) { return gallery.Displays(ctx, langs) },
				"pages":    gallery.Sheets,
				"printers": func(ctx context.Context) ([]gallery.Picture, error) { return gallery.Printers(ctx, langs) },
			}
			var all []gallery.Picture
			for _, part := range strings.FieldsFunc(parts, func(r rune) bool { return r == ',' || r == ' ' }) {
				f, ok := made[part]
				if !ok {
					return fmt.Errorf("--parts %q: the parts are slips, displays, pages (of code) and printers", part)
				}
				pics, err := f(cmd.Context())
				if err != nil {
					return err
				}
				all = append(all, pics...)
			}
			if err := gallery.Write(out, all); err != nil {
				return err
			}
			page, err := gallery.Index(out, all)
			if err != nil {
				return err
			}
			if abs, err := filepath.Abs(page); err == nil {
				page = abs
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d pictures of slips and displays\n%s\n", len(all), page)
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "folder for the pictures and the page")
	cmd.Flags().StringVar(&languages, "languages", strings.Join(gallery.Languages, ","), "languages to show")
	cmd.Flags().StringVar(&columns, "columns", "24,32,42,48", "widths of slips to show, 24 to 48")
	cmd.Flags().StringVar(&parts, "parts", "slips,displays,pages,printers", "what to show; pages are code pages")
	if err := cmd.MarkFlagRequired("out"); err != nil {
		panic(err) // the flag is two lines above
	}
	return cmd
}
