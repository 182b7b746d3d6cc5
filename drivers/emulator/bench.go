package emulator

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tillside/tillside/drivers/emulator/paper"
)

// What a machine can be asked for by a Bench. Each is optional.
type (
	// Scanning machines read cards.
	Scanning interface {
		Scan(data string) bool
		Raw(b []byte) bool
	}
	// Printing machines have paper.
	Printing interface{ Roll() *paper.Roll }
	// Showing machines have lines of text on them.
	Showing interface {
		Text() string
		PNG() ([]byte, error)
	}
	// Stateful machines tell and change how they are, as JSON.
	Stateful interface {
		StateJSON() any
		SetStateJSON(b []byte) error
	}
	// PowerCycler machines can be switched off and on.
	PowerCycler interface{ PowerCycle() }
)

// StateJSON is part of Stateful.
func (p *Printer) StateJSON() any { return p.Condition() }

// SetStateJSON changes what the JSON names and leaves the rest. Beside the
// fields of Condition it takes "lines", the lines of paper left.
func (p *Printer) SetStateJSON(b []byte) error {
	next := struct {
		Condition
		Lines *int `json:"lines"`
	}{Condition: p.Condition()}
	if err := strictJSON(b, &next); err != nil {
		return err
	}
	c := next.Condition
	for _, f := range []struct {
		name, v string
		ok      []string
	}{{"paper", c.Paper, []string{"", "ok", "near", "out"}}, {"cover", c.Cover, []string{"", "closed", "open"}},
		{"cutter", c.Cutter, []string{"", "ok", "jam"}}, {"drawer", c.Drawer, []string{"", "closed", "open"}}} {
		if !slices.Contains(f.ok, f.v) {
			return fmt.Errorf("%s: %q is not one of %s", f.name, f.v, strings.Join(f.ok[1:], ", "))
		}
	}
	if next.Lines != nil {
		p.SetLines(*next.Lines)
	}
	p.Set(func(to *Condition) { *to = c })
	return nil
}

func strictJSON(b []byte, to any) error {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	return d.Decode(to)
}

// Bench drives machines from outside: by lines of text (Run) and by HTTP.
type Bench struct {
	mu    sync.Mutex
	names []string
	units map[string]unit
}

type unit struct {
	cable   *Cable
	machine Machine
}

// NewBench makes an empty bench.
func NewBench() *Bench { return &Bench{units: map[string]unit{}} }

// Add puts a machine on the bench under a name.
func (b *Bench) Add(name string, c *Cable, m Machine) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.units[name]; !ok {
		b.names = append(b.names, name)
	}
	b.units[name] = unit{c, m}
}

// Addresses are the line addresses by name.
func (b *Bench) Addresses() map[string]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[string]string{}
	for n, u := range b.units {
		out[n] = u.cable.Address()
	}
	return out
}

// Close pulls all plugs.
func (b *Bench) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range b.units {
		u.cable.Close()
	}
}

// ErrNoSuch is returned for a machine that is not on the bench or cannot do
// what it is asked for.
var ErrNoSuch = errors.New("no such device on this bench")

func find[T any](b *Bench, name string) (T, *Cable, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var none T
	for _, n := range b.names {
		u := b.units[n]
		if t, ok := u.machine.(T); ok && (name == "" || name == n) {
			return t, u.cable, nil
		}
	}
	return none, nil, ErrNoSuch
}

func slipOf(r *paper.Roll, which string) (paper.Slip, error) {
	switch which {
	case "", "all":
		return r.All(), nil
	case "last":
		return r.Last(), nil
	case "rest":
		return r.Rest(), nil
	}
	slips := r.Slips()
	n, err := strconv.Atoi(which)
	if err != nil || n < 1 || n > len(slips) {
		return nil, fmt.Errorf("slip %q: want all, last, rest or 1 to %d", which, len(slips))
	}
	return slips[n-1], nil
}

// text gives what stands on a machine's paper or display.
func (b *Bench) text(name, slip string) (string, error) {
	if p, _, err := find[Printing](b, name); err == nil {
		s, err := slipOf(p.Roll(), slip)
		return s.Text(p.Roll().Columns), err
	}
	s, _, err := find[Showing](b, name)
	if err != nil {
		return "", err
	}
	return s.Text(), nil
}

