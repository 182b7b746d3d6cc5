package filedrop

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bench is an exchange with a set clock and a till that counts what it books.
type bench struct {
	t       *testing.T
	dir     string
	x       *Exchange
	now     time.Time
	booked  map[string]int    // key -> times
	body    map[string]string // key -> body
	down    bool              // the till answers 503
	die     bool              // the program dies between booking and answer
	trouble string
	refused int
	waiting int
}

func newBench(t *testing.T, change func(*Settings)) *bench {
	b := &bench{t: t, dir: t.TempDir(), now: time.Date(2026, 3, 8, 10, 0, 0, 0, time.UTC), booked: map[string]int{}, body: map[string]string{}}
	s := Settings{Folder: b.dir, Location: time.UTC}
	if change != nil {
		change(&s)
	}
	b.start(s)
	return b
}

func (b *bench) start(s Settings) {
	b.x = New(Config{Settings: s, Till: "s1/t1", Now: func() time.Time { return b.now },
		Ask: b.ask, Say: func(field, text string) json.RawMessage {
			return json.RawMessage(fmt.Sprintf(`{"error":{"code":"bad_file","message":%q,"field":%q}}`, text, field))
		},
		Trouble: func(s string) { b.trouble = s }, Refused: func(n int) { b.refused = n }, Waiting: func(n int) { b.waiting = n }})
}

func (b *bench) ask(_ context.Context, c Call) (int, []byte) {
	switch {
	case b.down:
		return 503, []byte(`{"error":{"code":"no_rulebook","message":"not yet"}}`)
	case c.Key == "":
		return 200, []byte(`{"member":{"first_name":"Anna"}}`)
	case b.body[c.Key] != "" && b.body[c.Key] != string(c.Body):
		return 409, []byte(`{"error":{"code":"idempotency_conflict","message":"another body"}}`)
	case b.body[c.Key] == "":
		b.booked[c.Key]++
		b.body[c.Key] = string(c.Body)
	}
	if b.die {
		panic("power cut")
	}
	return 200, []byte(`{"state":"captured","key":"` + c.Key + `"}`)
}

// look looks, and a power cut in it ends the program.
func (b *bench) look() (died bool) {
	defer func() { died = recover() != nil }()
	b.x.Look(context.Background())
	return false
}

// pass lets time go by, looking as it goes.
func (b *bench) pass(d time.Duration) {
	for end := b.now.Add(d); b.now.Before(end); {
		b.now = b.now.Add(250 * time.Millisecond)
		b.look()
	}
}

func (b *bench) put(name, body string) {
	b.t.Helper()
	if err := os.WriteFile(filepath.Join(b.dir, "in", name), []byte(body), 0o644); err != nil {
		b.t.Fatal(err)
	}
	// Time stamps of a file system are coarse; a test's writes are not.
	b.now = b.now.Add(time.Millisecond)
	if err := os.Chtimes(filepath.Join(b.dir, "in", name), b.now, b.now); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) get(path ...string) string {
	out, err := os.ReadFile(filepath.Join(append([]string{b.dir}, path...)...))
	if err != nil {
		return ""
	}
	return string(out)
}

