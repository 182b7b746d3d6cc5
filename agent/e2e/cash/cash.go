// Package cash is a cash program in miniature: it talks to the agent as any
// cash software would, over the localhost API and nothing else. It keeps to the
// one rule the API asks of its callers: a call whose answer was not heard is
// repeated with the same Idempotency-Key until an answer comes.
package cash

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent/loyalty"
)

// Till is the connection of one cash program to its agent. It may be used
// from several goroutines.
type Till struct {
	Address func() string // host:port of the agent, asked before every call because it may move
	Token   string
	// Patience is how long a call is repeated while the agent does not answer.
	Patience time.Duration

	client http.Client
}

// Error is a refusal by the agent in the one shape the API has.
type Error struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint"`
	Field   string `json:"field"`
}

func (e *Error) Error() string {
	return fmt.Sprintf("%d %s: %s (%s) %s", e.Status, e.Code, e.Message, e.Hint, e.Field)
}

// Answer of a call about a receipt; fields that a call does not give are empty.
type Answer struct {
	State      string         `json:"state"`
	Mode       string         `json:"mode"`
	Hold       string         `json:"hold"`
	Result     loyalty.Result `json:"result"`
	ToCredit   bool           `json:"to_be_credited"`
	PointsBack loyalty.Points `json:"points_back"`
}

// Call sends body to path. Writes carry key; with an empty key the call is made
// once and a lost answer is an error.
func (t *Till) Call(ctx context.Context, method, path, key string, body, answer any) error {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return err
		}
	}
	deadline := time.Now().Add(t.Patience)
	for {
		err := t.once(ctx, method, path, key, sent, answer)
		var refused *Error
		if err == nil || errors.As(err, &refused) && refused.Status < 500 || key == "" || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (t *Till) once(ctx context.Context, method, path, key string, body []byte, answer any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+t.Address()+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+t.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("%s %s: read answer: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		var shape struct {
			Error Error `json:"error"`
		}
		if json.Unmarshal(data, &shape) != nil || shape.Error.Code == "" {
			return fmt.Errorf("%s %s: %s: %.200s", method, path, resp.Status, data)
		}
		shape.Error.Status = resp.StatusCode
		return &shape.Error
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Event is one message of the agent's event stream. Data is the whole message.
type Event struct {
	Type string
	Data json.RawMessage
}

// Events follows the agent's event stream until ctx ends, reconnecting by
// itself, and calls f for each event in order.
func (t *Till) Events(ctx context.Context, f func(Event)) {
	dialer := websocket.Dialer{Subprotocols: []string{"tillside.v1", "bearer." + t.Token}, HandshakeTimeout: 5 * time.Second}
	for ctx.Err() == nil {
		conn, resp, err := dialer.DialContext(ctx, "ws://"+t.Address()+"/v1/events", nil)
		if resp != nil && resp.Body != nil {
			resp.Body.Close()
		}
		if err == nil {
			stop := context.AfterFunc(ctx, func() { conn.Close() })
			readEvents(conn, f)
			stop()
			conn.Close()
		}
		select {
		case <-ctx.Done():
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func readEvents(conn *websocket.Conn, f func(Event)) {
	for {
		_, data, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var e struct {
			Type string `json:"type"`
		}
		if json.Unmarshal(data, &e) == nil {
			f(Event{e.Type, data})
		}
	}
}
