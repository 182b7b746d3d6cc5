package till

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tillside/tillside/agent/health"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/sync/wire"
)

// Rules is the rulebook in force; it must be safe for concurrent use.
type Rules interface {
	// Version is the text form, "programme@12"; Number the last part.
	Version() string
	Number() int64
	Currency() string
	// Price prices one receipt. A receipt that cannot be priced is an error
	// of the caller's making.
	Price(p Pricing) (*loyalty.Result, error)
	// Apply moves a snapshot forward by a captured receipt, ApplyReturn by
	// what came back.
	Apply(m *loyalty.Member, r *loyalty.Result, at time.Time) *loyalty.Member
	ApplyReturn(m *loyalty.Member, r *loyalty.ReturnResult, at time.Time) *loyalty.Member
	// Offline are the limits of what this till may do without a link.
	Offline() loyalty.OfflineLimits
	// Budgets lists what tills of a store give together at a moment, QuotaUses
	// what a result takes of the till's quotas of it, ReturnUses what a return
	// of another till's receipt gives back.
	Budgets(at time.Time, store string) []loyalty.BudgetNow
	QuotaUses(r *loyalty.Result, store string) []loyalty.QuotaUse
	ReturnUses(orig *loyalty.Result, r *loyalty.ReturnResult, store string) []loyalty.QuotaUse
	// Return prices what comes back of a receipt; already are earlier returns,
	// no lines means all that is left.
	Return(orig *loyalty.Result, already []*loyalty.ReturnResult, lines []loyalty.ReturnLine) (*loyalty.ReturnResult, error)
	// Shortfall tells which points of a return the programme would not take
	// back from a member as she is now.
	Shortfall(orig *loyalty.Result, already []*loyalty.ReturnResult, lines []loyalty.ReturnLine, m *loyalty.Member) ([]loyalty.WalletPoints, error)
	// Explain tells a result of this rulebook in sentences a cashier can say.
	Explain(r *loyalty.Result, language string) *loyalty.Explanation
	// Greet gives what cashier and display are told of a member.
	Greet(m *loyalty.Member, now time.Time, language string) Greeting
}

// Pricing is what a price depends on.
type Pricing struct {
	Receipt  *loyalty.Receipt
	Member   *loyalty.Member
	Offline  bool
	Language string
	Now      time.Time
	NoClock  bool                        // nobody knows what day it is; see loyalty.Input
	Usage    map[string]map[string]int64 // of limits, as in loyalty.Input
	Budgets  map[string]*loyalty.Quota   // this till's quotas
	Leases   map[string]loyalty.Points   // what may be spent without a link, by wallet
	Credited map[string]loyalty.Points   // earned here and not confirmed, by wallet
	NoSpend  string                      // why nothing may be spent; empty: it may
}

// Greeting is what a member's snapshot says to people at the till.
type Greeting struct {
	TierName string
	Wallets  map[string]string // wallet -> name; hidden wallets are not here
	Greeting string
	Say      string
	Prompts  []string
	Birthday bool
}

// Link is the way to the centre.
type Link interface {
	// Online tells whether a question would be answered.
	Online() bool
	// Status tells since when, how much waits, and the last error.
	Status() LinkStatus
	// AskMember and AskHold wait at most for the budget of a sale.
	AskMember(ctx context.Context, ref wire.Ref) (*wire.AnswerMember, error)
	AskHold(ctx context.Context, ask wire.AskHold) (*wire.AnswerHold, error)
	// AskReceipt asks for a sale of any till, to take goods back.
	AskReceipt(ctx context.Context, ask wire.AskReceipt) (*wire.AnswerReceipt, error)
}

// LinkStatus is how the link stands.
type LinkStatus struct {
	Mode      string     `json:"mode"` // online, offline
	Since     time.Time  `json:"since"`
	Phase     string     `json:"phase"`
	Queued    uint64     `json:"queued"` // records the centre does not have yet
	Parked    int        `json:"parked,omitempty"`
	Oldest    *time.Time `json:"oldest,omitempty"` // of them
	LastError string     `json:"last_error,omitempty"`
	Centre    string     `json:"centre,omitempty"` // its program version
	Connected *time.Time `json:"connected,omitempty"`
}

