package console

import (
	"bytes"
	"context"
	"crypto/subtle"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/access"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/ledger"
	"github.com/tillside/tillside/sync/central/members"
)

//go:embed pages lang static
var files embed.FS

// Languages of the pages, the first one is the fallback.
var Languages = []string{"en", "ru", "pl"}

var matcher = language.NewMatcher([]language.Tag{language.English, language.Russian, language.Polish})

// Config of the pages.
type Config struct {
	DB      *db.DB
	Ledger  *ledger.Ledger
	Members *members.Room
	Online  func() []string
	Drop    func(device string)
	// Explain says why a receipt came out as it did.
	Explain func(bundle int64, r *loyalty.Result, language string) (*loyalty.Explanation, error)
	Secure  bool // cookies over TLS only
	// Erased is the file that lists who was erased.
	Erased string
	// Complete adds the mark of our authority to a one-time code; nil: nothing.
	Complete func(code string) string
	Version  string
	Log      *slog.Logger
	Now      func() time.Time
}

type console struct {
	Config
	words map[string]map[string]string // language -> key -> text
	pages map[string]*template.Template
	guard access.Guard
}

const (
	sessionCookie = "tillside_session"
	langCookie    = "tillside_lang"
)

// New builds the pages.
func New(cfg Config) (http.Handler, error) {
	c := &console{Config: cfg, words: map[string]map[string]string{}, pages: map[string]*template.Template{}}
	for _, l := range Languages {
		raw, err := files.ReadFile("lang/" + l + ".json")
		if err != nil {
			return nil, err
		}
		words := map[string]string{}
		if err := json.Unmarshal(raw, &words); err != nil {
			return nil, fmt.Errorf("words of %s: %w", l, err)
		}
		c.words[l] = words
	}
	names, err := files.ReadDir("pages")
	if err != nil {
		return nil, err
	}
	for _, f := range names {
		if f.Name() == "layout.html" {
			continue
		}
		t, err := template.New("layout.html").Funcs(c.funcs(Languages[0])).ParseFS(files, "pages/layout.html", "pages/"+f.Name())
		if err != nil {
			return nil, fmt.Errorf("page %s: %w", f.Name(), err)
		}
		c.pages[strings.TrimSuffix(f.Name(), ".html")] = t
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /static/style.css", c.style)
	mux.HandleFunc("GET /login", c.loginPage)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.post(c.logout))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/tills", http.StatusSeeOther) })
	mux.HandleFunc("GET /tills", c.get(c.tills))
	mux.HandleFunc("POST /tills", c.post(c.addTill))
	mux.HandleFunc("GET /tills/{device}", c.get(c.till))
	mux.HandleFunc("POST /tills/{device}/revoke", c.post(c.revoke))
	mux.HandleFunc("GET /members", c.get(c.members))
	mux.HandleFunc("GET /members/{id}", c.get(c.member))
	mux.HandleFunc("POST /members/{id}/card", c.post(c.card))
	mux.HandleFunc("POST /members/{id}/erase", c.post(c.erase))
	mux.HandleFunc("GET /receipts", c.get(c.receipts))
	mux.HandleFunc("GET /receipts/{id}", c.get(c.receipt))
	mux.HandleFunc("GET /rulebooks", c.get(c.rulebooks))
	mux.HandleFunc("GET /rulebooks/{version}", c.get(c.rulebook))
	mux.HandleFunc("GET /attention", c.get(c.attention))
	return headers(http.NewCrossOriginProtection().Handler(mux)), nil
}

// headers are on every answer of the pages.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func (c *console) style(w http.ResponseWriter, r *http.Request) {
	b, _ := files.ReadFile("static/style.css")
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(b)
}

// view is one request with the session behind it.
type view struct {
	*console
	w       http.ResponseWriter
	r       *http.Request
	session *access.Session
	cookie  string
	lang    string
}

// failure is an error that a person may read.
type failure struct {
	status int
	key    string // of the words
	args   []any
}

func (f *failure) Error() string { return f.key }

func fail(status int, key string, args ...any) error { return &failure{status, key, args} }

func (c *console) language(w http.ResponseWriter, r *http.Request) string {
	if l := r.URL.Query().Get("lang"); slices.Contains(Languages, l) {
		http.SetCookie(w, &http.Cookie{Name: langCookie, Value: l, Path: "/", MaxAge: 365 * 24 * 3600, SameSite: http.SameSiteLaxMode, Secure: c.Secure, HttpOnly: true})
		return l
	}
	if k, err := r.Cookie(langCookie); err == nil && slices.Contains(Languages, k.Value) {
		return k.Value
	}
	_, i := language.MatchStrings(matcher, r.Header.Get("Accept-Language"))
	return Languages[i]
}

