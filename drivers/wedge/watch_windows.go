package wedge

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Of winuser.h.
const (
	whKeyboardLL = 13
	wmQuit       = 0x0012
	wmTimer      = 0x0113
	wmInput      = 0x00FF

	llkhfExtended = 0x01
	llkhfUp       = 0x80

	inputKeyboard       = 1
	keyeventfExtended   = 0x0001
	keyeventfKeyUp      = 0x0002
	keyeventfScancode   = 0x0008
	ridInput            = 0x10000003
	ridiDeviceName      = 0x20000007
	ridevInputSink      = 0x00000100
	rimTypeKeyboard     = 1
	riKeyBreak          = 1
	riKeyE0             = 2
	hwndMessage         = ^uintptr(2) // -3
	ourMark             = 0x7111D0E   // dwExtraInfo of what we give back
	tickMillis          = 10
	usagePage, usageKey = 1, 6
)

var (
	user32              = windows.NewLazySystemDLL("user32.dll")
	setWindowsHookEx    = user32.NewProc("SetWindowsHookExW")
	unhookWindowsHookEx = user32.NewProc("UnhookWindowsHookEx")
	callNextHookEx      = user32.NewProc("CallNextHookEx")
	getMessage          = user32.NewProc("GetMessageW")
	dispatchMessage     = user32.NewProc("DispatchMessageW")
	postThreadMessage   = user32.NewProc("PostThreadMessageW")
	setTimer            = user32.NewProc("SetTimer")
	sendInput           = user32.NewProc("SendInput")
	registerClass       = user32.NewProc("RegisterClassExW")
	createWindow        = user32.NewProc("CreateWindowExW")
	destroyWindow       = user32.NewProc("DestroyWindow")
	defWindowProc       = user32.NewProc("DefWindowProcW")
	registerRawInput    = user32.NewProc("RegisterRawInputDevices")
	getRawInputData     = user32.NewProc("GetRawInputData")
	getRawInputList     = user32.NewProc("GetRawInputDeviceList")
	getRawInputInfo     = user32.NewProc("GetRawInputDeviceInfoW")
)

type kbdLLHook struct {
	vk, scan, flags, time uint32
	extra                 uintptr
}

type message struct {
	hwnd    uintptr
	message uint32
	wparam  uintptr
	lparam  uintptr
	time    uint32
	x, y    int32
}

// keyInput is INPUT with its KEYBDINPUT; the union is as large as MOUSEINPUT.
type keyInput struct {
	kind uint32
	ki   struct {
		vk, scan    uint16
		flags, time uint32
		extra       uintptr
	}
	_ [8]byte
}

type windowClass struct {
	size, style                        uint32
	proc                               uintptr
	clsExtra, wndExtra                 int32
	instance, icon, cursor, background uintptr
	menu, name                         *uint16
	smallIcon                          uintptr
}

type rawDevice struct {
	page, usage uint16
	flags       uint32
	target      uintptr
}

type rawHeader struct {
	kind, size uint32
	device     uintptr
	wparam     uintptr
}

type rawKeyboard struct {
	header               rawHeader
	make, flags, _, vkey uint16
	message, extra       uint32
}

type rawListEntry struct {
	device uintptr
	kind   uint32
}

// watcher is one Watch. Windows calls back on the thread that watches, so its
// fields need no lock.
type watcher struct {
	b      *Burst
	read   func([]byte)
	device string
	names  map[uintptr]bool // raw device -> is it ours
}

// current is the one watcher of this process: a hook procedure carries no value
// of its own.
var current atomic.Pointer[watcher]

// callbacks are made once: the runtime has a limited number of them.
var (
	hookProc   = windows.NewCallback(onHook)
	windowProc = windows.NewCallback(onWindow)
)