// files lists what is below a folder.
func (b *bench) files(dir string) (out []string) {
	root := filepath.Join(b.dir, dir)
	_ = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(root, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	return out
}

func (b *bench) want(dir string, names ...string) {
	b.t.Helper()
	if got := b.files(dir); strings.Join(got, " ") != strings.Join(names, " ") {
		b.t.Errorf("%s holds %v, want %v", dir, got, names)
	}
}

const sale = `{"request":"sale","id":"R1","lines":[{"sku":"1","quantity":"1","price":"1.00"}]}`

func TestAFileIsAnsweredAndMoved(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.put("r1.json", sale)
	b.pass(time.Second)
	if got := b.get("out", "r1.json"); !strings.Contains(got, `"captured"`) || !strings.HasSuffix(got, "}\n") {
		t.Errorf("answer: %s", got)
	}
	b.want("in")
	b.want("work")
	b.want("done", "2026-03-08/r1.json")
	b.want("failed")
	if b.get("done", "2026-03-08", "r1.json") != sale {
		t.Error("the file changed on the way")
	}
}

// TestDuplicates: the same again has the same answer, another body is refused,
// nothing is booked twice, and no file is lost over the other.
func TestDuplicates(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	var first string
	for i := range 3 {
		b.put("r1.json", sale)
		b.pass(time.Second)
		got := b.get("out", "r1.json")
		if i == 0 {
			first = got
		} else if got != first {
			t.Errorf("another answer: %s", got)
		}
	}
	b.put("r1.json", strings.Replace(sale, "1.00", "2.00", 1))
	b.pass(time.Second)
	if got := b.get("out", "r1.json"); !strings.Contains(got, "idempotency_conflict") {
		t.Errorf("another body: %s", got)
	}
	if b.booked["files:sale:R1"] != 1 {
		t.Errorf("booked %v", b.booked)
	}
	b.want("done", "2026-03-08/r1-2.json", "2026-03-08/r1-3.json", "2026-03-08/r1.json")
	b.want("failed", "r1.json", "r1.json.why.txt")
	if why := b.get("failed", "r1.json.why.txt"); !strings.Contains(why, "R1: idempotency_conflict") {
		t.Errorf("why: %s", why)
	}
	b.pass(time.Second)
	if b.refused != 1 {
		t.Errorf("refused: %d", b.refused)
	}
}

// TestHalfWrittenFilesWait: a file grows byte by byte and is never taken
// before it is whole.
func TestHalfWrittenFilesWait(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	for i := 0; i <= len(sale); i += 7 {
		b.put("r1.json", sale[:i])
		b.pass(time.Second)
		if len(b.booked) > 0 {
			t.Fatalf("booked after %d of %d bytes", i, len(sale))
		}
	}
	b.put("r1.json", sale)
	b.pass(time.Second)
	if b.booked["files:sale:R1"] != 1 {
		t.Error("not booked when whole")
	}
	// Names that mean "not yet".
	for _, n := range []string{"r2.json.tmp", ".r2.json", "~r2.json", "r2.PART", "r2.$$$"} {
		b.put(n, strings.Replace(sale, "R1", "R2", 1))
	}
	b.pass(5 * time.Minute)
	if b.booked["files:sale:R2"] != 0 {
		t.Error("a temporary name was taken")
	}
	if err := os.Rename(filepath.Join(b.dir, "in", "r2.json.tmp"), filepath.Join(b.dir, "in", "r2.json")); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Second)
	if b.booked["files:sale:R2"] != 1 {
		t.Error("not taken after the rename")
	}
	// A table does not tell its end: it must stand still; without a line end longer.
	table := "id;sku;quantity;price\r\nR3;1;1;1\r\n"
	b.put("r3.csv", table)
	b.pass(time.Second)
	b.put("r3.csv", table+"R3;2;1;1\r\n")
	b.pass(1500 * time.Millisecond)
	if b.booked["files:sale:R3"] != 0 {
		t.Error("a growing table was taken")
	}
	b.pass(time.Second)
	if b.booked["files:sale:R3"] != 1 || !strings.Contains(b.body["files:sale:R3"], `"sku":"2"`) {
		t.Error("a table that stands still was not taken whole")
	}
	b.put("r4.csv", strings.TrimRight(strings.ReplaceAll(table, "R3", "R4"), "\r\n"))
	b.pass(3 * time.Second)
	if b.booked["files:sale:R4"] != 0 {
		t.Error("a table without its last line end was taken at once")
	}
	b.pass(4 * time.Second)
	if b.booked["files:sale:R4"] != 1 {
		t.Error("a table without its last line end was never taken")
	}
	// One that never becomes whole is refused, not left for ever.
	b.put("r5.json", sale[:30])
	b.pass(50 * time.Second)
	b.want("failed")
	b.pass(15 * time.Second)
	b.want("failed", "r5.json", "r5.json.why.txt")
	if got := b.get("out", "r5.json"); !strings.Contains(got, "ends in the middle") {
		t.Errorf("answer: %s", got)
	}
}

func TestFlags(t *testing.T) {
	b := newBench(t, func(s *Settings) { s.Flag = ".flg" })
	b.look()
	b.put("r1.csv", "id;sku;quantity;price\r\nR1;1;1;1\r\n")
	b.pass(5 * time.Minute)
	if len(b.booked) != 0 {
		t.Error("taken without its flag")
	}
	b.put("r1.flg", "")
	b.pass(250 * time.Millisecond)
	if b.booked["files:sale:R1"] != 1 {
		t.Error("not taken with its flag")
	}
	b.want("in")
	b.want("done", "2026-03-08/r1.csv", "2026-03-08/r1.flg")
	// A flag that is left over must not let the next file in before its time.
	b.put("r2.csv.FLG", "")
	b.pass(5 * time.Second)
	b.put("r2.csv", "id;sku;quantity;price\r\nR2;1;1;1\r\n")
	b.pass(5 * time.Second)
	if b.booked["files:sale:R2"] != 0 {
		t.Error("an old flag let a new file in")
	}
}

