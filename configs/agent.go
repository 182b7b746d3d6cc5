package configs

import (
	_ "embed"
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// AgentSample is the commented sample of the agent's settings.
//
//go:embed samples/till.toml
var AgentSample []byte

// Agent is every setting of `tillside`. Which store and till this is, the
// keys and the rulebook come from the centre at enrolment and are no settings.
type Agent struct {
	// Version of this file's layout. Only 1 exists.
	Version int `toml:"version"`
	// Data is the folder of everything the agent keeps, absolute. Empty: the
	// system's place (/var/lib/tillside, %ProgramData%\Tillside).
	Data string `toml:"data"`
	// Language of the cashier, the slips and the error messages: en, ru, pl.
	Language string `toml:"language"`
	// PhonePrefix is the country code put before phone numbers that are typed
	// without one, digits only: "48". Empty: such numbers are taken as they are.
	PhonePrefix string  `toml:"phone_prefix"`
	API         API     `toml:"api"`
	Centre      Centre  `toml:"centre"`
	Store       Store   `toml:"store"`
	Slip        Slip    `toml:"slip"`
	Display     Display `toml:"display"`
	Log         Log     `toml:"log"`
	Health      Health  `toml:"health"`
	Update      Update  `toml:"update"`
	Files       Files   `toml:"files"`

	Passthrough Passthrough `toml:"passthrough"`
	Devices     []Device    `toml:"devices"`
}

// API is the localhost interface for cash software and the pages.
type API struct {
	// Listen is a loopback address and port; port 0 takes a free one, which
	// is then written to the file `address` in the data folder. off: no TCP, for
	// a till whose cash software uses the socket and which needs no cashier's page.
	Listen string `toml:"listen"`
	// Socket is the Unix socket (Linux) or the name of the pipe (Windows,
	// \\.\pipe\NAME), where the system says who calls. Empty: api.sock in the
	// service's runtime folder, else in the data folder; on Windows a pipe named
	// after the data folder. off: none.
	Socket string `toml:"socket"`
	// SocketGroup is the group whose members may use the socket; empty: only the
	// agent's user and administrators.
	SocketGroup string `toml:"socket_group"`
	// Users may call over the socket without a token, known by their user name.
	Users []string `toml:"users"`
	// Origins are further web origins that may call, besides the agent's own
	// pages: a cash program which is itself a web page. Exact matches only.
	Origins []string `toml:"origins"`
	// Practice switches the practice till and its goods list: on, off.
	Practice string `toml:"practice"`
	// MaxBody is the size limit of a request in bytes.
	MaxBody int `toml:"max_body"`
}

// Centre is how the agent reaches the centre. The address comes at enrolment.
type Centre struct {
	// Budget is how long a sale waits for the centre before the agent decides
	// by the offline rule.
	Budget Duration `toml:"budget"`
	// URL replaces the sync address given at enrolment; empty keeps it.
	URL string `toml:"url"`
	// CAFile holds the certificates (PEM) of a private authority; empty: the
	// system's.
	CAFile string `toml:"ca_file"`
}

// Store is how the tills of one store speak to each other when the line to
// the centre is down. Only devices that the centre vouches for are listened to.
type Store struct {
	// Listen is the address for the other tills, ":8752"; empty: this till
	// neither answers nor asks them.
	Listen string `toml:"listen"`
	// Peers are addresses of other tills, for networks without multicast.
	Peers []string `toml:"peers"`
	// Discover looks for the other tills by multicast DNS: on, off.
	Discover string `toml:"discover"`
}

// Slip is what the loyalty slip looks like on the agent's own printer.
type Slip struct {
	// Content is what the slip holds: loyalty (the block of the rulebook), or
	// receipt (goods and sums too; no fiscal receipt, for training and trials).
	Content string `toml:"content"`
	// Header lines printed above the loyalty block, centred.
	Header []string `toml:"header"`
	// Patience is how long a slip waits for a printer that is not ready; then
	// it is dropped and reported, so that no later customer gets it.
	Patience Duration `toml:"patience"`
}

// Display is what the customer display says by itself.
type Display struct {
	// Idle is the two lines between customers; empty: it stays dark.
	Idle []string `toml:"idle"`
}

// Log is where the agent's story goes.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `toml:"level"`
	// Format is text or json.
	Format string `toml:"format"`
	// File besides the console; rotated. Empty: none, the service manager
	// keeps what the program says.
	File string `toml:"file"`
	// MaxMB and Keep bound the log files.
	MaxMB int `toml:"max_mb"`
	Keep  int `toml:"keep"`
}

