package main

import (
	"errors"
	"io"
	"sync/atomic"
)

// counted is a body whose bytes are counted.
type counted struct {
	io.ReadCloser
	bytes *atomic.Int64
	broke func() // called when it ends before its end; may be nil
}

func (c *counted) Read(into []byte) (int, error) {
	n, err := c.ReadCloser.Read(into)
	c.bytes.Add(int64(n))
	if err != nil && !errors.Is(err, io.EOF) && c.broke != nil {
		c.broke()
	}
	return n, err
}

// countedBoth is an upgraded connection.
type countedBoth struct {
	counted
	to      io.Writer
	written *atomic.Int64
}

func (c *countedBoth) Write(from []byte) (int, error) {
	n, err := c.to.Write(from)
	c.written.Add(int64(n))
	return n, err
}

// CloseWrite ends one direction, where the connection can; else both end.
func (c *countedBoth) CloseWrite() error {
	if half, ok := c.to.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// joined is a body that was begun already.
type joined struct {
	io.Reader
	io.Closer
}