// Devices are the things on cables.
type Devices interface {
	// States lists every device of the settings.
	States() []DeviceState
	// Printer and Display return nil when there is none.
	Printer() drivers.Printer
	Display() drivers.Display
}

// DeviceState is how one device is.
type DeviceState struct {
	Name   string    `json:"name"`
	Kind   string    `json:"kind"`  // reader, printer, display
	State  string    `json:"state"` // ok, or the driver's code
	Title  string    `json:"title,omitempty"`
	Detail string    `json:"detail,omitempty"`
	Hint   string    `json:"hint,omitempty"`
	Since  time.Time `json:"since"`
}

// Config is what a Till is made of. Fields without a note are required.
type Config struct {
	Store, Till string // names the centre gave; empty: not enrolled
	Device      string
	Version     string
	Language    string
	PhonePrefix string // country code for numbers typed without one; optional
	LookupKey   []byte // nil: not enrolled
	TokenKey    []byte // 16 or 32 bytes
	Header      []string
	WholeSlip   bool     // goods and sums on the slip, too
	Idle        []string // the display's two lines between customers; optional
	Practice    bool
	MaxBody     int
	Origins     []string
	Users       []string      // who may call over the socket without a token
	Patience    time.Duration // of a slip for its printer
	Journal     *store.Journal
	Cache       *store.Cache
	Rules       func() Rules // nil inside: no rulebook yet
	// Barred tells why no points may be spent now whatever the link; empty: they
	// may. Optional.
	Barred func() string
	// Closed tells, as a code of the local API, why nothing new may be begun;
	// what is authorised can be captured and voided all the same. Optional.
	Closed func() string
	// Contact is when the centre was last heard; zero: never. Acked is the last
	// record it has, Trusted the time where the clock may be trusted, zero where
	// not. Optional: never, none, Now.
	Contact  func() time.Time
	Acked    func() uint64
	Trusted  func() time.Time
	Link     Link
	Tills    Tills // the others of the store; optional
	Devices  Devices
	Programs *Programs
	Health   *health.Tracker
	Log      *slog.Logger     // optional
	Now      func() time.Time // optional
	// Time is the time as well as it is known, for what is good at certain
	// times; the machine's clock may be wrong. Now when nil.
	Time func() time.Time
}

// Till is one counter at work. It is safe for concurrent use.
type Till struct {
	c       Config
	seal    *sealer
	events  *events
	metrics *metrics
	calls   keyLock // by idempotency key
	sales   keyLock // by receipt
	drafts  drafts

	customer atTheTill
	slips    chan slipRef // what is to be printed
	texts    chan shown   // for the display, the newest only
	started  time.Time
	run      string       // names this run of the program
	called   atomic.Int64 // Unix nanoseconds of the last call that may change something

	hostMu sync.RWMutex
	hosts  map[string]bool // exact Host values
	own    map[string]bool // exact Origin values
}

// New makes a till. Start and Serve set it going.
func New(c Config) (*Till, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.MaxBody == 0 {
		c.MaxBody = 2 << 20
	}
	if c.Language == "" {
		c.Language = "en"
	}
	if c.Time == nil {
		c.Time = func() time.Time { return c.Now() }
	}
	if c.Closed == nil {
		c.Closed = func() string { return "" }
	}
	if c.Barred == nil {
		c.Barred = func() string { return "" }
	}
	if c.Tills == nil {
		c.Tills = alone{}
	}
	if c.Contact == nil {
		c.Contact = func() time.Time { return time.Time{} }
	}
	if c.Acked == nil {
		c.Acked = func() uint64 { return 0 }
	}
	if c.Trusted == nil {
		c.Trusted = c.Now
	}
	seal, err := newSealer(c.TokenKey)
	if err != nil {
		return nil, err
	}
	if c.Journal == nil || c.Cache == nil || c.Rules == nil || c.Link == nil || c.Devices == nil || c.Programs == nil || c.Health == nil {
		return nil, errors.New("till: a part is missing")
	}
	t := &Till{c: c, seal: seal, metrics: newMetrics(), slips: make(chan slipRef, 64), texts: make(chan shown, 1), started: c.Now(), run: uuid.NewString()}
	t.events = newEvents(t)
	return t, nil
}