// Health is when warnings are raised.
type Health struct {
	// LinkDown is how long the centre may be away before it is a warning.
	LinkDown Duration `toml:"link_down"`
	// QueueAge is how old the oldest unsent record may become.
	QueueAge Duration `toml:"queue_age"`
	// RulebookAge is how long no word of the rulebook's state may be had.
	RulebookAge Duration `toml:"rulebook_age"`
	// MinFreeMB is the free disk space under which spending stops.
	MinFreeMB int `toml:"min_free_mb"`
}

// Update is how newer programs are taken.
type Update struct {
	// Window is the time of day, by the machine's clock, in which the agent may
	// switch to a newer program: "02:00-05:00". Empty: at any time. It never does
	// while a receipt is open.
	Window Window `toml:"window"`
	// Probation is how long a new program must go well to stay.
	Probation Duration `toml:"probation"`
	// Patience is how long it may go worse than the one before; then that comes
	// back.
	Patience Duration `toml:"patience"`
}

// Device is one thing on a cable. What it is (scanner, printer, display)
// follows from its driver.
type Device struct {
	// Name for people and logs, unique: "counter scanner".
	Name string `toml:"name"`
	// Model names a file of configs/devices; it brings driver, line settings,
	// columns and code page.
	Model string `toml:"model"`
	// Driver is used when no model file fits.
	Driver string `toml:"driver"`
	// Port is a port name, a stable path, or tcp:host:port.
	Port string `toml:"port"`
	// Line overrides line settings of the model.
	Line DeviceLine `toml:"line"`
	// Options override single values of the model, as the driver names them.
	Options map[string]string `toml:"options"`
}

// DeviceLine overrides how the line stands; zero values keep the model's.
type DeviceLine struct {
	Baud     int    `toml:"baud"`      // bits per second
	DataBits int    `toml:"data_bits"` // 7 or 8
	Parity   string `toml:"parity"`    // none, even, odd, mark, space
	StopBits int    `toml:"stop_bits"` // 1 or 2
}

// Files is the exchange of receipts in files, for cash software that cannot
// call; agent/docs/files.md tells its story.
type Files struct {
	// Folder holds in, work, out, done and failed; absolute. Empty: no exchange.
	Folder string `toml:"folder"`
	// In, Out, Done and Failed replace the folders of these names; relative to
	// Folder or absolute, on the same file system.
	In     string `toml:"in"`
	Out    string `toml:"out"`
	Done   string `toml:"done"`
	Failed string `toml:"failed"`
	// Poll is how often is looked.
	Poll Duration `toml:"poll"`
	// Settle is how long a file that does not tell its end must not change.
	Settle Duration `toml:"settle"`
	// Patience is how long a file may stay unreadable before it is refused.
	Patience Duration `toml:"patience"`
	// Flag is the ending of a file that says that another is whole: ".flg".
	// Empty: none is awaited.
	Flag string `toml:"flag"`
	// Encoding of the files: auto, or one of the names in files.md.
	Encoding string `toml:"encoding"`
	// Decimal is what stands before a fraction: auto, comma, point.
	Decimal string `toml:"decimal"`
	// Answer is the format of answers: same, json, csv, xml.
	Answer string   `toml:"answer"`
	CSV    FilesCSV `toml:"csv"`
	XML    FilesXML `toml:"xml"`
	// Words of the cash software for requests and tenders: "Возврат" = "return".
	Words map[string]string `toml:"words"`
}

// FilesCSV is how tables are written.
type FilesCSV struct {
	// Separator is auto, tab, or one character.
	Separator string `toml:"separator"`
	// Columns names the columns of files without a first row of names.
	Columns []string `toml:"columns"`
	// Fields gives, for our names, the names of columns.
	Fields map[string]string `toml:"fields"`
}

