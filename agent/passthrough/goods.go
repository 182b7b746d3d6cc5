package passthrough

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// Good is what the programme knows an article by.
type Good struct{ SKU, Category, Brand string }

// Goods finds articles by what receipts call them. The file is read again when
// it has changed. A nil Goods knows nothing.
type Goods struct {
	path string

	mu     sync.Mutex
	read   time.Time // change time of what was read
	size   int64
	byName map[string]Good
}

// maxGoods bounds the file; a line has some fifty bytes.
const maxGoods = 32 << 20

// OpenGoods reads a file of lines
//
//	name ; SKU ; category ; brand
//
// separated by semicolons or tabs, in UTF-8. Category and brand may be left
// out; a line that begins with # is passed over. An empty path gives nil.
func OpenGoods(path string) (*Goods, error) {
	if path == "" {
		return nil, nil
	}
	g := &Goods{path: path}
	return g, g.load()
}

func (g *Goods) load() error {
	st, err := os.Stat(g.path)
	if err != nil {
		return fmt.Errorf("goods: %w", err)
	}
	if st.Size() > maxGoods {
		return fmt.Errorf("goods: %s has %d bytes, want at most %d", g.path, st.Size(), maxGoods)
	}
	f, err := os.Open(g.path)
	if err != nil {
		return fmt.Errorf("goods: %w", err)
	}
	defer f.Close()
	byName := map[string]Good{}
	in := bufio.NewScanner(f)
	for n := 1; in.Scan(); n++ {
		s := strings.TrimPrefix(strings.TrimSpace(in.Text()), "\ufeff")
		if s == "" || s[0] == '#' {
			continue
		}
		sep := ";"
		if strings.Contains(s, "\t") {
			sep = "\t"
		}
		p := strings.Split(s, sep)
		for i := range p {
			p[i] = strings.TrimSpace(p[i])
		}
		if len(p) < 2 || len(p) > 4 || p[0] == "" || p[1] == "" {
			return fmt.Errorf("goods: %s:%d: found %q, want name ; SKU ; category ; brand", g.path, n, clip(s))
		}
		p = append(p, "", "")
		byName[key(p[0])] = Good{p[1], p[2], p[3]}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("goods: %s: %w", g.path, err)
	}
	g.byName, g.read, g.size = byName, st.ModTime(), st.Size()
	return nil
}

// find looks an article up by the code on the receipt, then by its name. A file
// that has become bad leaves what was read before in force.
func (g *Goods) find(code, name string) (Good, bool) {
	if g == nil {
		return Good{}, false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if st, err := os.Stat(g.path); err == nil && (!st.ModTime().Equal(g.read) || st.Size() != g.size) {
		_ = g.load()
	}
	for _, n := range []string{code, name} {
		if x, ok := g.byName[key(n)]; ok && n != "" {
			return x, true
		}
	}
	return Good{}, false
}
