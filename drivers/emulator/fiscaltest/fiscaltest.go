// Package fiscaltest plays a host against emulated fiscal printers, byte for
// byte, as independent drivers were seen to speak.
package fiscaltest

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/emulator/fiscal"
	"github.com/tillside/tillside/drivers/line"
)

// Exchange is one step of a conversation: its name, what the host sends and
// what must come back, in hexadecimal. "" for an answer means that nothing comes.
type Exchange [3]string

// Converse plays the host's side of a conversation, byte for byte.
func Converse(t *testing.T, m fiscal.Machine, steps []Exchange) {
	t.Helper()
	mem := fiscal.InMemory(m)
	defer mem.Close()
	raw, err := mem.Open(context.Background(), "", line.Settings{})
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	conn := raw.(interface{ SetReadDeadline(time.Time) error })
	for _, s := range steps {
		name := s[0]
		if _, err := raw.Write(unhex(t, s[1])); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want := unhex(t, s[2])
		limit := 10 * time.Second
		if len(want) == 0 {
			limit = 50 * time.Millisecond
		}
		if err := conn.SetReadDeadline(time.Now().Add(limit)); err != nil {
			t.Fatal(err)
		}
		var got []byte
		buf := make([]byte, 512)
		for len(got) < max(1, len(want)) {
			n, err := raw.Read(buf)
			got = append(got, buf[:n]...)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s: % X, want % X", name, got, want)
		}
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return b
}
