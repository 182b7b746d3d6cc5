package main

import "golang.org/x/sys/windows"

// hideConsole lets go of the console window that a console program gets.
func hideConsole() { _, _, _ = windows.NewLazySystemDLL("kernel32.dll").NewProc("FreeConsole").Call() }
