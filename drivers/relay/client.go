package relay

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Notice is one thing a relay tells its agent. Exactly one field but Kept is
// set; Till and Printer are bytes.
type Notice struct {
	At      uint64 // of Till: the place of its first byte; of Hello: of the next one
	Till    []byte
	Printer []byte
	Kept    bool // of Printer: not shown to the till
	Held    *uint64
	Letting *Released
	Done    *Done
	State   *State
	Hello   bool
}

// Client is the agent's end. One goroutine reads; the rest may be called from
// any.
type Client struct {
	conn net.Conn
	mu   sync.Mutex
}

// ErrVersion is returned by Attach when the relay speaks another form.
var ErrVersion = errors.New("the relay speaks another version")

// Attach joins a relay over a connection and shows the secret. The first
// notice says hello.
func Attach(ctx context.Context, conn net.Conn, secret string) (*Client, error) {
	c := &Client{conn: conn}
	if err := c.say(encode(kindAuth, auth{secret})); err != nil {
		return nil, fmt.Errorf("attach: %w", err)
	}
	return c, nil
}

// Close detaches. It may be called at any time.
func (c *Client) Close() error { return c.conn.Close() }

func (c *Client) say(b []byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	_, err := c.conn.Write(b)
	return err
}

// Want says before which commands the agent is to be asked; none: never.
func (c *Client) Want(patterns []Pattern) error { return c.say(encode(kindWant, want{patterns})) }

// Go lets the command that is held at a place go on.
func (c *Client) Go(at uint64) error { return c.say(encode(kindGo, reply{At: at})) }

// Pass lets it go on up to and with a byte, where the relay asks again: for
// lines that must follow a command instead of preceding it.
func (c *Client) Pass(at uint64, last byte) error {
	return c.say(encode(kindGo, reply{At: at, Pass: &last}))
}

// Insert gives the script to do before it goes on.
func (c *Client) Insert(at uint64, s *Script) error {
	return c.say(encode(kindInsert, reply{At: at, Script: s}))
}

// Early answers the till at once while its command is held.
func (c *Client) Early(at uint64, e Early) error {
	return c.say(encode(kindEarly, reply{At: at, Early: &e}))
}

// Next waits for the next notice. Kinds this version does not know are passed
// over.
func (c *Client) Next() (Notice, error) {
	for {
		kind, b, err := readMessage(c.conn)
		if err != nil {
			return Notice{}, err
		}
		var n Notice
		switch kind {
		case kindHello:
			var h hello
			if err := json.Unmarshal(b, &h); err != nil {
				return n, fmt.Errorf("hello: %w", err)
			}
			if h.Version != Version {
				return n, fmt.Errorf("%w: %d, not %d", ErrVersion, h.Version, Version)
			}
			return Notice{Hello: true, At: h.At, State: &h.State}, nil
		case kindTill:
			if len(b) < 8 {
				return n, errors.New("a notice is too short")
			}
			return Notice{At: binary.BigEndian.Uint64(b), Till: b[8:]}, nil
		case kindPrinter:
			if len(b) < 1 {
				return n, errors.New("a notice is too short")
			}
			return Notice{Kept: b[0] == 1, Printer: b[1:]}, nil
		case kindHeld:
			var h held
			err = json.Unmarshal(b, &h)
			n.Held = &h.At
		case kindReleased:
			n.Letting = &Released{}
			err = json.Unmarshal(b, n.Letting)
		case kindDone:
			n.Done = &Done{}
			err = json.Unmarshal(b, n.Done)
		case kindState:
			n.State = &State{}
			err = json.Unmarshal(b, n.State)
		default:
			continue
		}
		if err != nil {
			return n, fmt.Errorf("notice %c: %w", kind, err)
		}
		return n, nil
	}
}
