package loyalty

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Date is a calendar day in the shop's own time, counted in days since
// 1970-01-01. It has no clock and no zone. The zero value is "no date" in
// documents, where 1970 has no use.
type Date int32

// DateOf is the day that t shows on the wall, in t's own offset.
func DateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date(time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Unix() / 86400)
}

// ParseDate reads "2026-11-23".
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a date", s)
	}
	return DateOf(t), nil
}

// Time is midnight of the day, in UTC.
func (d Date) Time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

func (d Date) String() string {
	if d == 0 {
		return ""
	}
	return d.Time().Format(time.DateOnly)
}

// Weekday of the day.
func (d Date) Weekday() time.Weekday { return time.Weekday(((int(d)+4)%7 + 7) % 7) }

// MarshalText writes "2026-11-23".
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads "2026-11-23".
func (d *Date) UnmarshalText(b []byte) (err error) { *d, err = ParseDate(string(b)); return }

// Clock is a time of day in minutes after midnight, plus one so that the
// zero value means "not given". 24:00 is allowed as an end.
type Clock int16

// UnmarshalText reads "17:30".
func (c *Clock) UnmarshalText(b []byte) error {
	h, m, ok := strings.Cut(string(b), ":")
	hh, err1 := strconv.Atoi(h)
	mm, err2 := strconv.Atoi(m)
	if !ok || err1 != nil || err2 != nil || len(m) != 2 || hh < 0 || mm < 0 || mm > 59 || hh*60+mm > 24*60 {
		return fmt.Errorf("%q is not a time of day", b)
	}
	*c = Clock(hh*60 + mm + 1)
	return nil
}

// MarshalText writes "17:30".
func (c Clock) MarshalText() ([]byte, error) {
	if c == 0 {
		return nil, nil
	}
	return fmt.Appendf(nil, "%02d:%02d", int(c-1)/60, int(c-1)%60), nil
}

// Span is a length of time in the calendar: "90 days", "12 months".
type Span struct {
	N    int    // how many
	Unit string // days, weeks, months, years
}

// UnmarshalText reads "90 days", "1 year" and the like.
func (s *Span) UnmarshalText(b []byte) error {
	n, unit, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	k, err := strconv.Atoi(n)
	if !strings.HasSuffix(unit, "s") {
		unit += "s"
	}
	switch unit {
	case "days", "weeks", "months", "years":
	default:
		ok = false
	}
	if !ok || err != nil || k < 0 || k > 36500 {
		return fmt.Errorf("%q is not a span of time", b)
	}
	*s = Span{k, unit}
	return nil
}

// MarshalText writes "90 days".
func (s Span) MarshalText() ([]byte, error) {
	if s.Unit == "" {
		return nil, nil
	}
	return fmt.Appendf(nil, "%d %s", s.N, s.Unit), nil
}

// IsZero says that no span was given.
func (s Span) IsZero() bool { return s.Unit == "" }

// After is the day one span after d. The last day of a month stays a last
// day: 31 January and one month is 28 or 29 February.
func (s Span) After(d Date) Date { return s.shift(d, 1) }

// Before is the day one span before d.
func (s Span) Before(d Date) Date { return s.shift(d, -1) }

func (s Span) shift(d Date, sign int) Date {
	n := s.N * sign
	switch s.Unit {
	case "weeks":
		return d + Date(7*n)
	case "months":
		return addMonths(d, n)
	case "years":
		return addMonths(d, 12*n)
	default:
		return d + Date(n)
	}
}

func addMonths(d Date, n int) Date {
	y, m, day := d.Time().Date()
	first := time.Date(y, m+time.Month(n), 1, 0, 0, 0, 0, time.UTC)
	last := first.AddDate(0, 1, -1).Day()
	return DateOf(first.AddDate(0, 0, min(day, last)-1))
}

// Period is a stretch of time for limits: receipt, day, week (from Monday),
// month, quarter, year, ever, or a rolling span such as "30 days".
type Period struct {
	Name string
	Span Span
}

