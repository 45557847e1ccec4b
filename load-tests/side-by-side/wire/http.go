package main

import (
	"bytes"
	"strconv"
)

var headEnd = []byte("\r\n\r\n")

// head is what the framing of a message needs to know of its header.
type head struct {
	bytes   int // with the blank line
	status  int // of an answer
	path    []byte
	get     bool
	length  int // -1 if not said
	chunked bool
	closes  bool
}

// parseHead reads a message's head; false if it is not whole yet.
func parseHead(in []byte) (head, bool) {
	end := bytes.Index(in, headEnd)
	if end < 0 {
		return head{}, false
	}
	h := head{bytes: end + len(headEnd), length: -1}
	line, rest, _ := bytes.Cut(in[:end], []byte("\r\n"))
	if bytes.HasPrefix(line, []byte("HTTP/1.")) && len(line) >= 12 {
		h.status, _ = strconv.Atoi(string(line[9:12]))
	} else if method, after, ok := bytes.Cut(line, []byte(" ")); ok {
		h.get = string(method) == "GET" || string(method) == "HEAD"
		h.path, _, _ = bytes.Cut(after, []byte(" "))
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch len(name) {
		case 10:
			if bytes.EqualFold(name, []byte("connection")) {
				h.closes = bytes.EqualFold(bytes.TrimSpace(value), []byte("close"))
			}
		case 14:
			if bytes.EqualFold(name, []byte("content-length")) {
				h.length, _ = strconv.Atoi(string(bytes.TrimSpace(value)))
			}
		case 17:
			if bytes.EqualFold(name, []byte("transfer-encoding")) {
				h.chunked = bytes.EqualFold(bytes.TrimSpace(value), []byte("chunked"))
			}
		}
	}
	return h, true
}

// chunks takes a chunked body apart as it comes.
type chunks struct {
	left  int // of the chunk that is being read
	state int
	size  int
}

const (
	chunkSize = iota
	chunkExtension
	chunkData
	chunkDataEnd
	chunkTrailer
	chunkTrailerLine
	chunkDone
)

// feed gives the data in bytes to take, and says how many bytes belong to the body.
func (c *chunks) feed(in []byte, take func([]byte)) int {
	at := 0
	for at < len(in) && c.state != chunkDone {
		b := in[at]
		switch c.state {
		case chunkSize:
			switch {
			case b >= '0' && b <= '9':
				c.size = c.size<<4 | int(b-'0')
			case b >= 'a' && b <= 'f':
				c.size = c.size<<4 | int(b-'a'+10)
			case b >= 'A' && b <= 'F':
				c.size = c.size<<4 | int(b-'A'+10)
			case b == '\n':
				c.begin()
			default:
				c.state = chunkExtension
			}
			at++
		case chunkExtension:
			if b == '\n' {
				c.begin()
			}
			at++
		case chunkData:
			n := min(c.left, len(in)-at)
			take(in[at : at+n])
			c.left -= n
			at += n
			if c.left == 0 {
				c.state = chunkDataEnd
			}
		case chunkDataEnd:
			if b == '\n' {
				c.state, c.size = chunkSize, 0
			}
			at++
		case chunkTrailer:
			if b == '\n' {
				c.state = chunkDone
			} else if b != '\r' {
				c.state = chunkTrailerLine
			}
			at++
		case chunkTrailerLine:
			if b == '\n' {
				c.state = chunkTrailer
			}
			at++
		}
	}
	return at
}

func (c *chunks) begin() {
	if c.size == 0 {
		c.state = chunkTrailer
	} else {
		c.left, c.state = c.size, chunkData
	}
}

func (c *chunks) done() bool { return c.state == chunkDone }
