package wire

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strconv"
)

// NonceSize is the length of a challenge.
const NonceSize = 32

func helloMessage(nonce, body []byte) []byte {
	msg := append([]byte("tillside hello v1\n"), nonce...)
	return append(msg, body...)
}

// SignHello makes the HELLO for a challenge. The signature is over the line
// "tillside hello v1", the nonce, and the bytes of the body; a listener or a
// proxy in between gains nothing from it.
func SignHello(key ed25519.PrivateKey, nonce []byte, body HelloBody) (*Hello, error) {
	if len(nonce) != NonceSize {
		return nil, fmt.Errorf("%w: nonce of %d bytes", ErrMalformed, len(nonce))
	}
	b, err := json.Marshal(body)
	if err != nil {
		return nil, fmt.Errorf("encode HELLO: %w", err)
	}
	return &Hello{Signed: b, Sig: ed25519.Sign(key, helloMessage(nonce, b))}, nil
}

// Body decodes what the till says about itself, before anything is verified.
func (h *Hello) Body() (*HelloBody, error) {
	var b HelloBody
	if err := unmarshal(h.Signed, &b); err != nil {
		return nil, fmt.Errorf("HELLO: %w", err)
	}
	if !ValidDevice(b.Device) || b.Epoch == 0 || len(b.Cursors) > 20 || len(b.Boot) > 64 || len(b.Agent) > 100 {
		return nil, fmt.Errorf("%w: HELLO fields", ErrMalformed)
	}
	return &b, nil
}

// Verify checks the signature of a HELLO.
func (h *Hello) Verify(pub ed25519.PublicKey, nonce []byte) error {
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, helloMessage(nonce, h.Signed), h.Sig) {
		return fmt.Errorf("HELLO: %w", ErrSignature)
	}
	return nil
}

func pushMessage(device string, epoch uint32, last Head) []byte {
	return []byte("tillside push v1\n" + device + "\n" + strconv.FormatUint(uint64(epoch), 10) + "\n" +
		strconv.FormatUint(last.Seq, 10) + "\n" + last.Hash.String() + "\n")
}

// SignPush signs the end of a batch, and by the chain everything before it.
func SignPush(key ed25519.PrivateKey, device string, epoch uint32, last Head) []byte {
	return ed25519.Sign(key, pushMessage(device, epoch, last))
}

// VerifyPush checks the signature of a batch end.
func VerifyPush(pub ed25519.PublicKey, device string, epoch uint32, last Head, sig []byte) error {
	if len(pub) != ed25519.PublicKeySize || !ed25519.Verify(pub, pushMessage(device, epoch, last), sig) {
		return fmt.Errorf("PUSH up to %d: %w", last.Seq, ErrSignature)
	}
	return nil
}
