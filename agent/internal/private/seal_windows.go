package private

import (
	"bytes"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// entropy keeps another program's call from opening what is ours by accident; it
// is no secret.
var entropy = []byte("tillside seal v1")

func blob(b []byte) *windows.DataBlob {
	if len(b) == 0 {
		return &windows.DataBlob{}
	}
	return &windows.DataBlob{Size: uint32(len(b)), Data: &b[0]}
}

// take copies what the system allocated and gives that back.
func take(d *windows.DataBlob) []byte {
	b := bytes.Clone(unsafe.Slice(d.Data, d.Size))
	_, _ = windows.LocalFree(windows.Handle(unsafe.Pointer(d.Data)))
	return b
}

func seal(b []byte) (how string, box []byte, err error) {
	var out windows.DataBlob
	err = windows.CryptProtectData(blob(b), nil, blob(entropy), 0, nil, windows.CRYPTPROTECT_LOCAL_MACHINE|windows.CRYPTPROTECT_UI_FORBIDDEN, &out)
	if err != nil {
		return "", nil, fmt.Errorf("DPAPI: %w", err)
	}
	return "dpapi", take(&out), nil
}

func unseal(how string, box []byte) ([]byte, error) {
	if how != "dpapi" {
		return nil, fmt.Errorf("by %.20q, which this system does not have", how)
	}
	if len(box) == 0 {
		return nil, errors.New("cut short")
	}
	var out windows.DataBlob
	if err := windows.CryptUnprotectData(blob(box), nil, blob(entropy), 0, nil, windows.CRYPTPROTECT_UI_FORBIDDEN, &out); err != nil {
		return nil, fmt.Errorf("DPAPI: %w", err)
	}
	return take(&out), nil
}
