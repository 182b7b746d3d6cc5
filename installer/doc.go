// Package installer makes the agent a service of the system and takes it away
// again.
//
// On Linux it writes a systemd unit of our own (the library's waits two
// minutes before a restart and shuts nothing off), on Windows it registers a
// service with recovery actions. Both start with the machine, come back two
// seconds after a crash, and run as a user of their own, never as root or
// SYSTEM:
//
//	Linux    DynamicUser, group dialout for serial ports; data in
//	         /var/lib/tillside, given to that user by systemd at start
//	Windows  NT SERVICE\tillside, a virtual account; data in
//	         %ProgramData%\Tillside
//
// The service runs "tillside run --service": under Windows that speaks to the
// service manager, elsewhere it is a plain run that says when it is ready.
package installer
