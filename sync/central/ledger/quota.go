package ledger

import (
	"database/sql"
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/wire"
)

// quotaUse is what a record takes out of its till's quota of a budget.
type quotaUse struct {
	budget string
	money  loyalty.Money
	points loyalty.Points
	count  int64
}

// mostQuotas bounds the budgets one record may name.
const mostQuotas = 1000

// mostCount bounds the times or units one record may take of a quota.
const mostCount = 1_000_000_000

func readQuotas(list []wire.QuotaUse) ([]quotaUse, error) {
	if len(list) > mostQuotas {
		return nil, fmt.Errorf("%d quotas in one record", len(list))
	}
	var all []quotaUse
	for _, q := range list {
		u := quotaUse{budget: q.Budget, count: q.Count}
		var err error
		if q.Money != "" {
			if u.money, err = loyalty.ParseMoney(q.Money); err != nil {
				return nil, fmt.Errorf("quota of %q: %w", q.Budget, err)
			}
		}
		if q.Points != "" {
			if u.points, err = loyalty.ParsePoints(q.Points); err != nil {
				return nil, fmt.Errorf("quota of %q: %w", q.Budget, err)
			}
		}
		if len(q.Budget) > 300 || u.money < -mostMoney || u.money > mostMoney || u.points < -MostPoints || u.points > MostPoints ||
			u.count < -mostCount || u.count > mostCount {
			return nil, fmt.Errorf("quota of %.40q is out of range", q.Budget)
		}
		all = append(all, u)
	}
	return all, nil
}

// quotasOf are the uses a posting reports.
func quotasOf(p posting) []quotaUse {
	switch p := p.(type) {
	case *sale:
		return p.quotas
	case *void:
		return p.quotas
	case *giveback:
		return p.quotas
	}
	return nil
}

// useQuotas notes what a till has given. A till that gave more than we know
// to have granted (we came back from an older copy) is believed: that much is
// gone from the budget.
func (w *work) useQuotas(p posting, src Source) error {
	for _, u := range quotasOf(p) {
		err := w.tx.Exec(`INSERT INTO quota (budget, device, epoch) VALUES (?,?,?) ON CONFLICT DO NOTHING`, u.budget, src.Device, int64(src.Epoch))
		if err == nil {
			err = w.tx.Exec(`UPDATE quota SET used_money = used_money + ?, used_points = used_points + ?, used_count = used_count + ?
				WHERE budget = ? AND device = ? AND epoch = ?`, int64(u.money), int64(u.points), u.count, u.budget, src.Device, int64(src.Epoch))
		}
		if err == nil {
			err = w.tx.Exec(`UPDATE quota SET granted_money = CASE WHEN used_money > granted_money THEN used_money ELSE granted_money END,
				granted_points = CASE WHEN used_points > granted_points THEN used_points ELSE granted_points END,
				granted_count = CASE WHEN used_count > granted_count THEN used_count ELSE granted_count END
				WHERE budget = ? AND device = ? AND epoch = ?`, u.budget, src.Device, int64(src.Epoch))
		}
		if err != nil {
			return fmt.Errorf("note use of budget %s: %w", u.budget, err)
		}
	}
	return nil
}

// QuotaHolder is a device in one of its epochs.
type QuotaHolder struct {
	Device int64
	Epoch  uint32
}

// QuotaState is what a holder was granted of a budget and has given.
type QuotaState struct{ Granted, Used loyalty.Quota }

// Quotas reads all quotas of a budget, those of revoked devices too: what
// they have not told of may have been given.
func Quotas(tx *db.Tx, budget string) (map[QuotaHolder]QuotaState, error) {
	all := map[QuotaHolder]QuotaState{}
	err := tx.Rows(`SELECT device, epoch, granted_money, granted_points, granted_count, used_money, used_points, used_count FROM quota WHERE budget = ?`,
		[]any{budget}, func(r *sql.Rows) error {
			var h QuotaHolder
			var s QuotaState
			err := r.Scan(&h.Device, &h.Epoch, &s.Granted.Money, &s.Granted.Points, &s.Granted.Count, &s.Used.Money, &s.Used.Points, &s.Used.Count)
			all[h] = s
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read quotas of %s: %w", budget, err)
	}
	return all, nil
}

// GrantQuota hands a holder more of a budget. The caller has seen, in the
// same transaction, that so much of it is left.
func GrantQuota(tx *db.Tx, budget string, h QuotaHolder, q loyalty.Quota, now time.Time) error {
	n, err := tx.Next("command", 1)
	if err != nil {
		return err
	}
	err = tx.Exec(`INSERT INTO quota_grant (n, budget, device, epoch, money, points, count, made) VALUES (?,?,?,?,?,?,?,?)`,
		n, budget, h.Device, int64(h.Epoch), int64(q.Money), int64(q.Points), q.Count, db.Millis(now))
	if err == nil {
		err = tx.Exec(`INSERT INTO quota (budget, device, epoch, granted_money, granted_points, granted_count) VALUES (?,?,?,?,?,?)
			ON CONFLICT (budget, device, epoch) DO UPDATE SET granted_money = quota.granted_money + excluded.granted_money,
			granted_points = quota.granted_points + excluded.granted_points, granted_count = quota.granted_count + excluded.granted_count`,
			budget, h.Device, int64(h.Epoch), int64(q.Money), int64(q.Points), q.Count)
	}
	if err != nil {
		return fmt.Errorf("grant quota of %s: %w", budget, err)
	}
	return nil
}

// QuotaGrants returns what a device is to be told after a cursor.
func QuotaGrants(tx *db.Tx, device int64, after uint64, limit int) ([]wire.QuotaGrant, error) {
	var all []wire.QuotaGrant
	err := tx.Rows(`SELECT n, budget, epoch, money, points, count FROM quota_grant WHERE device = ? AND n > ? ORDER BY n LIMIT ?`,
		[]any{device, int64(after), limit}, func(r *sql.Rows) error {
			var g wire.QuotaGrant
			var m loyalty.Money
			var p loyalty.Points
			err := r.Scan(&g.No, &g.Budget, &g.Epoch, &m, &p, &g.Count)
			g.Money, g.Points = m.String(), p.String()
			all = append(all, g)
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("read grants of quotas: %w", err)
	}
	return all, nil
}
