package atol

import (
	"fmt"
	"strings"
	"testing"
	"time"

	proto "github.com/tillside/tillside/drivers/atol"
	"github.com/tillside/tillside/drivers/emulator/fiscaltest"
)

// The bytes of an independent client, captured on a wire.
func TestConversation(t *testing.T) {
	at := time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)
	p := New(Options{Now: func() time.Time { return at }})
	p.m.number, p.m.shift = 12, 5
	fiscaltest.Converse(t, p, []fiscaltest.Exchange{
		{"abort", "FE 01 00 01 C4 F6", packet(1, proto.Pending)},
		{"state", "FE 06 00 02 C1 01 01 00 00 3F ED",
			"FE 01 00 02 A1 95 FE 20 00 F0 A6 01 44 30 01 26 11 23 07 40 00 49 12 34 56 78 39 30 31 00 00 12 00 05 00 00 00 00 00 00 02 05 D8"},
		{"acknowledge", "FE 02 00 03 C2 01 C3", packet(3, proto.Pending)},
		{"device type", "FE 06 00 04 C1 01 02 00 00 A5 87", packet(4, proto.Pending) + "FE 15 00 F0 A6 02 00 02 01 39 00 00 05 08 30 10 00 80 92 8E 8B 20 33 30 94 A2"},
		{"damaged", "FE 06 00 05 C1 01 03 00 00 A5 00", packet(5)},
		{"enter mode", "FE 0B 00 08 C1 01 04 00 00 56 01 00 00 00 30 08", packet(8, proto.Pending) + "FE 05 00 F0 A6 04 55 00 00 BA"},
		{"text", "FE 12 00 09 C1 01 05 00 00 4C 81 A0 AB A0 AD E1 3A 20 31 32 35 30 FA", packet(9, proto.Pending) + packet(proto.AsyncID, proto.AsyncResult, 5, 0x55, 0, 0)},
	})
	if !strings.Contains(p.Text(), "Баланс: 1250\n") {
		t.Errorf("on the roll: %s", p.Text())
	}
}

// packet is an answer that the capture does not show.
func packet(id byte, data ...byte) string { return fmt.Sprintf("%X", encode(id, data...)) }
