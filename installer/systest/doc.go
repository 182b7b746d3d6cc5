// Package systest proves the packages on real systems: the deb under a real
// systemd in a container, the MSI and the installer under Wine, all made by the
// same program that makes a release.
//
// Two machines are started for the deb, as in the field:
//
//	container "centre"                     container "till"
//	tillside-central.deb ── network ──── tillside.deb, emulated devices
//	(a namespace each, one cable that can be pulled)
//
// Containers and Wine's folders are made once (.ci/root, .ci/wine) and kept in
// the cache; each test works on a copy. What is not here is skipped by name.
package systest