// FilesXML is where in a document things are.
type FilesXML struct {
	// Receipt is the path of one request, from the root on.
	Receipt string `toml:"receipt"`
	// Line and Tender are the paths of repeated elements inside it.
	Line   string `toml:"line"`
	Tender string `toml:"tender"`
	// Fields gives, for our names, paths: "@no", "Head/Card".
	Fields map[string]string `toml:"fields"`
}

// Encodings a file may be declared to be in; auto finds out.
var Encodings = []string{"auto", "utf-8", "utf-16", "utf-16le", "utf-16be", "windows-1250", "windows-1251", "cp866", "cp852", "mazovia", "iso-8859-2", "koi8-r"}

// Off switches api.listen or api.socket off.
const Off = "off"

// Languages the agent speaks.
var Languages = []string{"en", "ru", "pl"}

// DefaultAgent returns the settings of an agent without a settings file.
func DefaultAgent() Agent {
	return Agent{
		Version:  1,
		Language: "en",
		API:      API{Listen: "127.0.0.1:8750", Practice: "off", MaxBody: 2 << 20},
		Centre:   Centre{Budget: Duration(800 * time.Millisecond)},
		Store:    Store{Discover: "on"},
		Slip:     Slip{Content: "loyalty", Patience: Duration(30 * time.Second)},
		Log:      Log{Level: "info", Format: "text", MaxMB: 10, Keep: 5},
		Health: Health{
			LinkDown: Duration(5 * time.Minute), QueueAge: Duration(15 * time.Minute),
			RulebookAge: Duration(7 * 24 * time.Hour), MinFreeMB: 64,
		},
		Update: Update{Probation: Duration(10 * time.Minute), Patience: Duration(5 * time.Minute)},
		Files: Files{In: "in", Out: "out", Done: "done", Failed: "failed", Poll: Duration(250 * time.Millisecond), Settle: Duration(2 * time.Second),
			Patience: Duration(time.Minute), Encoding: "auto", Decimal: "auto", Answer: "same", CSV: FilesCSV{Separator: "auto"}},
		Passthrough: defaultPassthrough(),
	}
}

// LoadAgent reads and checks a settings file. The error is ErrNoFile when
// there is none, and Problems when something in it is wrong.
func LoadAgent(file string) (*Agent, error) {
	data, err := readFile(file)
	if err != nil {
		return nil, err
	}
	return ParseAgent(file, data)
}

// ParseAgent reads and checks settings from memory; file names them in
// problems.
func ParseAgent(file string, data []byte) (*Agent, error) {
	a := DefaultAgent()
	d := decode(file, data, &a)
	a.check(d.add)
	if err := d.err(); err != nil {
		return nil, err
	}
	return &a, nil
}

// Check tells what is wrong with settings that were not read from a file.
func (a *Agent) Check() error {
	d := &decoder{}
	a.check(d.add)
	return d.err()
}

