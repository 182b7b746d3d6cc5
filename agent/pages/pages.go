package pages

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static catalogue
var files embed.FS

// file is one embedded file, ready to be sent.
type file struct {
	body []byte
	kind string
	etag string
}

// Handler serves the pages:
//
//	GET /            leads to /cashier
//	GET /cashier     the cashier's page
//	GET /practice    the practice till
//	GET /pages/…     style, scripts, pictures, words
//
// Everything else is 404, every other method than GET and HEAD is 405. It
// checks no Host, Origin or token: that is the business of the server it is
// mounted in. Safe for concurrent use.
func Handler() http.Handler {
	set := map[string]file{}
	add := func(url string, body []byte) {
		sum := sha256.Sum256(body)
		set[url] = file{body: body, kind: kindOf(url), etag: `"` + hex.EncodeToString(sum[:12]) + `"`}
	}
	err := fs.WalkDir(files, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		body, err := files.ReadFile(name)
		if err != nil {
			return err
		}
		if base := path.Base(name); strings.HasSuffix(base, ".html") {
			add("/"+strings.TrimSuffix(base, ".html"), body)
		} else {
			add("/pages/"+base, body)
		}
		return nil
	})
	if err != nil {
		panic("pages: the embedded files cannot be read: " + err.Error()) // cannot happen in a built program
	}
	add("/pages/words.js", wordsScript())
	return handler(set)
}

type handler map[string]file

func (h handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("X-Frame-Options", "DENY")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	head.Set("Content-Security-Policy", policy(r.Host))
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	if r.URL.Path == "/" {
		http.Redirect(w, r, "/cashier", http.StatusFound)
		return
	}
	f, ok := h[strings.TrimSuffix(r.URL.Path, "/")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	head.Set("Content-Type", f.kind)
	head.Set("Cache-Control", "no-cache") // kept, but asked for again: an updated agent shows its new page at once
	head.Set("ETag", f.etag)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(f.body))
}

// policy is the Content-Security-Policy for a page asked for under host. The
// WebSocket's address is written out because older browsers do not count
// ws:// as part of 'self'.
func policy(host string) string {
	connect := "'self'"
	if plainHost(host) {
		connect += " ws://" + host
	}
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
}

// plainHost tells whether host is a plain host:port, fit to stand in a header.
func plainHost(host string) bool {
	for _, c := range host {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune(".:-[]", c):
		default:
			return false
		}
	}
	return host != "" && len(host) <= 255
}

func kindOf(url string) string {
	switch path.Ext(url) {
	case ".css":
		return "text/css; charset=utf-8"
	case ".js":
		return "text/javascript; charset=utf-8"
	case ".svg":
		return "image/svg+xml"
	}
	return "text/html; charset=utf-8"
}
