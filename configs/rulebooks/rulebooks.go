// Package rulebooks holds sample rulebooks, embedded: complete programmes to
// start from, each with test vectors that show what it gives.
package rulebooks

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.json
var files embed.FS

// Default is the sample that `make demo` and a fresh centre use.
const Default = "grocer"

// Names lists the samples in alphabetical order.
func Names() []string {
	entries, err := fs.ReadDir(files, ".")
	if err != nil {
		panic(err) // the folder is part of the program
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), path.Ext(e.Name())))
	}
	return names
}

// Get is the JSON text of a sample.
func Get(name string) ([]byte, error) {
	data, err := files.ReadFile(name + ".json")
	if err != nil {
		return nil, fmt.Errorf("no sample rulebook %q; there are %s", name, strings.Join(Names(), ", "))
	}
	return data, nil
}
