package rulebooks_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/configs/rulebooks"
)

// TestSamplesFitTheSchema: what the engine reads, the schema allows, and the
// other way round for a slip of the finger.
func TestSamplesFitTheSchema(t *testing.T) {
	text, err := loyalty.Schema()
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("rulebook.schema.json", v); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("rulebook.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range rulebooks.Names() {
		data, err := rulebooks.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		slip, err := jsonschema.UnmarshalJSON(bytes.NewReader(bytes.Replace(data, []byte(`"then"`), []byte(`"than"`), 1)))
		if err != nil {
			t.Fatal(err)
		}
		if schema.Validate(slip) == nil {
			t.Errorf("%s: the schema allows an unknown field", name)
		}
	}
}
