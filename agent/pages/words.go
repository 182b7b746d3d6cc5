package pages

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Languages are the languages of the pages, in the order of their buttons.
var Languages = []string{"en", "ru", "pl"}

// words is one catalogue: key -> text, or key -> plural category -> text.
// Categories are those of the Unicode CLDR: one, few, many, other. A text
// names its blanks in braces: "{points} more to {tier}".
type words map[string]json.RawMessage

// catalogue reads the words of one language.
func catalogue(lang string) (words, error) {
	b, err := files.ReadFile("catalogue/" + lang + ".json")
	if err != nil {
		return nil, err
	}
	var w words
	if err := json.Unmarshal(b, &w); err != nil {
		return nil, fmt.Errorf("catalogue %s: %w", lang, err)
	}
	return w, nil
}

// wordsScript is all catalogues as one script, so that the first picture of a
// page is already in its language and a switch needs no network.
func wordsScript() []byte {
	var b bytes.Buffer
	b.WriteString("window.TillsideWords = {\n")
	for _, lang := range Languages {
		w, err := catalogue(lang)
		if err != nil {
			panic("pages: " + err.Error()) // embedded; the tests read it
		}
		text, err := json.Marshal(w)
		if err != nil {
			panic("pages: " + err.Error())
		}
		fmt.Fprintf(&b, "%q: %s,\n", lang, text)
	}
	b.Truncate(b.Len() - 2)
	b.WriteString("\n};\n")
	return b.Bytes()
}