// get wraps a page that reads: it needs a session, or leads to the login.
func (c *console) get(page func(v *view) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &view{console: c, w: w, r: r, lang: c.language(w, r)}
		ok, err := v.open()
		if err == nil && !ok {
			http.Redirect(w, r, "/login?next="+template.URLQueryEscaper(r.URL.RequestURI()), http.StatusSeeOther)
			return
		}
		if err == nil {
			err = page(v)
		}
		v.finish(err)
	}
}

// post wraps a form: it needs a session and the secret of its forms.
func (c *console) post(do func(v *view) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := &view{console: c, w: w, r: r, lang: c.language(w, r)}
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		ok, err := v.open()
		switch {
		case err != nil:
		case !ok:
			err = fail(http.StatusForbidden, "error.session")
		case subtle.ConstantTimeCompare([]byte(r.PostFormValue("csrf")), []byte(v.session.CSRF)) != 1:
			err = fail(http.StatusForbidden, "error.form")
		default:
			err = do(v)
		}
		v.finish(err)
	}
}

// open finds the session of the request.
func (v *view) open() (bool, error) {
	k, err := v.r.Cookie(sessionCookie)
	if err != nil {
		return false, nil
	}
	v.cookie = k.Value
	var stale bool
	err = v.DB.Read(v.r.Context(), func(tx *db.Tx) (err error) {
		v.session, stale, err = access.Find(tx, v.cookie, v.Now())
		return err
	})
	if err == nil && stale {
		err = v.DB.Write(v.r.Context(), func(tx *db.Tx) error { return access.Seen(tx, v.cookie, v.Now()) })
	}
	return v.session != nil, err
}

func (v *view) finish(err error) {
	var f *failure
	switch {
	case err == nil || errors.Is(err, context.Canceled):
	case errors.As(err, &f):
		v.showError(f)
	default:
		v.Log.Error("page", "path", v.r.URL.Path, "error", err)
		v.showError(&failure{http.StatusInternalServerError, "error.internal", nil})
	}
}

func (v *view) showError(f *failure) {
	if err := v.page(f.status, "error", map[string]any{"Text": v.t(f.key, f.args...)}); err != nil {
		v.Log.Error("error page", "error", err)
	}
}

// t is a text in the reader's language.
func (v *view) t(key string, args ...any) string { return v.text(v.lang, key, args...) }

func (c *console) text(lang, key string, args ...any) string {
	s, ok := c.words[lang][key]
	if !ok {
		if s, ok = c.words[Languages[0]][key]; !ok {
			return key
		}
	}
	if len(args) > 0 {
		for i, a := range args {
			switch a.(type) {
			case loyalty.Points, loyalty.Money:
				args[i] = number(lang, a)
			}
		}
		return fmt.Sprintf(s, args...)
	}
	return s
}

