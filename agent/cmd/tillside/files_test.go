package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/e2e/retail"
	"github.com/tillside/tillside/agent/filedrop"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/drivers/codepage"
)

// exchange gives a till's folder an exchange of files and returns its folder.
func exchange(t *testing.T, dir, more string) string {
	t.Helper()
	drop := t.TempDir()
	toml := fmt.Sprintf("version = 1\n[files]\nfolder = %q\npoll = \"50ms\"\nsettle = \"200ms\"\npatience = \"2s\"\n%s", filepath.ToSlash(drop), more)
	if err := os.WriteFile(filepath.Join(dir, "till.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return drop
}

// drop puts a file into the exchange as careful software does.
func drop(t *testing.T, folder, name string, b []byte) {
	t.Helper()
	tmp := filepath.Join(folder, "in", name+".tmp")
	if err := os.WriteFile(tmp, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(folder, "in", name)); err != nil {
		t.Fatal(err)
	}
}

// awaitFile waits for a file; the test's own time limit ends a wait in vain.
func awaitFile(t *testing.T, path string) []byte {
	t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err == nil {
			return b
		}
		if time.Now().After(end) {
			t.Fatalf("no %s after three minutes", path)
		}
	}
}

// inFormat writes a receipt as the three formats have it.
func inFormat(t *testing.T, form filedrop.Format, r retail.Receipt, card string) []byte {
	t.Helper()
	head := map[string]string{"request": "sale", "id": r.ID, "card": card, "currency": "GBP", "shift": "7", "time": r.Time.Format(time.RFC3339)}
	var lines []map[string]string
	for _, l := range r.Lines {
		one := map[string]string{"id": l.ID, "sku": l.SKU, "name": l.Name, "category": l.Category, "quantity": l.Quantity.String(), "price": l.Price.String()}
		for k, v := range one {
			if v == "" {
				delete(one, k)
			}
		}
		lines = append(lines, one)
	}
	if card == "" {
		delete(head, "card")
	}
	var b bytes.Buffer
	switch form {
	case filedrop.JSON:
		doc := map[string]any{"lines": lines}
		for k, v := range head {
			doc[k] = v
		}
		if err := json.NewEncoder(&b).Encode(doc); err != nil {
			t.Fatal(err)
		}
	case filedrop.Table:
		cols := []string{"request", "id", "card", "currency", "shift", "time", "line.id", "sku", "name", "category", "quantity", "price"}
		w := csv.NewWriter(&b)
		w.Comma = ';'
		_ = w.Write(cols)
		for i, l := range lines {
			row := make([]string, len(cols))
			for k, c := range cols {
				if v, ok := head[c]; ok && (i == 0 || c == "id") {
					row[k] = v
				}
				if v, ok := l[strings.TrimPrefix(c, "line.")]; ok && k >= 6 {
					row[k] = v
					if c == "quantity" || c == "price" {
						row[k] = strings.Replace(v, ".", ",", 1)
					}
				}
			}
			_ = w.Write(row)
		}
		w.Flush()
	case filedrop.Tree:
		esc := strings.NewReplacer("&", "&amp;", "<", "&lt;", `"`, "&quot;").Replace
		b.WriteString("<?xml version=\"1.0\"?>\n<receipt>")
		for k, v := range head {
			fmt.Fprintf(&b, "<%s>%s</%s>", k, esc(v), k)
		}
		for _, l := range lines {
			b.WriteString("<line")
			for k, v := range l {
				fmt.Fprintf(&b, " %s=\"%s\"", k, esc(v))
			}
			b.WriteString("/>")
		}
		b.WriteString("</receipt>\n")
	}
	return b.Bytes()
}

// TestRealReceiptsInFiles sends real receipts to one till in files and to its
// twin through the API: both say the same of every one.
func TestRealReceiptsInFiles(t *testing.T) {
	all, err := retail.Recent(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	n := 150
	if testing.Short() {
		n = 30
	}
	all = all[:n]
	dir, _ := testFolder(t)
	twinDir, token := testFolder(t)
	folder := exchange(t, dir, "")
	p := start(t, dir)
	twin := start(t, twinDir)
	awaitFile(t, filepath.Join(folder, "owner.txt"))
	forms := []filedrop.Format{filedrop.JSON, filedrop.Table, filedrop.Tree}
	encodings := []string{"utf-8", "cp1251", "cp866", "cp1250", "mazovia", "iso8859-2"}
	cards := []string{"", card, "2000000999999"}
	for i, r := range all {
		b := inFormat(t, forms[i%3], r, cards[i%len(cards)])
		if e := encodings[i%len(encodings)]; e != "utf-8" { // goods of this shop are ASCII, and stay so
			var out []byte
			for l := range bytes.Lines(b) {
				text, end, _ := bytes.Cut(l, []byte("\n"))
				out = append(append(out, codepage.Must(e).Encode(string(text))...), '\n')
				_ = end
			}
			b = out
		}
		drop(t, folder, fmt.Sprintf("%04d.%s", i, forms[i%3]), b)
	}
	sold := 0
	for i, r := range all {
		got := awaitFile(t, filepath.Join(folder, "out", fmt.Sprintf("%04d.%s", i, forms[i%3])))
		body, err := json.Marshal(map[string]any{"shift": "7", "receipt": basketOf(r, cards[i%len(cards)])})
		if err != nil {
			t.Fatal(err)
		}
		status, want := post(twin.addr, token, "/v1/receipts/"+r.ID+"/capture", "k-"+r.ID, string(body))
		var api struct {
			Result loyalty.Result `json:"result"`
			Error  struct {
				Code string `json:"code"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(want), &api); err != nil {
			t.Fatal(err)
		}
		if status != 200 {
			if !bytes.Contains(got, []byte(api.Error.Code)) {
				t.Errorf("%s: the API says %s, the file %s", r.ID, want, got)
			}
			continue
		}
		sold++
		var said string
		switch forms[i%3] {
		case filedrop.JSON:
			var a struct {
				Answer struct {
					Result loyalty.Result `json:"result"`
				} `json:"answer"`
			}
			if err := json.Unmarshal(got, &a); err != nil {
				t.Fatal(err)
			}
			x, _ := json.Marshal(a.Answer.Result)
			y, _ := json.Marshal(api.Result)
			if string(x) != string(y) {
				t.Errorf("%s: by file\n%s\nby API\n%s", r.ID, x, y)
			}
			continue
		case filedrop.Table:
			said = fmt.Sprintf("%s;sale;result.totals.net;%s\r\n", r.ID, api.Result.Totals.Net)
		case filedrop.Tree:
			said = fmt.Sprintf("<net>%s</net>", api.Result.Totals.Net)
		}
		if !bytes.Contains(got, []byte(said)) {
			t.Errorf("%s: no %q in %s", r.ID, said, got)
		}
	}
	if sold < n/2 {
		t.Errorf("only %d of %d receipts were sold", sold, n)
	}
	p.stop()
	twin.stop()
	a, b := commits(t, dir), commits(t, twinDir)
	if len(a) != sold || len(b) != sold {
		t.Errorf("%d by file, %d by API, %d sold", len(a), len(b), sold)
	}
	for id, k := range a {
		if k != 1 || b[id] != 1 {
			t.Errorf("%s: %d times by file, %d by API", id, k, b[id])
		}
	}
}

func basketOf(r retail.Receipt, card string) map[string]any {
	m := map[string]any{"currency": "GBP", "time": r.Time.Format(time.RFC3339), "lines": r.Lines}
	if card != "" {
		m["customer"] = map[string]string{"input": card}
	}
	return m
}

// TestKilledInMidExchange kills the real agent again and again while files
// come in: each receipt is booked once, every file is answered and kept.
func TestKilledInMidExchange(t *testing.T) {
	dir, _ := testFolder(t)
	folder := exchange(t, dir, "")
	rounds, each := 6, 25
	if testing.Short() {
		rounds = 2
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	n := 0
	name := func(i int) string { return fmt.Sprintf("r%04d.json", i) }
	for range rounds {
		p := start(t, dir)
		awaitFile(t, filepath.Join(folder, "owner.txt"))
		from := n
		for range each {
			id := fmt.Sprintf("R%04d", n)
			drop(t, folder, name(n), []byte(`{"request":"sale","id":"`+id+`","card":"`+card+`","shift":"1","lines":[{"sku":"1","quantity":"2","price":"30.00","category":"food"}]}`))
			n++
		}
		awaitFile(t, filepath.Join(folder, "out", name(from+rng.IntN(each))))
		p.kill()
	}
	p := start(t, dir)
	for i := range n {
		if got := awaitFile(t, filepath.Join(folder, "out", name(i))); !bytes.Contains(got, []byte(`"state":"captured"`)) {
			t.Errorf("%s: %s", name(i), got)
		}
	}
	// Answered before or not: moved, never deleted.
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		done, err := filepath.Glob(filepath.Join(folder, "done", "*", "*.json"))
		if err == nil && len(done) == n {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d of %d files in done, %v", len(done), n, err)
		}
	}
	p.stop()
	got := commits(t, dir)
	if len(got) != n {
		t.Errorf("%d receipts booked of %d", len(got), n)
	}
	for id, k := range got {
		if k != 1 {
			t.Errorf("%s is booked %d times", id, k)
		}
	}
}

// TestDocumentedFilesWork drops the files that agent/docs/files.md shows, in
// its order, with its settings, and compares what it says of the answers.
func TestDocumentedFilesWork(t *testing.T) {
	doc, err := os.ReadFile("../../docs/files.md")
	if err != nil {
		t.Fatal(err)
	}
	var toml string
	type example struct{ name, body, says string }
	var files []example
	blocks := strings.Split(string(doc), "```")
	for i := 1; i < len(blocks); i += 2 {
		kind, body, _ := strings.Cut(blocks[i], "\n")
		switch {
		case strings.HasPrefix(kind, "toml files"):
			toml += body
		case strings.HasPrefix(kind, "json ") || strings.HasPrefix(kind, "csv ") || strings.HasPrefix(kind, "xml "):
			_, name, _ := strings.Cut(kind, " ")
			files = append(files, example{name: name, body: body})
		case kind == "answer":
			files[len(files)-1].says = body
		}
	}
	if len(files) < 7 || toml == "" {
		t.Fatalf("only %d examples in the document", len(files))
	}
	dir, _ := testFolder(t)
	folder := exchange(t, dir, toml)
	p := start(t, dir)
	awaitFile(t, filepath.Join(folder, "owner.txt"))
	for _, f := range files {
		drop(t, folder, f.name, []byte(strings.ReplaceAll(f.body, "\n", "\r\n")))
		got := string(awaitFile(t, filepath.Join(folder, "out", f.name)))
		for l := range strings.Lines(f.says) {
			if l = strings.TrimSpace(l); l != "…" && l != "" && !strings.Contains(got, l) {
				t.Errorf("%s: the answer lacks %q:\n%s", f.name, l, got)
			}
		}
		// The command for technicians reads it, too.
		path := filepath.Join(t.TempDir(), f.name)
		if err := os.WriteFile(path, []byte(f.body), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, errs := run("files", "read", "--config", filepath.Join(dir, "till.toml"), path); code != 0 && f.says != "" && !strings.Contains(f.says, "bad_file") {
			t.Errorf("files read %s: %d %s %s", f.name, code, out, errs)
		}
	}
	if runtime.GOOS != "windows" {
		failed, _ := filepath.Glob(filepath.Join(folder, "failed", "*.why.txt"))
		if len(failed) == 0 {
			t.Error("the document shows no refusal")
		}
	}
	p.stop()
}
