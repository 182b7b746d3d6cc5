package keeper

import "testing"

func TestMessagesOfDiscovery(t *testing.T) {
	asked, ports, err := parse(question())
	if err != nil || !asked || len(ports) != 0 {
		t.Errorf("question: %v, %v, %v", asked, ports, err)
	}
	asked, ports, err = parse(answer("dev-0123456789", 8752))
	if err != nil || asked || ports["dev-0123456789"] != 8752 {
		t.Errorf("answer: %v, %v, %v", asked, ports, err)
	}
	// A compressed name, as other responders write it: the second points at the first.
	b := header(0x8400, 0, 1, 0)
	at := len(b)
	b = appendName(b, service)
	b = append(b, 0, typePTR, 0, classIN, 0, 0, 0, 120, 0, 2, 0xc0, byte(at))
	if _, _, err := parse(b); err != nil {
		t.Errorf("compressed: %v", err)
	}
	b[len(b)-1] = byte(len(b) - 2) // at itself
	if _, next, ok := readName(b, len(b)-2); ok {
		t.Errorf("a name that points at itself ends at %d", next)
	}
	for n := range len(b) {
		_, _, _ = parse(b[:n]) // must not panic
	}
}

func FuzzDiscovery(f *testing.F) {
	f.Add(question())
	f.Add(answer("dev-0123456789", 8752))
	f.Fuzz(func(t *testing.T, b []byte) {
		_, ports, err := parse(b)
		if err != nil && ports != nil {
			t.Error("an error with ports")
		}
		for d, p := range ports {
			if p <= 0 || p > 65535 || d == "" && len(ports) > 16 {
				t.Errorf("port %d of %q", p, d)
			}
		}
	})
}