// check is the one list of rules; it is pure, and the centre runs the same
// one before it pushes settings.
func (a *Agent) check(bad func(field, found, remedy string)) {
	if a.Version != 1 {
		bad("version", fmt.Sprint(a.Version), "this program knows version 1")
	}
	if a.Data != "" && !absolute(a.Data) {
		bad("data", show(a.Data), "want an absolute path: services run in another folder than you do")
	}
	oneOf(bad, "language", a.Language, Languages)
	if len(a.PhonePrefix) > 3 || strings.Trim(a.PhonePrefix, "0123456789") != "" {
		bad("phone_prefix", show(a.PhonePrefix), "want a country code of 1 to 3 digits such as \"48\"")
	}
	if a.API.Listen != Off {
		checkListen(bad, "api.listen", a.API.Listen)
	} else if a.API.Socket == Off {
		bad("api.listen", show(a.API.Listen), "nobody could call: socket is off as well")
	}
	if s := a.API.Socket; s != "" && s != Off && !absolute(s) {
		bad("api.socket", show(s), "want an absolute path, off, or nothing")
	}
	oneOf(bad, "api.practice", a.API.Practice, []string{"on", "off"})
	between(bad, "api.max_body", a.API.MaxBody, 64<<10, 16<<20)
	for i, o := range a.API.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Scheme+"://"+u.Host != o {
			bad(fmt.Sprintf("api.origins[%d]", i), show(o), "want an exact origin such as \"http://localhost:3000\"")
		}
	}
	if d := time.Duration(a.Centre.Budget); d < 50*time.Millisecond || d > 5*time.Second {
		bad("centre.budget", d.String(), "want 50ms to 5s: a cashier waits this long")
	}
	if a.Centre.URL != "" {
		if u, err := url.Parse(a.Centre.URL); err != nil || u.Scheme != "ws" && u.Scheme != "wss" || u.Host == "" {
			bad("centre.url", show(a.Centre.URL), "want wss://host/path (ws:// on this machine only)")
		} else if ip := net.ParseIP(u.Hostname()); u.Scheme == "ws" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			bad("centre.url", show(a.Centre.URL), "without TLS only on this machine; want wss://")
		}
	}
	if a.Centre.CAFile != "" && !absolute(a.Centre.CAFile) {
		bad("centre.ca_file", show(a.Centre.CAFile), "want an absolute path")
	}
	oneOf(bad, "store.discover", a.Store.Discover, []string{"on", "off"})
	for i, p := range append([]string{a.Store.Listen}, a.Store.Peers...) {
		if _, _, err := net.SplitHostPort(p); err == nil || i == 0 && p == "" {
			continue
		}
		if i == 0 {
			bad("store.listen", show(p), "want an address and port, \":8752\", or empty")
		} else {
			bad(fmt.Sprintf("store.peers[%d]", i-1), show(p), "want the address and port of another till, \"192.0.2.7:8752\"")
		}
	}
	oneOf(bad, "slip.content", a.Slip.Content, []string{"loyalty", "receipt"})
	if len(a.Slip.Header) > 8 {
		bad("slip.header", fmt.Sprintf("%d lines", len(a.Slip.Header)), "at most 8 lines")
	}
	if d := time.Duration(a.Slip.Patience); d < 0 || d > 10*time.Minute {
		bad("slip.patience", d.String(), "want 0s to 10m")
	}
	if len(a.Display.Idle) > 2 {
		bad("display.idle", fmt.Sprintf("%d lines", len(a.Display.Idle)), "at most 2 lines: a customer display has no more")
	}
	oneOf(bad, "log.level", a.Log.Level, []string{"debug", "info", "warn", "error"})
	oneOf(bad, "log.format", a.Log.Format, []string{"text", "json"})
	if a.Log.File != "" && !absolute(a.Log.File) {
		bad("log.file", show(a.Log.File), "want an absolute path")
	}
	between(bad, "log.max_mb", a.Log.MaxMB, 1, 1000)
	between(bad, "log.keep", a.Log.Keep, 1, 100)
	for _, t := range []struct {
		field string
		d     Duration
	}{{"health.link_down", a.Health.LinkDown}, {"health.queue_age", a.Health.QueueAge}, {"health.rulebook_age", a.Health.RulebookAge},
		{"update.probation", a.Update.Probation}, {"update.patience", a.Update.Patience}} {
		if t.d <= 0 {
			bad(t.field, t.d.String(), "want more than 0s")
		}
	}
	between(bad, "health.min_free_mb", a.Health.MinFreeMB, 0, 1<<20)
	a.Files.check(bad)
	a.Passthrough.check(bad)
	a.checkDevices(bad)
}