func (b *Bench) png(name, slip string) ([]byte, error) {
	if p, _, err := find[Printing](b, name); err == nil {
		s, err := slipOf(p.Roll(), slip)
		if err != nil {
			return nil, err
		}
		return s.PNG(p.Roll().Dots)
	}
	s, _, err := find[Showing](b, name)
	if err != nil {
		return nil, err
	}
	return s.PNG()
}

func (b *Bench) plug(name string, in bool) error {
	_, c, err := find[Machine](b, name)
	if err != nil {
		return err
	}
	if in {
		return c.Plug()
	}
	c.Unplug()
	return nil
}

// Do obeys one line, such as "scan 2000000125008" or "paper out", and returns
// what is to be shown for it. CommandHelp lists the lines.
func (b *Bench) Do(line string) (string, error) {
	word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch word {
	case "":
		return "", nil
	case "help":
		return CommandHelp, nil
	case "scan", "raw":
		s, _, err := find[Scanning](b, "")
		if err != nil {
			return "", err
		}
		ok := false
		if word == "raw" {
			data, err := hex.DecodeString(strings.ReplaceAll(rest, " ", ""))
			if err != nil {
				return "", err
			}
			ok = s.Raw(data)
		} else {
			ok = s.Scan(rest)
		}
		if !ok {
			return "", errors.New("the scanner is unplugged")
		}
		return "ok\n", nil
	case "unplug", "plug":
		return "ok\n", b.plug(rest, word == "plug")
	case "paper", "cover", "cutter", "drawer":
		return b.setState(map[string]any{word: rest})
	case "busy", "silent", "noise", "hang":
		return b.setState(map[string]any{word: rest != "off"})
	case "lines":
		n, err := strconv.Atoi(rest)
		if err != nil {
			return "", err
		}
		return b.setState(map[string]any{"lines": n})
	case "text":
		name, slip, _ := strings.Cut(rest, " ")
		return b.text(name, slip)
	case "png":
		name, file, _ := strings.Cut(rest, " ")
		if file == "" {
			return "", errors.New("want png DEVICE FILE")
		}
		img, err := b.png(name, "last")
		if err != nil {
			return "", err
		}
		return "ok\n", os.WriteFile(strings.TrimSpace(file), img, 0o644)
	case "power":
		m, _, err := find[PowerCycler](b, rest)
		if err != nil {
			return "", err
		}
		m.PowerCycle()
		return "ok\n", nil
	case "clear":
		m, _, err := find[Printing](b, rest)
		if err != nil {
			return "", err
		}
		m.Roll().Clear()
		return "ok\n", nil
	}
	return "", fmt.Errorf("%q is not understood; try help", word)
}

func (b *Bench) setState(v map[string]any) (string, error) {
	s, _, err := find[Stateful](b, "")
	if err != nil {
		return "", err
	}
	j, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return "ok\n", s.SetStateJSON(j)
}

// CommandHelp lists the lines that Do understands.
const CommandHelp = `scan DATA            read a card
raw HEX              send bytes as they are
paper ok|near|out    cover open|closed    cutter ok|jam    drawer open|closed
busy on|off          silent on|off        noise on|off     hang on|off
lines N              lines of paper left, 0 is endless
unplug [DEVICE]      pull the plug        plug [DEVICE]    put it back
power [DEVICE]       switch off and on
text [DEVICE [SLIP]] what was printed or is shown; SLIP is all, last, rest or a number
png DEVICE FILE      draw the last slip, or the display
clear [DEVICE]       tear the paper off
quit
`

// Run obeys lines from r until it ends or says quit, and writes answers to w.
func (b *Bench) Run(r io.Reader, w io.Writer) error {
	in := bufio.NewScanner(r)
	for in.Scan() {
		if strings.TrimSpace(in.Text()) == "quit" {
			return nil
		}
		out, err := b.Do(in.Text())
		if err != nil {
			out = "error: " + err.Error() + "\n"
		}
		if _, err := io.WriteString(w, out); err != nil {
			return err
		}
	}
	return in.Err()
}

