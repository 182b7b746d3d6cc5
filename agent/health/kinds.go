package health

import "time"

// The kinds of trouble of an agent. Delays of those that settings govern are
// filled in by the agent (With).
var (
	NotEnrolled    = Kind{Code: "not_enrolled", Title: "Not enrolled with a centre", Severity: Bad, Hides: []string{"no_rulebook", "link_down", "queue_old"}}
	NoRulebook     = Kind{Code: "no_rulebook", Title: "No rulebook yet", Severity: Bad}
	LinkDown       = Kind{Code: "link_down", Title: "No link to the centre", Severity: Warning, Hides: []string{"queue_old", "rulebook_old"}}
	LinkRefused    = Kind{Code: "link_refused", Title: "The centre refuses this till", Severity: Bad, Hides: []string{"link_down", "queue_old", "rulebook_old"}}
	QueueOld       = Kind{Code: "queue_old", Title: "Records wait to be sent", Severity: Warning}
	RecordParked   = Kind{Code: "record_parked", Title: "The centre parked records", Severity: Warning}
	RulebookOld    = Kind{Code: "rulebook_old", Title: "Long without word about the rulebook", Severity: Warning}
	AloneLong      = Kind{Code: "offline_long", Title: "Days without a link: soon only points are given", Severity: Bad, Hides: []string{"rulebook_old"}}
	RulebookBad    = Kind{Code: "rulebook_rejected", Title: "A new rulebook was rejected", Severity: Warning}
	RootRefused    = Kind{Code: "root_refused", Title: "Keys that count could not be verified: somebody may have the centre", Severity: Bad}
	CertificateOld = Kind{Code: "certificate_old", Title: "The till's certificate could not be renewed", Severity: Warning}
	DeviceDown     = Kind{Code: "device_down", Title: "Device not ready", Severity: Warning}
	SlipLost       = Kind{Code: "slip_not_printed", Title: "A slip could not be printed", Severity: Notice}
	CacheRebuilt   = Kind{Code: "cache_rebuilt", Title: "The member cache was damaged and is being rebuilt", Severity: Notice}
	JournalAside   = Kind{Code: "journal_set_aside", Title: "A damaged journal was set aside", Severity: Bad}
	JournalDamaged = Kind{Code: "journal_damaged", Title: "The journal is damaged", Severity: Bad}
	DiskLow        = Kind{Code: "disk_low", Title: "Disk almost full, no spending", Severity: Bad}
	DiskFull       = Kind{Code: "disk_full", Title: "Disk full: open receipts can be closed, new ones are not taken", Severity: Bad, Hides: []string{"disk_low"}}
	StoreBroken    = Kind{Code: "store_error", Title: "The disk refuses to write", Severity: Bad}
	ClockBad       = Kind{Code: "clock_untrusted", Title: "The clock cannot be trusted", Severity: Warning}
	FilesFolder    = Kind{Code: "files_folder", Title: "The folder of receipt files cannot be used", Severity: Bad, Hides: []string{"files_waiting"}}
	FilesWaiting   = Kind{Code: "files_waiting", Title: "Receipt files wait to be booked", Severity: Warning, After: time.Minute}
	FilesRefused   = Kind{Code: "files_refused", Title: "Receipt files were refused", Severity: Warning}
	Unresolved     = Kind{Code: "receipts_unresolved", Title: "Receipts with held points never finished", Severity: Warning}
)

// With returns the kind with another delay.
func (k Kind) With(after time.Duration) Kind { k.After = after; return k }