// number writes a decimal as people of a language do: "1,234.50", "1 234,50".
// What is no decimal stays as it is.
func number(lang string, v any) string {
	s := fmt.Sprint(v)
	whole, frac, broken := strings.Cut(s, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || strings.Trim(digits+frac, "0123456789") != "" {
		return s
	}
	group, point := ",", "."
	if lang != "en" {
		group, point = "\u00a0", ","
	}
	out := digits
	if lang == "en" || len(digits) > 4 {
		out = ""
		for len(digits) > 3 {
			out = group + digits[len(digits)-3:] + out
			digits = digits[:len(digits)-3]
		}
		out = digits + out
	}
	if strings.HasPrefix(whole, "-") {
		out = "−" + out
	}
	if broken {
		out += point + frac
	}
	return out
}

// has tells whether there are words for a key.
func (c *console) has(key string) bool { _, ok := c.words[Languages[0]][key]; return ok }

func (c *console) funcs(lang string) template.FuncMap {
	zone := c.Ledger.Zone
	if zone == nil {
		zone = time.Local
	}
	return template.FuncMap{
		"t": func(key string, args ...any) string { return c.text(lang, key, args...) },
		"word": func(prefix string, v any) string {
			key := prefix + "." + fmt.Sprint(v)
			if c.has(key) {
				return c.text(lang, key)
			}
			return fmt.Sprint(v)
		},
		"at": func(at time.Time) string {
			if at.IsZero() {
				return "–"
			}
			return at.In(zone).Format("2006-01-02 15:04:05")
		},
		"day":  func(at time.Time) string { return at.In(zone).Format(time.DateOnly) },
		"ago":  func(at time.Time) string { return c.ago(lang, at) },
		"lang": func() string { return lang },
		"sum": func(p ...loyalty.Points) (n loyalty.Points) {
			for _, x := range p {
				n += x
			}
			return n
		},
		"neg": func(p loyalty.Points) loyalty.Points { return -p },
		"num": func(v any) string { return number(lang, v) },
		// rule is a rule's name where the receipt has it: head office thinks in
		// names, not in ids.
		"rule": func(result any, id string) string {
			if res, ok := result.(loyalty.Result); ok {
				for _, r := range res.Rules {
					if r.Rule == id && r.Name != "" {
						return r.Name
					}
				}
			}
			return id
		},
	}
}

// ago says how long something is past, roughly.
func (c *console) ago(lang string, at time.Time) string {
	if at.IsZero() {
		return c.text(lang, "ago.never")
	}
	d := c.Now().Sub(at)
	switch {
	case d < time.Minute:
		return c.text(lang, "ago.now")
	case d < 2*time.Hour:
		return c.text(lang, "ago.minutes", int(d.Minutes()))
	case d < 48*time.Hour:
		return c.text(lang, "ago.hours", int(d.Hours()))
	}
	return c.text(lang, "ago.days", int(d.Hours()/24))
}

// page writes one page.
func (v *view) page(status int, name string, data map[string]any) error {
	t, err := v.pages[name].Clone()
	if err != nil {
		return err
	}
	data["Page"], data["Path"], data["Version"], data["Lang"], data["Languages"] = name, v.r.URL.Path, v.Version, v.lang, Languages
	if v.session != nil {
		data["CSRF"], data["Operator"] = v.session.CSRF, v.session.Operator
	}
	var out bytes.Buffer // whole before the first byte is sent: no half pages
	if err := t.Funcs(v.funcs(v.lang)).Execute(&out, data); err != nil {
		return fmt.Errorf("page %s: %w", name, err)
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.Header().Set("Content-Language", v.lang)
	v.w.WriteHeader(status)
	_, err = out.WriteTo(v.w)
	return err
}

func (v *view) redirect(to string) error {
	http.Redirect(v.w, v.r, to, http.StatusSeeOther)
	return nil
}

func (c *console) loginPage(w http.ResponseWriter, r *http.Request) {
	v := &view{console: c, w: w, r: r, lang: c.language(w, r)}
	v.finish(v.page(http.StatusOK, "login", map[string]any{"Next": next(r.URL.Query().Get("next"))}))
}

// next is where to go after the login: a path of ours, nothing else.
func next(s string) string {
	if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.ContainsAny(s, "\\\r\n") {
		return "/tills"
	}
	return s
}

func (c *console) login(w http.ResponseWriter, r *http.Request) {
	v := &view{console: c, w: w, r: r, lang: c.language(w, r)}
	r.Body = http.MaxBytesReader(w, r.Body, 16<<10)
	name, to := r.PostFormValue("name"), next(r.PostFormValue("next"))
	address, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		address = r.RemoteAddr
	}
	now := c.Now()
	err = c.guard.Allow(now, "name:"+name, "address:"+address)
	if err == nil {
		err = c.DB.Read(r.Context(), func(tx *db.Tx) error { return access.Check(tx, name, r.PostFormValue("password")) })
		if errors.Is(err, access.ErrDenied) {
			c.guard.Wrong(now, "name:"+name, "address:"+address)
			c.Log.Warn("login refused", "remote", address)
		}
	}
	key := ""
	switch {
	case errors.Is(err, access.ErrDenied):
		key = "login.denied"
	case errors.Is(err, access.ErrSlow):
		key = "login.slow"
	case err != nil:
		v.finish(err)
		return
	}
	if key != "" {
		v.finish(v.page(http.StatusForbidden, "login", map[string]any{"Next": to, "Problem": v.t(key), "Name": name}))
		return
	}
	var cookie string
	err = c.DB.Write(r.Context(), func(tx *db.Tx) (err error) {
		if cookie, err = access.Begin(tx, name, now); err != nil {
			return err
		}
		return access.Note(tx, name, "login", "", address, now)
	})
	if err != nil {
		v.finish(err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: cookie, Path: "/", HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteStrictMode})
	v.finish(v.redirect(to))
}

func (c *console) logout(v *view) error {
	err := c.DB.Write(v.r.Context(), func(tx *db.Tx) error { return access.End(tx, v.cookie) })
	http.SetCookie(v.w, &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, Secure: c.Secure, SameSite: http.SameSiteStrictMode})
	if err != nil {
		return err
	}
	return v.redirect("/login")
}