// Handler serves the bench by HTTP, for loopback only: pages of other origins
// than this machine's are refused.
//
//	POST /scan {"data":"2000000125008"}      POST /raw {"hex":"320D"}
//	POST /state {"paper":"out"}              GET /state
//	POST /unplug?device=printer              POST /plug?device=printer
//	GET /text?device=printer&slip=last       GET /png?device=printer&slip=last
//	GET /grid                                POST /clear, /power
//	GET /devices
func (b *Bench) Handler() http.Handler {
	mux := http.NewServeMux()
	ok := func(w http.ResponseWriter, err error) {
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, map[string]bool{"ok": true})
	}
	device := func(r *http.Request) string { return r.URL.Query().Get("device") }
	mux.HandleFunc("POST /scan", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Data, Device string }
		err := body(r, &in)
		if err == nil {
			var s Scanning
			if s, _, err = find[Scanning](b, in.Device); err == nil && !s.Scan(in.Data) {
				err = errors.New("the scanner is unplugged")
			}
		}
		ok(w, err)
	})
	mux.HandleFunc("POST /raw", func(w http.ResponseWriter, r *http.Request) {
		var in struct{ Hex, Device string }
		err := body(r, &in)
		if err == nil {
			var data []byte
			var s Scanning
			if data, err = hex.DecodeString(strings.ReplaceAll(in.Hex, " ", "")); err == nil {
				if s, _, err = find[Scanning](b, in.Device); err == nil && !s.Raw(data) {
					err = errors.New("the scanner is unplugged")
				}
			}
		}
		ok(w, err)
	})
	mux.HandleFunc("POST /state", func(w http.ResponseWriter, r *http.Request) {
		s, _, err := find[Stateful](b, device(r))
		if err == nil {
			var data []byte
			if data, err = io.ReadAll(io.LimitReader(r.Body, 1<<16)); err == nil {
				err = s.SetStateJSON(data)
			}
		}
		ok(w, err)
	})
	mux.HandleFunc("GET /state", func(w http.ResponseWriter, r *http.Request) {
		s, c, err := find[Stateful](b, device(r))
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, map[string]any{"state": s.StateJSON(), "plugged": c.Plugged()})
	})
	mux.HandleFunc("POST /unplug", func(w http.ResponseWriter, r *http.Request) { ok(w, b.plug(device(r), false)) })
	mux.HandleFunc("POST /plug", func(w http.ResponseWriter, r *http.Request) { ok(w, b.plug(device(r), true)) })
	mux.HandleFunc("POST /clear", func(w http.ResponseWriter, r *http.Request) {
		_, err := b.Do("clear " + device(r))
		ok(w, err)
	})
	mux.HandleFunc("POST /power", func(w http.ResponseWriter, r *http.Request) {
		_, err := b.Do("power " + device(r))
		ok(w, err)
	})
	mux.HandleFunc("GET /text", func(w http.ResponseWriter, r *http.Request) {
		t, err := b.text(device(r), r.URL.Query().Get("slip"))
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		io.WriteString(w, t)
	})
	mux.HandleFunc("GET /png", func(w http.ResponseWriter, r *http.Request) {
		img, err := b.png(device(r), r.URL.Query().Get("slip"))
		if err != nil {
			fail(w, err)
			return
		}
		w.Header().Set("Content-Type", "image/png")
		w.Write(img)
	})
	mux.HandleFunc("GET /grid", func(w http.ResponseWriter, r *http.Request) {
		d, _, err := find[*Display](b, device(r))
		if err != nil {
			fail(w, err)
			return
		}
		top, bottom := d.Lines()
		reply(w, map[string]any{"lines": []string{top, bottom}})
	})
	mux.HandleFunc("GET /devices", func(w http.ResponseWriter, r *http.Request) { reply(w, b.Addresses()) })
	return loopbackOnly(mux)
}

func body(r *http.Request, to any) error {
	data, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		return err
	}
	return strictJSON(data, to)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, err error) {
	code := http.StatusBadRequest
	if errors.Is(err, ErrNoSuch) {
		code = http.StatusNotFound
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// loopbackOnly lets pages of this machine in and keeps others out, and answers
// to loopback names only, so that a foreign page cannot get here by its own name.
func loopbackOnly(h http.Handler) http.Handler {
	local := func(host string) bool { return host == "127.0.0.1" || host == "localhost" || host == "::1" }
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, err := url.Parse("http://" + r.Host); err != nil || !local(u.Hostname()) {
			http.Error(w, "loopback only", http.StatusForbidden)
			return
		}
		if o := r.Header.Get("Origin"); o != "" {
			u, err := url.Parse(o)
			if err != nil || !local(u.Hostname()) {
				http.Error(w, "pages of this machine only", http.StatusForbidden)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", o)
			w.Header().Set("Access-Control-Allow-Headers", "Content-Type")
			w.Header().Set("Vary", "Origin")
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		h.ServeHTTP(w, r)
	})
}
