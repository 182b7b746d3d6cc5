package health

import "time"

// The kinds of trouble of a pass-through (package passthrough).
var (
	RelayAway   = Kind{Code: "relay_away", Title: "The relay of the pass-through does not answer", Severity: Warning, After: 30 * time.Second}
	RelayEnd    = Kind{Code: "relay_end", Title: "The relay does not reach the printer or the till", Severity: Warning, After: 5 * time.Second}
	PassUnread  = Kind{Code: "passthrough_unread", Title: "A receipt could not be read: nothing was added, no points given", Severity: Warning}
	PassLate    = Kind{Code: "passthrough_late", Title: "Loyalty lines were left out of a receipt", Severity: Notice}
	PassRefused = Kind{Code: "passthrough_refused", Title: "A receipt that was read could not be booked", Severity: Warning}
)
