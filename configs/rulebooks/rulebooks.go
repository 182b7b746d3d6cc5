// Package rulebooks holds sample rulebooks, embedded: complete programmes to
// start from, each with test vectors that show what it gives.
//
// The folder legal holds what the law of a country forbids a programme, as
// data with its sources named. A rulebook is signed as one document, so it
// carries a copy; a test keeps the copies of the samples equal to the files.
// The figures are those of the day in as_of: have a lawyer look before use.
package rulebooks

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.json legal/*.json
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
		if e.IsDir() {
			continue
		}
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

// Legal is the JSON text of a country's legal profile: "poland" or "russia".
func Legal(country string) ([]byte, error) {
	data, err := files.ReadFile("legal/" + country + ".json")
	if err != nil {
		return nil, fmt.Errorf("no legal profile %q", country)
	}
	return data, nil
}