// TestCrashBetweenBookingAndAnswer cuts the power right after the till has
// booked: after the restart there is one booking and its answer.
func TestCrashBetweenBookingAndAnswer(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.put("r1.json", sale)
	b.die = true
	for range 10 {
		b.now = b.now.Add(250 * time.Millisecond)
		if b.look() {
			break
		}
	}
	if b.booked["files:sale:R1"] != 1 {
		t.Fatal("not booked before the cut")
	}
	b.want("work", "r1.json")
	b.want("out")
	b.die = false
	b.start(Settings{Folder: b.dir})
	b.pass(time.Second)
	if b.booked["files:sale:R1"] != 1 || !strings.Contains(b.get("out", "r1.json"), "captured") {
		t.Errorf("after the restart: booked %v, answer %s", b.booked, b.get("out", "r1.json"))
	}
	b.want("done", "2026-03-08/r1.json")
}

// TestWhatPassesIsWaitedOut: a sale waits for the till, a question does not;
// others are not held up.
func TestWhatPassesIsWaitedOut(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	b.down = true
	b.put("r1.json", sale)
	b.put("q.json", `{"card":"2000000125008"}`)
	b.pass(5 * time.Minute)
	if b.get("out", "r1.json") != "" || b.waiting != 1 {
		t.Errorf("a sale was answered while nothing could be booked; %d wait", b.waiting)
	}
	if got := b.get("out", "q.json"); !strings.Contains(got, "no_rulebook") {
		t.Errorf("the question: %s", got)
	}
	b.down = false
	b.pass(time.Minute)
	if b.booked["files:sale:R1"] != 1 || !strings.Contains(b.get("out", "r1.json"), "captured") {
		t.Error("the sale was not booked afterwards")
	}
	// In one file, what was booked before the refusal stays booked once.
	b.down = false
	list := "id;sku;quantity;price\r\nR7;1;1;1\r\nR8;1;1;1\r\n"
	b.put("two.csv", list)
	b.pass(3 * time.Second)
	if b.booked["files:sale:R7"] != 1 || b.booked["files:sale:R8"] != 1 {
		t.Errorf("two in one: %v", b.booked)
	}
	if got := b.get("out", "two.csv"); strings.Count(got, ";status;ok") != 2 {
		t.Errorf("%s", got)
	}
}

// TestFolderTroubles: no folder, another till's folder, a share that comes and
// goes, an answer that cannot be written, links.
func TestFolderTroubles(t *testing.T) {
	b := newBench(t, nil)
	b.look()
	other := New(Config{Settings: Settings{Folder: b.dir}, Till: "s1/t2", Trouble: func(s string) { b.trouble = s }})
	other.Look(context.Background())
	if !strings.Contains(b.trouble, "s1/t1") {
		t.Errorf("a second till in the folder: %q", b.trouble)
	}
	away := b.dir + "-away"
	if err := os.Rename(b.dir, away); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Second)
	if b.trouble == "" {
		t.Error("no word about a folder that is gone")
	}
	if err := os.Rename(away, b.dir); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Second)
	if b.trouble != "" {
		t.Errorf("still: %s", b.trouble)
	}
	// A folder stands where the answer belongs: the request waits, booked once.
	if err := os.Mkdir(filepath.Join(b.dir, "out", "r1.json"), 0o755); err != nil {
		t.Fatal(err)
	}
	b.put("r1.json", sale)
	b.pass(10 * time.Second)
	b.want("work", "r1.json")
	if err := os.Remove(filepath.Join(b.dir, "out", "r1.json")); err != nil {
		t.Fatal(err)
	}
	b.pass(time.Minute)
	if b.booked["files:sale:R1"] != 1 || !strings.Contains(b.get("out", "r1.json"), "captured") {
		t.Errorf("booked %v, answer %q", b.booked, b.get("out", "r1.json"))
	}
	if err := os.Symlink(filepath.Join(b.dir, "owner.txt"), filepath.Join(b.dir, "in", "link.json")); err == nil {
		b.pass(5 * time.Minute)
		if b.get("out", "link.json") != "" {
			t.Error("a link was followed")
		}
	}
	b.put("big.json", `{"id":"`+strings.Repeat("x", 9<<20)+`"}`)
	b.pass(5 * time.Second)
	if !strings.Contains(b.get("out", "big.json"), "more than") {
		t.Error("a file without bounds")
	}
}
