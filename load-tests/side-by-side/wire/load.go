package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// load keeps a number of connections busy: each sends its next request when the answer to the last one is whole. When the time is up
// nothing is sent any more and what is under way is waited for, so that every request that was sent is one that was answered.
type load struct {
	poller  *poller
	conns   []*loadConn // by descriptor
	target  syscall.SockaddrInet4
	request []byte
	stream  bool
	events  int // that a stream must have
	idle    int // connections with nothing under way
	scratch []byte

	deadline  time.Time
	requests  int // within the time
	late      int // answered behind it
	failures  map[string]int
	latency   histogram
	first     histogram // token, of streams
	gap       histogram // between events, of streams
	allEvents int
	open      int
	mostOpen  int
}

type loadConn struct {
	fd      int
	out     outbox
	in      []byte
	busy    bool
	started time.Time

	inBody  bool
	head    head
	left    int
	framing chunks
	tail    []byte // of a stream: bytes behind the last whole event
	events  int
	last    time.Time
	done    bool
}

func runLoad(arguments []string) {
	flags := flag.NewFlagSet("load", flag.ExitOnError)
	address := flags.String("to", "127.0.0.1:8080", "whom to load")
	path := flags.String("path", "/v1/chat/completions", "endpoint")
	conns := flags.Int("connections", 64, "each has one request under way")
	seconds := flags.Float64("seconds", 2, "how long new requests are sent")
	ramp := flags.Float64("ramp", 0, "seconds over which connections begin")
	size := flags.Int("body", 2048, "bytes of a request's body")
	stream := flags.Bool("stream", false, "ask for streams")
	tokens := flags.Int("tokens", 1, "of an answer")
	model := flags.String("model", "bench", "asked for")
	patience := flags.Float64("patience", 30, "seconds that answers are waited for when the time is up")
	_ = flags.Parse(arguments)

	resolved, err := net.ResolveTCPAddr("tcp4", *address)
	if err != nil {
		fail("%s: %v", *address, err)
	}
	l := &load{poller: newPoller(), stream: *stream, events: *tokens + eventsBeside, failures: map[string]int{}, scratch: make([]byte, 512<<10)}
	l.target = syscall.SockaddrInet4{Port: resolved.Port, Addr: [4]byte(resolved.IP.To4())}
	content := body(*model, *size, *tokens, *stream)
	l.request = fmt.Appendf(nil, "POST %s HTTP/1.1\r\nhost: %s\r\nuser-agent: wire\r\naccept: */*\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s",
		*path, *address, len(content), content)
	l.run(*conns, time.Duration(*seconds*1e9), time.Duration(*ramp*1e9), time.Duration(*patience*1e9))
}

// body is a chat whose JSON has a number of bytes.
func body(model string, size, tokens int, stream bool) []byte {
	head := fmt.Sprintf(`{"model":%q,"stream":%t,"max_tokens":%d,"temperature":0,`, model, stream, tokens)
	head += `"messages":[{"role":"user","content":"`
	tail := `"}]}`
	words := "the router moves the blocks of a prompt and not its text "
	room := max(1, size-len(head)-len(tail))
	return []byte(head + strings.Repeat(words, room/len(words)+1)[:room] + tail)
}

func (l *load) run(conns int, length, ramp, patience time.Duration) {
	started := time.Now()
	l.deadline = started.Add(length)
	connected := 0
	for now := started; ; now = time.Now() {
		for connected < conns && !started.Add(ramp*time.Duration(connected)/time.Duration(conns)).After(now) && now.Before(l.deadline) {
			l.connect()
			connected++
		}
		if now.After(l.deadline) && (l.idle == connected || now.After(l.deadline.Add(patience))) {
			break
		}
		wait := time.Until(l.deadline)
		if wait <= 0 {
			wait = patience
		}
		if connected < conns {
			wait = min(wait, time.Until(started.Add(ramp*time.Duration(connected)/time.Duration(conns))))
		}
		for _, event := range l.poller.wait(max(0, wait)) {
			c := l.conns[event.Fd]
			if c == nil {
				continue
			}
			if event.Events&syscall.EPOLLOUT != 0 && !c.out.drain(l.poller, c.fd) {
				l.broken(c, "write failed")
				continue
			}
			if event.Events&^syscall.EPOLLOUT != 0 {
				l.read(c)
			}
		}
	}
	if under := connected - l.idle; under > 0 {
		l.failures["no answer in time"] += under
	}
	l.report(length, time.Since(started))
}

func (l *load) connect() {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		fail("socket: %v", err)
	}
	if err := syscall.Connect(fd, &l.target); err != nil {
		fail("connect: %v", err)
	}
	_ = syscall.SetNonblock(fd, true)
	_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
	for fd >= len(l.conns) {
		l.conns = append(l.conns, nil)
	}
	c := &loadConn{fd: fd}
	l.conns[fd] = c
	l.poller.add(fd, readable)
	l.send(c)
}

