package wedge

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// type_ gives keys to the system as a keyboard does, so far as a program can.
func type_(t *testing.T, codes ...uint16) {
	t.Helper()
	var in []keyInput
	for _, c := range codes {
		for _, up := range []uint32{0, keyeventfKeyUp} {
			var i keyInput
			i.kind, i.ki.scan, i.ki.flags = inputKeyboard, c, keyeventfScancode|up
			in = append(in, i)
		}
	}
	if n, _, err := sendInput.Call(uintptr(len(in)), uintptr(unsafe.Pointer(&in[0])), unsafe.Sizeof(in[0])); int(n) != len(in) {
		t.Fatalf("send input: %d of %d, %v", n, len(in), err)
	}
}

func watching(t *testing.T, o Options) (got func() []string, stop func()) {
	t.Helper()
	var mu sync.Mutex
	var list []string
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Watch(ctx, o, func(b []byte) { mu.Lock(); list = append(list, string(b)); mu.Unlock() })
	}()
	return func() []string { mu.Lock(); defer mu.Unlock(); return list }, func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("watch: %v", err)
		}
	}
}

var digits = []uint16{3, 11, 11, 11, 11, 11, 11, 2, 3, 6, 11, 11, 9} // 2000000125008

// TestHookFindsReadings: keys given to the system reach the hook, and a reading
// comes out; with a prefix it is kept from the window.
func TestHookFindsReadings(t *testing.T) {
	for _, c := range []struct {
		o    Options
		keys []uint16
	}{{Options{By: ByTiming, Gap: 500 * time.Millisecond, Min: 6}, append(append([]uint16{}, digits...), keyEnter)},
		{Options{By: ByPrefix, Prefix: "F9", Gap: 500 * time.Millisecond, Min: 6}, append(append([]uint16{67}, digits...), keyEnter)}} {
		got, stop := watching(t, c.o)
		// The first keys may come before the hook is in place: type until a whole
		// reading comes out. What comes out is never anything else.
		const want = "2000000125008\r"
		last := func() string {
			if l := got(); len(l) > 0 {
				return l[len(l)-1]
			}
			return ""
		}
		for end := time.Now().Add(30 * time.Second); last() != want; {
			if time.Now().After(end) {
				t.Fatalf("%s: readings %q", c.o.By, got())
			}
			seen := len(got())
			type_(t, c.keys...)
			for range 100 {
				if len(got()) > seen {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		stop()
		for _, s := range got() {
			if !strings.HasSuffix(want, s) {
				t.Errorf("%s: %q", c.o.By, s)
			}
		}
	}
}

func TestRawInputIsAskedFor(t *testing.T) {
	_, stop := watching(t, Options{By: ByDevice, Device: "05E0:1200", Gap: 100 * time.Millisecond, Min: 6})
	for end := time.Now().Add(20 * time.Second); current.Load() == nil && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if err := Watch(context.Background(), Options{By: ByTiming, Gap: 100 * time.Millisecond, Min: 6}, nil); err == nil {
		t.Error("two watches at once")
	}
	stop()
	if _, err := Keyboards(); err != nil {
		t.Error(err)
	}
	if err := Watch(context.Background(), Options{By: ByDevice, Device: "x", Gap: 100 * time.Millisecond, Min: 6}, nil); err == nil {
		t.Error("a device that is none")
	}
}

func TestUSBNames(t *testing.T) {
	if got := usbID(`\\?\HID#VID_05E0&PID_1200&MI_00#8&1b&0&0000#{884b96c3-56ef-11d1-bc8c-00a0c91405dd}`); got != "05e0:1200" {
		t.Error(got)
	}
	if got := usbID(`\\?\ACPI#PNP0303#4&`); got != "" {
		t.Error(got)
	}
	if unsafe.Sizeof(uintptr(0)) == 8 && unsafe.Sizeof(keyInput{}) != 40 || unsafe.Sizeof(uintptr(0)) == 4 && unsafe.Sizeof(keyInput{}) != 28 {
		t.Errorf("INPUT has %d bytes", unsafe.Sizeof(keyInput{}))
	}
}
