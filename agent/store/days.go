package store

import (
	"encoding/binary"
	"slices"
	"time"
)

// How old a receipt or an answer is cannot be told by the wall clock alone: a
// clock that jumps ten years ahead would have all of them forgotten. So the
// days on which this till was at work are counted too. Something goes when its
// retention is over by the calendar and that many other days have been seen
// since; one wrong day, however far ahead, is one day.

// retentionDays are the days of Retention.
const retentionDays = int(Retention / (24 * time.Hour))

// keyDays holds the last days seen, in the order of seeing: days since 1970, 4
// bytes each.
const keyDays = "days"

// expired is the time before which things may go, after taking note of today;
// the zero time: nothing may.
func (t *Tx) expired() (time.Time, error) {
	now := t.now()
	today := uint32(max(now.Unix(), 0) / 86400)
	var days []uint32
	for b := t.Meta(keyDays); len(b) >= 4; b = b[4:] {
		days = append(days, binary.BigEndian.Uint32(b))
	}
	if !slices.Contains(days, today) {
		days = append(days, today)
		days = days[max(0, len(days)-retentionDays-1):]
		var b []byte
		for _, d := range days {
			b = binary.BigEndian.AppendUint32(b, d)
		}
		if err := t.SetMeta(keyDays, b); err != nil {
			return time.Time{}, err
		}
	}
	if len(days) <= retentionDays {
		return time.Time{}, nil
	}
	limit := now.Add(-Retention)
	if seen := time.Unix(int64(days[0]+1)*86400, 0); seen.Before(limit) {
		limit = seen
	}
	return limit, nil
}