func (l *load) send(c *loadConn) {
	now := time.Now()
	if now.After(l.deadline) {
		l.idle++
		return
	}
	c.busy, c.inBody, c.done, c.events, c.started, c.last = true, false, false, 0, now, now
	c.tail = c.tail[:0]
	l.open++
	l.mostOpen = max(l.mostOpen, l.open)
	if !c.out.write(l.poller, c.fd, l.request) {
		l.broken(c, "write failed")
	}
}

// broken replaces a connection.
func (l *load) broken(c *loadConn, why string) {
	l.conns[c.fd] = nil
	_ = syscall.Close(c.fd)
	if c.busy {
		l.open--
		l.failures[why]++
	} else {
		l.idle--
	}
	if time.Now().Before(l.deadline) {
		l.connect()
	} else {
		l.idle++
	}
}

func (l *load) read(c *loadConn) {
	n, err := syscall.Read(c.fd, l.scratch)
	if err == syscall.EAGAIN {
		return
	}
	if n <= 0 || err != nil {
		l.broken(c, "connection closed")
		return
	}
	in := l.scratch[:n]
	if !c.busy {
		l.broken(c, "bytes behind an answer")
		return
	}
	if !c.inBody {
		if len(c.in) > 0 {
			c.in = append(c.in, in...)
			in = c.in
		}
		h, ok := parseHead(in)
		if !ok {
			c.in = append(c.in[:0], in...)
			return
		}
		c.head, c.inBody, c.left, c.framing = h, true, max(0, h.length), chunks{}
		in = in[h.bytes:]
		c.in = c.in[:0]
	}
	now := time.Now()
	whole := false
	if c.head.chunked {
		c.framing.feed(in, func(data []byte) { l.data(c, data, now) })
		whole = c.framing.done()
	} else {
		l.data(c, in, now)
		c.left -= len(in)
		whole = c.left <= 0
	}
	if whole {
		l.answered(c, now)
	}
}

var (
	blankLine = []byte("\n\n")
	doneLine  = []byte("[DONE]")
	finish    = []byte(`"finish_reason"`)
)

// data takes a piece of an answer's body. Of a stream it counts events; pieces end anywhere.
func (l *load) data(c *loadConn, piece []byte, now time.Time) {
	if !l.stream {
		c.done = c.done || bytes.Contains(piece, finish)
		return
	}
	if len(c.tail) > 0 {
		c.tail = append(c.tail, piece...)
		piece = c.tail
	}
	for {
		end := bytes.Index(piece, blankLine)
		if end < 0 {
			break
		}
		event := piece[:end]
		piece = piece[end+len(blankLine):]
		if bytes.HasPrefix(event, []byte(":")) {
			continue
		}
		c.events++
		c.done = c.done || bytes.HasSuffix(event, doneLine)
		if c.events == 2 {
			l.first.add(now.Sub(c.started)) // the first one only names the role
		} else if c.events > 2 {
			l.gap.add(now.Sub(c.last))
		}
		c.last = now
	}
	c.tail = append(c.tail[:0], piece...)
}

func (l *load) answered(c *loadConn, now time.Time) {
	switch {
	case c.head.status != 200:
		l.failures[fmt.Sprintf("status %d", c.head.status)]++
	case !c.done:
		l.failures["answer not whole"]++
	case l.stream && c.events != l.events:
		l.failures[fmt.Sprintf("stream of %d events instead of %d", c.events, l.events)]++
	case now.After(l.deadline):
		l.late++
	default:
		l.requests++
	}
	l.latency.add(now.Sub(c.started))
	l.allEvents += c.events
	l.open--
	c.busy = false
	if c.head.closes {
		l.idle++
		l.broken(c, "")
		return
	}
	l.send(c)
}

func (l *load) report(length, elapsed time.Duration) {
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	cpu := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	delete(l.failures, "")
	text, _ := json.Marshal(map[string]any{
		"requests":     l.requests + l.late,
		"per_second":   float64(l.requests) / length.Seconds(),
		"failures":     l.failures,
		"p50_ms":       l.latency.millis(0.5),
		"p99_ms":       l.latency.millis(0.99),
		"events":       l.allEvents,
		"first_p50_ms": l.first.millis(0.5),
		"first_p99_ms": l.first.millis(0.99),
		"gap_p50_ms":   l.gap.millis(0.5),
		"gap_p99_ms":   l.gap.millis(0.99),
		"gap_max_ms":   l.gap.most.Seconds() * 1000,
		"most_open":    l.mostOpen,
		"elapsed_s":    elapsed.Seconds(),
		"cpu_s":        cpu.Seconds(),
	})
	fmt.Println(string(text))
	if len(l.failures) > 0 {
		os.Exit(3)
	}
}