// Watch finds readings among the keys of this session until ctx is done. read
// must not block: Windows takes a slow hook out. One Watch may run at a time.
func Watch(ctx context.Context, o Options, read func(text []byte)) error {
	b, err := NewBurst(o.By, o.Prefix, o.Gap, o.Min)
	if err != nil {
		return err
	}
	device := strings.ToLower(o.Device)
	if o.By == ByDevice && !vidPid.MatchString(device) {
		return fmt.Errorf("device %q: want VID:PID such as 05e0:1200; tillside wedge --list shows them", o.Device)
	}
	w := &watcher{b: b, read: read, device: device, names: map[uintptr]bool{}}
	if !current.CompareAndSwap(nil, w) {
		return errors.New("the keyboard is watched already")
	}
	defer current.Store(nil)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	if o.By == ByDevice {
		h, err := w.rawWindow()
		if err != nil {
			return err
		}
		defer destroyWindow.Call(h)
	} else {
		h, _, err := setWindowsHookEx.Call(whKeyboardLL, hookProc, 0, 0)
		if h == 0 {
			return fmt.Errorf("hook the keyboard: %w", err)
		}
		defer unhookWindowsHookEx.Call(h)
	}
	setTimer.Call(0, 0, tickMillis, 0)
	thread := windows.GetCurrentThreadId()
	stop := context.AfterFunc(ctx, func() { postThreadMessage.Call(uintptr(thread), wmQuit, 0, 0) })
	defer stop()
	for {
		var m message
		switch r, _, err := getMessage.Call(uintptr(unsafe.Pointer(&m)), 0, 0, 0); int32(r) {
		case 0:
			return ctx.Err()
		case -1:
			return fmt.Errorf("wait for keys: %w", err)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if m.message == wmTimer && m.hwnd == 0 {
			text, replay := w.b.Tick(time.Now())
			w.out(text, replay)
			continue
		}
		dispatchMessage.Call(uintptr(unsafe.Pointer(&m)))
	}
}

// out tells a reading and gives keys back to the window.
func (w *watcher) out(text []byte, replay []Press) {
	if len(text) > 0 {
		w.read(text)
	}
	if len(replay) == 0 {
		return
	}
	in := make([]keyInput, len(replay))
	for i, p := range replay {
		in[i].kind = inputKeyboard
		in[i].ki.scan, in[i].ki.flags, in[i].ki.extra = p.Code, keyeventfScancode, ourMark
		if p.Up {
			in[i].ki.flags |= keyeventfKeyUp
		}
		if p.Extended {
			in[i].ki.flags |= keyeventfExtended
		}
	}
	sendInput.Call(uintptr(len(in)), uintptr(unsafe.Pointer(&in[0])), unsafe.Sizeof(in[0]))
}

func onHook(code, wparam uintptr, h *kbdLLHook) uintptr {
	w := current.Load()
	if int32(code) < 0 || w == nil || h.extra == ourMark {
		r, _, _ := callNextHookEx.Call(0, code, wparam, uintptr(unsafe.Pointer(h)))
		return r
	}
	text, swallow, replay := w.b.Key(Press{At: time.Now(), Code: uint16(h.scan), Extended: h.flags&llkhfExtended != 0, Up: h.flags&llkhfUp != 0})
	if len(replay) > 0 && !swallow {
		// What was held comes first: this key is given back behind it.
		replay = append(replay, Press{Code: uint16(h.scan), Extended: h.flags&llkhfExtended != 0, Up: h.flags&llkhfUp != 0})
		swallow = true
	}
	w.out(text, replay)
	if swallow {
		return 1
	}
	r, _, _ := callNextHookEx.Call(0, code, wparam, uintptr(unsafe.Pointer(h)))
	return r
}

// rawWindow makes a window that nobody sees and asks for the keys of all
// keyboards, also while another window has the focus.
func (w *watcher) rawWindow() (uintptr, error) {
	name, err := windows.UTF16PtrFromString("TillsideWedge")
	if err != nil {
		return 0, err
	}
	c := windowClass{proc: windowProc, name: name}
	c.size = uint32(unsafe.Sizeof(c))
	registerClass.Call(uintptr(unsafe.Pointer(&c))) // a second Watch finds it there
	h, _, err := createWindow.Call(0, uintptr(unsafe.Pointer(name)), 0, 0, 0, 0, 0, 0, hwndMessage, 0, 0, 0)
	if h == 0 {
		return 0, fmt.Errorf("make a window for raw input: %w", err)
	}
	d := rawDevice{page: usagePage, usage: usageKey, flags: ridevInputSink, target: h}
	if ok, _, err := registerRawInput.Call(uintptr(unsafe.Pointer(&d)), 1, unsafe.Sizeof(d)); ok == 0 {
		destroyWindow.Call(h)
		return 0, fmt.Errorf("ask for raw input: %w", err)
	}
	return h, nil
}

func onWindow(hwnd, msg, wparam, lparam uintptr) uintptr {
	if w := current.Load(); w != nil && uint32(msg) == wmInput {
		var k rawKeyboard
		size := uint32(unsafe.Sizeof(k))
		n, _, _ := getRawInputData.Call(lparam, ridInput, uintptr(unsafe.Pointer(&k)), uintptr(unsafe.Pointer(&size)), unsafe.Sizeof(k.header))
		if int32(n) > 0 && k.header.kind == rimTypeKeyboard && w.ours(k.header.device) {
			text, _, _ := w.b.Key(Press{At: time.Now(), Code: k.make, Extended: k.flags&riKeyE0 != 0, Up: k.flags&riKeyBreak != 0})
			w.out(text, nil)
		}
	}
	r, _, _ := defWindowProc.Call(hwnd, msg, wparam, lparam)
	return r
}

// ours tells whether a raw device is the one that was named.
func (w *watcher) ours(device uintptr) bool {
	is, known := w.names[device]
	if !known {
		if len(w.names) > 100 { // numbers change as devices come and go
			clear(w.names)
		}
		is = usbID(rawName(device)) == w.device
		w.names[device] = is
	}
	return is
}

var (
	vidPid  = regexp.MustCompile(`^[0-9a-f]{4}:[0-9a-f]{4}$`)
	usbName = regexp.MustCompile(`vid_([0-9a-f]{4})&pid_([0-9a-f]{4})`)
)

// usbID is "05e0:1200" of \\?\HID#VID_05E0&PID_1200#…
func usbID(name string) string {
	if m := usbName.FindStringSubmatch(strings.ToLower(name)); m != nil {
		return m[1] + ":" + m[2]
	}
	return ""
}

func rawName(device uintptr) string {
	var n uint32
	getRawInputInfo.Call(device, ridiDeviceName, 0, uintptr(unsafe.Pointer(&n)))
	if n == 0 || n > 4096 {
		return ""
	}
	b := make([]uint16, n+1)
	if r, _, _ := getRawInputInfo.Call(device, ridiDeviceName, uintptr(unsafe.Pointer(&b[0])), uintptr(unsafe.Pointer(&n))); int32(r) <= 0 {
		return ""
	}
	return windows.UTF16ToString(b)
}

// Keyboards lists the keyboards of this session as "VID:PID name".
func Keyboards() ([]string, error) {
	var n uint32
	size := unsafe.Sizeof(rawListEntry{})
	if r, _, err := getRawInputList.Call(0, uintptr(unsafe.Pointer(&n)), size); int32(r) < 0 {
		return nil, fmt.Errorf("list keyboards: %w", err)
	}
	if n == 0 {
		return nil, nil
	}
	list := make([]rawListEntry, n)
	r, _, err := getRawInputList.Call(uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&n)), size)
	if int32(r) < 0 {
		return nil, fmt.Errorf("list keyboards: %w", err)
	}
	var out []string
	for _, e := range list[:int32(r)] {
		if e.kind == rimTypeKeyboard {
			name := rawName(e.device)
			id := usbID(name)
			if id == "" {
				id = "-"
			}
			out = append(out, id+"  "+name)
		}
	}
	return out, nil
}
