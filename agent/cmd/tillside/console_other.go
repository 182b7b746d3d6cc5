//go:build !windows

package main

// hideConsole does nothing: there is no console window here.
func hideConsole() {}