// UnmarshalText reads a period's name or a span.
func (p *Period) UnmarshalText(b []byte) error {
	switch s := string(b); s {
	case "receipt", "day", "week", "month", "quarter", "year", "ever":
		*p = Period{Name: s}
		return nil
	}
	var s Span
	if s.UnmarshalText(b) != nil || s.N == 0 {
		return fmt.Errorf("%q is not a period (receipt, day, week, month, quarter, year, ever, or \"30 days\")", b)
	}
	*p = Period{Span: s}
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (p Period) MarshalText() ([]byte, error) {
	if p.Name != "" {
		return []byte(p.Name), nil
	}
	return p.Span.MarshalText()
}

// IsZero says that no period was given.
func (p Period) IsZero() bool { return p.Name == "" && p.Span.IsZero() }

// start is the first day of the period that holds day d; everything is 0.
func (p Period) start(d Date) Date {
	y, m, _ := d.Time().Date()
	switch p.Name {
	case "receipt", "day":
		return d
	case "week":
		return d - Date((int(d.Weekday())+6)%7)
	case "month":
		return DateOf(time.Date(y, m, 1, 0, 0, 0, 0, time.UTC))
	case "quarter":
		return DateOf(time.Date(y, (m-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC))
	case "year":
		return DateOf(time.Date(y, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if p.Span.IsZero() {
		return 0 // ever
	}
	return p.Span.Before(d) + 1
}

// Schedule says when a rule may fire. Every part that is given must hold;
// the days and times are those of the shop.
type Schedule struct {
	From     string   `json:"from,omitempty" doc:"first day, 2026-12-01, or moment, 2026-12-01T10:00"`
	To       string   `json:"to,omitempty" doc:"last day (included), or the moment it ends (excluded)"`
	Weekdays []string `json:"weekdays,omitempty" enum:"mon|tue|wed|thu|fri|sat|sun" doc:"days of the week"`
	Hours    []Hours  `json:"hours,omitempty" doc:"times of day; any one must hold"`
	Days     []int    `json:"days_of_month,omitempty" doc:"1 to 31; -1 is the last day"`
	Months   []int    `json:"months,omitempty" doc:"1 to 12"`
	Dates    []Date   `json:"dates,omitempty" doc:"single days"`
	Holidays []string `json:"holidays,omitempty" doc:"ids of holiday lists; the day must be in one"`
	Except   []string `json:"not_holidays,omitempty" doc:"ids of holiday lists; the day must be in none"`
	NotDates []Date   `json:"not_dates,omitempty" doc:"single days on which the rule rests"`
}

// Hours is a stretch of the day, from included, to excluded. A stretch whose
// end is before its start runs over midnight; the weekday is that of the
// moment itself.
type Hours struct {
	From Clock `json:"from" doc:"first minute, 17:00"`
	To   Clock `json:"to" doc:"end, not included; 24:00 is midnight"`
}

// schedule is a compiled Schedule.
type schedule struct {
	from, to     Date // to is included; 0: open
	fromM, toM   int  // minutes within the first and last day; toM excluded
	weekdays     uint8
	days, months uint32
	lastDay      bool
	hours        []Hours
	dates, never map[Date]bool
	holidays     []map[Date]bool
}

var weekdayBit = map[string]uint8{"sun": 1, "mon": 2, "tue": 4, "wed": 8, "thu": 16, "fri": 32, "sat": 64}

func parseMoment(s string) (d Date, minute int, hasTime, ok bool) {
	day, clock, hasTime := strings.Cut(s, "T")
	d, err := ParseDate(day)
	if err != nil {
		return 0, 0, false, false
	}
	if hasTime {
		var c Clock
		if len(clock) == 8 && clock[5:] == ":00" {
			clock = clock[:5]
		}
		if c.UnmarshalText([]byte(clock)) != nil {
			return 0, 0, false, false
		}
		minute = int(c - 1)
	}
	return d, minute, hasTime, true
}

// dayHolds tells whether any moment of day d can be in the schedule.
func (s *schedule) dayHolds(d Date) bool {
	if s.from != 0 && d < s.from || s.to != 0 && d > s.to {
		return false
	}
	if s.weekdays != 0 && s.weekdays&(1<<uint(d.Weekday())) == 0 {
		return false
	}
	if s.days != 0 || s.months != 0 || s.lastDay {
		t := d.Time()
		if s.months != 0 && s.months&(1<<uint(t.Month())) == 0 {
			return false
		}
		if (s.days != 0 || s.lastDay) && s.days&(1<<uint(t.Day())) == 0 &&
			!(s.lastDay && (d+1).Time().Day() == 1) {
			return false
		}
	}
	if s.never[d] {
		return false
	}
	if s.dates == nil && s.holidays == nil {
		return true
	}
	if s.dates[d] {
		return true
	}
	for _, h := range s.holidays {
		if h[d] {
			return true
		}
	}
	return false
}

// holds tells whether the moment is in the schedule.
func (s *schedule) holds(d Date, minute int) bool {
	if !s.dayHolds(d) {
		return false
	}
	if s.from == d && minute < s.fromM || s.to == d && s.toM > 0 && minute >= s.toM {
		return false
	}
	if len(s.hours) == 0 {
		return true
	}
	for _, h := range s.hours {
		from, to := int(h.From)-1, int(h.To)-1
		if from <= to && minute >= from && minute < to || from > to && (minute >= from || minute < to) {
			return true
		}
	}
	return false
}
