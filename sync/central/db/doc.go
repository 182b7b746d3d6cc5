// Package db holds the centre's database: where it lies, how it is opened,
// how its tables come about, and the few habits every room shares.
//
//	rooms (ledger, members, fleet, …) --SQL with ? marks--> DB.Write  one writer, one transaction at a time
//	                                                        DB.Read   many readers, each on a fixed view
//
// With no settings the database is SQLite in one folder (write-ahead log,
// synchronous=FULL): what Write returned without an error is on disk, also
// after SIGKILL or a power cut. A second process, such as a command of an
// operator, may open the same folder while the server runs; writers queue.
//
// The SQL of the rooms keeps to what PostgreSQL understands as well (ON
// CONFLICT, RETURNING, recursive WITH, BIGINT, no type affinity tricks), so
// that a second engine needs its own migrations folder, a driver and the
// question mark rewriting of Rebind, and no second copy of the rooms.
//
// Numbers measured on the machine the choice was made on (two cores, modernc
// driver, transactions of 1,000 rows): rows one by one 306,000/s; 50 to a
// statement 515,000/s with plain question marks, but only 95,000/s with
// numbered marks ($1), whose names the driver looks up one by one. Hence the
// question marks. A secondary index on a random key costs a row 5 to 10
// microseconds, five times the row itself; see package ledger for how its
// tables do without.
//
// Migrations are numbered SQL files, applied in order in one transaction: a
// cut leaves the old state or the new one. The runner is some forty lines of ours: goose would bring its
// own SQL splitter and a retry library for what embed, Exec and one table do.
package db
