package till

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// Points that the centre has not confirmed are named so wherever the slip is
// seen: in the answer, on the agent's own paper, and when it is read again.
func TestSlipSaysToBeCredited(t *testing.T) {
	for _, c := range []struct {
		name   string
		card   string
		online bool
		want   bool
	}{
		{"offline", annasCard, false, true},
		{"unknown card", "9990001112223", true, true},
		{"online", annasCard, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			b.link.set(func(l *fakeLink) { l.online = c.online })
			token := b.identify(c.card).Member.Token
			var done CaptureAnswer
			b.post("/v1/receipts/R1/capture", "c1", `{"print":"agent","receipt":`+basket(token, "")+`}`).into(t, &done)
			b.wait("the slip", func() bool { return len(b.devices.printer.printed()) == 1 })
			var again ReceiptView
			b.do("GET", "/v1/receipts/R1", "", nil).into(t, &again)
			for where, text := range map[string]string{
				"answer": strings.Join(done.Print, "\n"), "receipt": strings.Join(again.Print, "\n"), "paper": fmt.Sprint(b.devices.printer.printed()[0].Blocks),
			} {
				if strings.Contains(text, "To be credited") != c.want {
					t.Errorf("%s: \"To be credited\" is there: %t, want %t\n%s", where, !c.want, c.want, text)
				}
			}
		})
	}
}

// Who has never bought anything is greeted with a tier and a balance as well.
func TestNewMemberHasTierAndBalance(t *testing.T) {
	b := newBench(t)
	b.put(annasCard, &loyalty.Member{ID: annasID, FirstName: "Anna"}, "active", wire.Mark{})
	m := b.identify(annasCard).Member
	if m.TierName == "" || len(m.Balances) == 0 || m.Balances[0].Active != 0 {
		t.Errorf("tier %q, balances %+v", m.TierName, m.Balances)
	}
	stranger := b.identify("9990001112223").Member
	if stranger.TierName != "" || len(stranger.Balances) != 0 {
		t.Errorf("stranger: tier %q, balances %+v", stranger.TierName, stranger.Balances)
	}
}