func (f *Files) check(bad func(field, found, remedy string)) {
	if f.Folder != "" && !absolute(f.Folder) {
		bad("files.folder", show(f.Folder), "want an absolute path, best of a folder of its own for each till")
	}
	places := map[string]string{"work": "files.folder"}
	for _, p := range []struct{ field, v string }{{"files.in", f.In}, {"files.out", f.Out}, {"files.done", f.Done}, {"files.failed", f.Failed}} {
		switch other := places[p.v]; {
		case p.v == "" || p.v == "." || strings.Contains(p.v, ".."):
			bad(p.field, show(p.v), "want the name of a folder, or an absolute path")
		case other != "":
			bad(p.field, show(p.v), "is the same folder as another one")
		}
		places[p.v] = p.field
	}
	for _, t := range []struct {
		field  string
		d      Duration
		lo, hi time.Duration
	}{{"files.poll", f.Poll, 50 * time.Millisecond, time.Minute}, {"files.settle", f.Settle, 100 * time.Millisecond, time.Minute},
		{"files.patience", f.Patience, time.Second, time.Hour}} {
		if d := time.Duration(t.d); d < t.lo || d > t.hi {
			bad(t.field, d.String(), fmt.Sprintf("want %s to %s", t.lo, t.hi))
		}
	}
	if f.Flag != "" && (!strings.HasPrefix(f.Flag, ".") || len(f.Flag) < 2 || strings.ContainsAny(f.Flag, `/\`)) {
		bad("files.flag", show(f.Flag), `want the ending of a name such as ".flg"`)
	}
	oneOf(bad, "files.encoding", f.Encoding, Encodings)
	oneOf(bad, "files.decimal", f.Decimal, []string{"auto", "comma", "point"})
	oneOf(bad, "files.answer", f.Answer, []string{"same", "json", "csv", "xml"})
	if s := f.CSV.Separator; s != "auto" && s != "tab" && (len([]rune(s)) != 1 || strings.ContainsAny(s, "\"\r\n")) {
		bad("files.csv.separator", show(s), "want auto, tab or one character")
	}
	if (f.XML.Line != "" || f.XML.Tender != "" || f.XML.Receipt != "") && len(f.XML.Fields) == 0 {
		bad("files.xml.fields", "", "say where the fields are, since paths are given")
	}
	for name := range f.XML.Fields {
		if strings.HasPrefix(name, "line.") && f.XML.Line == "" || strings.HasPrefix(name, "tender.") && f.XML.Tender == "" {
			bad("files.xml.fields."+name, "", "say in files.xml where the element of it is")
		}
	}
}

func (a *Agent) checkDevices(bad func(field, found, remedy string)) {
	names, ports := map[string]int{}, map[string]int{}
	for i, dev := range a.Devices {
		at := fmt.Sprintf("devices[%d]", i)
		if dev.Name == "" {
			bad(at+".name", "", "give the device a name people know it by")
		} else if k, ok := names[dev.Name]; ok {
			bad(at+".name", show(dev.Name), fmt.Sprintf("devices[%d] has this name already", k))
		}
		names[dev.Name] = i
		if dev.Model == "" && dev.Driver == "" {
			bad(at+".model", "", "name a model (tillside devices models) or a driver")
		}
		if dev.Port == "" {
			bad(at+".port", "", "want a port: \"COM3\", \"/dev/serial/by-id/…\", \"tcp:192.168.1.20:9100\"")
		} else if k, ok := ports[dev.Port]; ok {
			bad(at+".port", show(dev.Port), fmt.Sprintf("devices[%d] is on this port already", k))
		}
		ports[dev.Port] = i
	}
}

// absolute knows both systems' absolute paths, because the centre checks
// settings of tills that run another system than its own.
func absolute(p string) bool {
	return filepath.IsAbs(p) || strings.HasPrefix(p, "/") ||
		len(p) > 2 && p[1] == ':' && (p[2] == '\\' || p[2] == '/') || strings.HasPrefix(p, `\\`)
}

func oneOf(bad func(field, found, remedy string), field, v string, want []string) {
	if !slices.Contains(want, v) {
		bad(field, show(v), "want "+strings.Join(want[:len(want)-1], ", ")+" or "+want[len(want)-1])
	}
}

func between(bad func(field, found, remedy string), field string, v, lo, hi int) {
	if v < lo || v > hi {
		bad(field, fmt.Sprint(v), fmt.Sprintf("want %d to %d", lo, hi))
	}
}

// checkListen accepts loopback addresses only: the interface is for programs
// on this machine.
func checkListen(bad func(field, found, remedy string), field, v string) {
	host, _, err := net.SplitHostPort(v)
	if err != nil {
		bad(field, show(v), "want address:port such as \"127.0.0.1:8750\"")
		return
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		bad(field, show(v), "want a loopback address: 127.0.0.1, [::1] or localhost")
	}
}
