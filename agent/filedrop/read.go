package filedrop

import (
	"fmt"
	"path/filepath"
	"strings"
)

// Format is how a file is written.
type Format string

// The formats.
const (
	JSON  Format = "json"
	Table Format = "csv"
	Tree  Format = "xml"
)

// maxRequests bounds the requests of one file.
const maxRequests = 10_000

// File is a file that was read.
type File struct {
	Text
	Format   Format
	Requests []*Document
	// Closed says that the file itself tells its end.
	Closed bool
	// List says that it was a list of requests, Separator how a table was written.
	List      bool
	Separator rune
}

// Read reads a file's bytes. Its format is told by the extension or, for
// extensions of the cash software's own, by how the text begins.
func Read(name string, b []byte, s *Settings) (*File, error) {
	f := &File{Format: format(name)}
	var err error
	if f.Text, err = Decode(b, s.Encoding); err != nil {
		return f, err
	}
	body := strings.TrimSpace(f.Text.Text)
	if body == "" {
		return f, &Problem{Text: "the file is empty", Hint: "write the request into it", Torn: true}
	}
	if f.Format == "" {
		switch body[0] {
		case '{', '[':
			f.Format = JSON
		case '<':
			f.Format = Tree
		default:
			f.Format = Table
		}
	}
	switch f.Format {
	case JSON:
		f.Requests, err = readJSON(body)
		f.Closed, f.List = true, body[0] == '['
	case Tree:
		f.Requests, err = readXML(body, s)
		f.Closed = true
	default:
		if f.Separator, err = separator(f.Text.Text, s); err == nil {
			f.Requests, err = readCSV(f.Text.Text, s, f.Separator)
		}
		f.Closed = false
	}
	if err == nil && len(f.Requests) == 0 {
		err = &Problem{Text: "no request in the file", Hint: "write at least one"}
	}
	if err == nil && len(f.Requests) > maxRequests {
		err = &Problem{Text: fmt.Sprintf("%d requests in one file", len(f.Requests)), Hint: fmt.Sprintf("write at most %d", maxRequests)}
	}
	return f, err
}

func format(name string) Format {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return JSON
	case ".csv":
		return Table
	case ".xml":
		return Tree
	}
	return ""
}
