// Package installer makes the agent a service of the system and takes it away
// again.
//
// On Linux it writes a systemd unit of our own (the library's waits two
// minutes before a restart and shuts nothing off), on Windows it registers a
// service with recovery actions. Both start with the machine, come back after
// a crash, and run as a user of their own, never as root or SYSTEM:
//
//	Linux    user tillside (made by the package; by systemd where the service
//	         was registered by hand), groups for serial lines; data in
//	         /var/lib/tillside; a watchdog of 30 s; back after 2 s
//	Windows  NT SERVICE\tillside, a virtual account; data in
//	         %ProgramData%\Tillside, shut to all others; back after 5, 30, 60 s
//
// The service runs "tillside run --service": under Windows that speaks to the
// service manager, elsewhere it is a plain run that says when it is ready and,
// every ten seconds, that it still is.
//
// The rooms beside it:
//
//	provision      finds the file that tells an installation which till this is
//	packaging      what the packages are made of: scripts, units, installers
//	cmd/tilldist   makes the packages of a release ("make dist")
//	manpage        writes manual pages from the help
//	systest        proves the packages under a real systemd and under Wine
//	docs           runbook, rollout guide, troubleshooting
package installer
