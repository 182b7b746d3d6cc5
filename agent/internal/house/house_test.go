package house

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root   = "../../.."
	module = "github.com/tillside/tillside/"
)

// pkg is one package folder of the tree.
type pkg struct {
	dir     string // "agent/store"
	name    string
	docs    []string // files with a package comment
	imports map[string]bool
	files   []string
	tests   map[string]bool // imports of its tests
}

var tree = func() map[string]*pkg {
	all := map[string]*pkg{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if n := d.Name(); path != root && (strings.HasPrefix(n, ".") || n == "testdata" || n == "bin") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(rel)
		p := all[dir]
		if p == nil {
			p = &pkg{dir: dir, imports: map[string]bool{}, tests: map[string]bool{}}
			all[dir] = p
		}
		test := strings.HasSuffix(path, "_test.go")
		for _, i := range f.Imports {
			if name := strings.Trim(i.Path.Value, `"`); test {
				p.tests[name] = true
			} else {
				p.imports[name] = true
			}
		}
		if test {
			return nil
		}
		p.name = f.Name.Name
		p.files = append(p.files, path)
		if f.Doc != nil && !directive(f.Doc) {
			p.docs = append(p.docs, filepath.Base(path))
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	return all
}()

// directive tells a comment that is only for tools.
func directive(c *ast.CommentGroup) bool { return strings.TrimSpace(c.Text()) == "" }

// TestEveryPackageIsExplainedOnce: a reader who opens a room finds out what it
// is for, in one place.
func TestEveryPackageIsExplainedOnce(t *testing.T) {
	if len(tree) < 15 {
		t.Fatalf("only %d packages found", len(tree))
	}
	for dir, p := range tree {
		if len(p.files) == 0 {
			continue // tests only
		}
		if len(p.docs) != 1 {
			t.Errorf("%s has %d package comments %v, want one", dir, len(p.docs), p.docs)
		}
	}
}

// TestImportsPointOneWay: which room may know which.
func TestImportsPointOneWay(t *testing.T) {
	for _, rule := range []struct {
		rooms, not []string // folder prefixes
		except     []string
		why        string
	}{
		{[]string{"agent/loyalty", "sync/wire"}, []string{""}, nil, "the engine and the wire words import nothing of ours, so that both ends can share them"},
		{[]string{"agent/receipt"}, []string{"agent/till", "agent/store", "drivers", "sync", "configs"}, nil, "the layout of slips is pure"},
		{[]string{"drivers"}, []string{"agent", "sync"}, []string{"agent/gallery"}, "drivers know no till; the bench alone shows what a till makes of them"},
		{[]string{"sync"}, []string{"drivers", "agent"}, []string{"agent/loyalty"}, "the centre and the link know no device and no till, only the shared engine"},
		{[]string{"configs"}, []string{"agent", "sync", "installer"}, []string{"agent/loyalty"}, "settings are data"},
		{[]string{"agent/store", "agent/health", "agent/pages"}, []string{"agent/till", "drivers", "installer"}, nil, "what the counter stands on does not know the counter"},
		{[]string{"agent/till"}, []string{"sync/uplink", "sync/hub", "sync/central", "installer", "agent/pages"}, nil, "the counter is given a link and pages, it does not choose them"},
		{[]string{"agent"}, []string{"sync/central", "sync/hub"}, []string{}, "a till holds no part of the centre"},
	} {
		for dir, p := range tree {
			if !under(dir, rule.rooms) || strings.HasPrefix(dir, "agent/e2e") {
				continue
			}
			for imp := range p.imports {
				own, ours := strings.CutPrefix(imp, module)
				if ours && under(own, rule.not) && !under(own, rule.rooms) && !(len(rule.except) > 0 && under(own, rule.except)) {
					t.Errorf("%s imports %s: %s", dir, own, rule.why)
				}
			}
		}
	}
}

// TestForeignPackagesStayInTheirRooms: a library that bites is touched in one
// place, where its pitfalls are known.
func TestForeignPackagesStayInTheirRooms(t *testing.T) {
	for prefix, rooms := range map[string][]string{
		"go.bug.st/serial":             {"drivers/line"},
		"go.etcd.io/bbolt":             {"agent/store", "sync/outbox", "sync/boltfile", "sync/uplink/uplinktest"},
		"github.com/kardianos/service": {"installer"},
		"github.com/spf13/cobra":       {"agent/cmd", "sync/cmd", "drivers/cmd", "agent/e2e", "installer/manpage"},
		"modernc.org/sqlite":           {"sync/central/db"},
		"unsafe":                       {"drivers", "installer", "agent/internal/private"},
	} {
		for dir, p := range tree {
			for imp := range p.imports {
				if (imp == prefix || strings.HasPrefix(imp, prefix+"/")) && !under(dir, rooms) {
					t.Errorf("%s imports %s, which belongs in %v", dir, imp, rooms)
				}
			}
		}
	}
}

func under(dir string, rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return r == "" || dir == r || strings.HasPrefix(dir, r+"/") })
}

// TestAgentStaysSmall: what must not come into the till's program, by any way.
func TestAgentStaysSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("asks the go tool")
	}
	cmd := exec.Command("go", "list", "-deps", "./agent/cmd/tillside")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		dep = strings.TrimSpace(dep)
		for _, heavy := range []string{"github.com/prometheus", "github.com/santhosh-tekuri/jsonschema", "modernc.org", "github.com/nicksnyder",
			"golang.org/x/image", "github.com/chromedp", "testing", "github.com/jackc", module + "sync/central", module + "drivers/emulator"} {
			if dep == heavy || strings.HasPrefix(dep, heavy+"/") {
				t.Errorf("the agent contains %s", dep)
			}
		}
	}
}

// TestNoFoldersWithoutPurpose: sync is a room, not a package; a package of
// that name would steal the standard library's.
func TestNoFoldersWithoutPurpose(t *testing.T) {
	list, err := filepath.Glob(filepath.Join(root, "sync", "*.go"))
	if err != nil || len(list) > 0 {
		t.Errorf("Go files in sync/: %v %v", list, err)
	}
	for dir, p := range tree {
		if slices.Contains([]string{"util", "utils", "common", "helpers", "models", "interfaces", "types", "misc"}, p.name) {
			t.Errorf("%s says what layer it is in, not what it is for", dir)
		}
	}
}

// TestCodeOfLibrariesHasNoExit: only main ends the program.
func TestCodeOfLibrariesHasNoExit(t *testing.T) {
	for dir, p := range tree {
		if p.name == "main" || strings.HasSuffix(p.name, "test") {
			continue // suites may run tests
		}
		for _, file := range p.files {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, bad := range []string{"os.Exit(", "log.Fatal", "slog.Info(", "slog.Error(", "slog.Warn("} {
				for n, line := range strings.Split(string(b), "\n") {
					if strings.Contains(line, bad) && !strings.HasPrefix(strings.TrimSpace(line), "//") {
						t.Errorf("%s:%d in %s: %s", file, n+1, dir, bad)
					}
				}
			}
		}
	}
}
