package manpage_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tillside/tillside/installer/manpage"
)

func TestPageSaysWhatHelpSays(t *testing.T) {
	root := &cobra.Command{Use: "thing", Short: "does things", Long: "Thing does.\n.Dots are no requests.\n\nThen:\n  thing go\n\n'Quoted."}
	root.PersistentFlags().String("data", "", "the `FOLDER`")
	group := &cobra.Command{Use: "group", Short: "Holds others"}
	gone := &cobra.Command{Use: "go WHERE", Short: "Go there", Example: `  thing group go C:\x`, Run: func(*cobra.Command, []string) {}}
	gone.Flags().Int("n", 3, "how often")
	hidden := &cobra.Command{Use: "secret", Hidden: true, Run: func(*cobra.Command, []string) {}}
	group.AddCommand(gone)
	root.AddCommand(group, hidden)
	var b strings.Builder
	p := manpage.Page{Date: time.Unix(1e9, 0), Version: "1.2", Exits: [][2]string{{"0", "done"}}, Files: [][2]string{{"/etc/thing", "settings"}}, SeeAlso: []string{"other(1)"}}
	if err := manpage.Write(&b, root, p); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, want := range []string{".TH \"THING\" 1 \"2001-09-09\" \"thing 1.2\"", "\\&.Dots", "\\&'Quoted", ".SS thing group go WHERE [flags]",
		"Go there.", `thing group go C:\ex`, ".B \\-\\-n \\fIint\\fP\nhow often (default 3)", ".B \\-\\-data \\fIFOLDER\\fP", ".SH EXIT STATUS", "/etc/thing", "other(1)"} {
		if !strings.Contains(page, want) {
			t.Errorf("nothing of %q in\n%s", want, page)
		}
	}
	if strings.Contains(page, "secret") {
		t.Error("a hidden command is shown")
	}
	tool, err := exec.LookPath("man")
	if err != nil {
		return
	}
	cmd := exec.Command(tool, "--warnings", "-l", "-")
	cmd.Stdin = strings.NewReader(page)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "MANPAGER=cat"}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Contains(string(out), "warning") {
		t.Errorf("man: %v\n%s", err, out)
	}
}
