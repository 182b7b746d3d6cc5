package agent

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/sync/wire"
)

// badGrant is a grant that cannot be read.
type badGrant struct{ err error }

func (e *badGrant) Error() string { return e.err.Error() }
func (e *badGrant) Unwrap() error { return e.err }

// grant adds what the centre lets this till give of a budget.
func grant(tx *store.Tx, args json.RawMessage) error {
	var g wire.QuotaGrant
	if err := wire.ReadItem(args, &g); err != nil {
		return &badGrant{err}
	}
	var q loyalty.Quota
	var err, err2 error
	if g.Money != "" {
		q.Money, err = loyalty.ParseMoney(g.Money)
	}
	if g.Points != "" {
		q.Points, err2 = loyalty.ParsePoints(g.Points)
	}
	q.Count = g.Count
	if err := errors.Join(err, err2); err != nil {
		return &badGrant{err}
	}
	if g.Budget == "" || len(g.Budget) > 300 || q.Money < 0 || q.Points < 0 || q.Count < 0 {
		return &badGrant{fmt.Errorf("grant %d of %.40q is out of range", g.No, g.Budget)}
	}
	return tx.Grant(g.Budget, g.No, g.Epoch, q)
}