// Start settles what an earlier run left open: asks whose answer never came
// are voided, slips that were waiting are printed, those that were being
// printed are unknown. Call it once, before Serve.
func (t *Till) Start(ctx context.Context) error {
	var queued []slipRef
	err := t.c.Journal.Update(func(tx *store.Tx) error {
		list, err := tx.OpenReceipts()
		if err != nil {
			return err
		}
		for _, r := range list {
			changed := false
			if r.State == store.Open && r.Hold != nil && !r.Hold.Granted {
				if err := t.voidHold(tx, r, "restart"); err != nil {
					return err
				}
				r.Hold, r.State, changed = nil, store.Open, true
			}
			for n := range len(r.Returns) + 1 {
				switch slip, _ := r.SlipOf(n); {
				case *slip == store.SlipPrinting:
					*slip, changed = store.SlipUnknown, true
				case *slip != store.SlipQueued:
				case t.c.Now().Sub(r.Changed) > t.c.Patience:
					*slip, changed = store.SlipFailed, true
				default:
					queued = append(queued, slipRef{r.ID, n})
				}
			}
			if !changed {
				continue
			}
			if err := tx.PutReceipt(r); err != nil {
				return err
			}
		}
		return nil
	})
	for _, ref := range queued {
		t.queueSlip(ref)
	}
	return err
}

// keyLock lets one call per key through at a time. The zero value is ready.
type keyLock struct {
	mu   sync.Mutex
	held map[string]*keyHeld
}

type keyHeld struct {
	ch      chan struct{}
	waiters int
}

// lock waits for the key or the context.
func (l *keyLock) lock(ctx context.Context, key string) (unlock func(), err error) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[string]*keyHeld{}
	}
	h := l.held[key]
	if h == nil {
		h = &keyHeld{ch: make(chan struct{}, 1)}
		l.held[key] = h
	}
	h.waiters++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		if h.waiters--; h.waiters == 0 {
			delete(l.held, key)
		}
		l.mu.Unlock()
	}
	select {
	case h.ch <- struct{}{}:
		return func() { <-h.ch; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}

// drafts remembers, in memory only, the last basket that was calculated for a
// receipt and the points a cashier chose on the page.
type drafts struct {
	mu    sync.Mutex
	byID  map[string]*draft
	order []string
}

type draft struct {
	body  basketBody
	spend *string // the cashier's choice; nil: none made
	at    time.Time
}

// basketPatience is how long a basket that was priced and not closed counts as
// a customer at the counter.
const basketPatience = 2 * time.Minute

// Busy tells whether a basket is being rung up: priced lately and not closed.
func (t *Till) Busy() bool {
	t.drafts.mu.Lock()
	defer t.drafts.mu.Unlock()
	for _, d := range t.drafts.byID {
		if age := t.c.Now().Sub(d.at); age >= 0 && age < basketPatience {
			return true
		}
	}
	return false
}

// maxDrafts bounds the memory; a till has a few receipts at once.
const maxDrafts = 32

func (d *drafts) get(id string) (draft, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.byID[id]; e != nil {
		return *e, true
	}
	return draft{}, false
}

func (d *drafts) change(id string, f func(*draft)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.byID == nil {
		d.byID = map[string]*draft{}
	}
	e := d.byID[id]
	if e == nil {
		e = &draft{}
		d.byID[id] = e
		d.order = append(d.order, id)
		if len(d.order) > maxDrafts {
			delete(d.byID, d.order[0])
			d.order = d.order[1:]
		}
	}
	f(e)
}

func (d *drafts) drop(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.byID, id)
	for i, x := range d.order {
		if x == id {
			d.order = append(d.order[:i], d.order[i+1:]...)
			return
		}
	}
}
