package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// engine answers like vLLM 0.32 at once, or a token at a time, and computes nothing.
type engine struct {
	poller    *poller
	handOffs  *handOffs
	listeners map[int]string // descriptor to role
	conns     []*engineConn  // by descriptor
	scratch   []byte
	answer    []byte

	tokens   int           // of a stream
	interval time.Duration // between them; 0 is flat out
	due      queue
	lastDue  time.Time
	wholes   int
	streams  int
	open     int
	mostOpen int
}

type engineConn struct {
	fd   int
	role string
	in   []byte
	body []byte // of a chunked request
	out  outbox

	streaming bool
	left      int
	due       time.Time
	gone      bool
}

// queue holds streams in the order in which their next token is due.
type queue struct {
	items []*engineConn
	from  int
}

func (q *queue) push(c *engineConn) { q.items = append(q.items, c) }
func (q *queue) len() int           { return len(q.items) - q.from }
func (q *queue) peek() *engineConn  { return q.items[q.from] }
func (q *queue) pop() *engineConn {
	c := q.items[q.from]
	q.from++
	if q.from == len(q.items) {
		q.items, q.from = q.items[:0], 0
	} else if q.from > 1<<16 {
		q.items = q.items[:copy(q.items, q.items[q.from:])]
		q.from = 0
	}
	return c
}

func runEngine(arguments []string) {
	flags := flag.NewFlagSet("engine", flag.ExitOnError)
	plain := flags.String("plain", "", "ports that take requests as they are, separated by commas")
	prefill := flags.String("prefill", "", "ports of prefill engines")
	decode := flags.String("decode", "", "ports of decode engines")
	control := flags.Int("control", 0, "port for GET /counts and POST /set?tokens=64&interval-us=0")
	_ = flags.Parse(arguments)

	e := &engine{poller: newPoller(), handOffs: newHandOffs(), listeners: map[int]string{}, scratch: make([]byte, 512<<10), tokens: 64}
	e.listen("control", strconv.Itoa(*control))
	for role, ports := range map[string]string{"plain": *plain, "prefill": *prefill, "decode": *decode} {
		for _, port := range strings.Split(ports, ",") {
			if port != "" {
				e.listen(role, port)
			}
		}
	}
	e.run()
}

func (e *engine) listen(role, port string) {
	number, err := strconv.Atoi(port)
	if err != nil {
		fail("port %q: %v", port, err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		fail("socket: %v", err)
	}
	_ = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Port: number, Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}); err != nil {
		fail("port %d: %v", number, err)
	}
	if err := syscall.Listen(fd, 16384); err != nil {
		fail("port %d: %v", number, err)
	}
	e.listeners[fd] = role
	e.poller.add(fd, syscall.EPOLLIN)
}

func (e *engine) run() {
	for {
		for _, event := range e.poller.wait(e.patience()) {
			fd := int(event.Fd)
			if role, ok := e.listeners[fd]; ok {
				e.accept(fd, role)
				continue
			}
			c := e.conns[fd]
			if c == nil {
				continue
			}
			if event.Events&syscall.EPOLLOUT != 0 && !c.out.drain(e.poller, fd) {
				e.close(c)
				continue
			}
			if event.Events&^syscall.EPOLLOUT != 0 {
				e.read(c)
			}
		}
		e.speak()
	}
}

func (e *engine) patience() time.Duration {
	if e.due.len() == 0 {
		return -1
	}
	if e.interval == 0 {
		return 0
	}
	return max(0, time.Until(e.due.peek().due))
}

func (e *engine) accept(listener int, role string) {
	for {
		fd, _, err := syscall.Accept4(listener, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		for fd >= len(e.conns) {
			e.conns = append(e.conns, nil)
		}
		e.conns[fd] = &engineConn{fd: fd, role: role}
		e.poller.add(fd, readable)
	}
}

func (e *engine) close(c *engineConn) {
	if c.gone {
		return
	}
	c.gone = true
	if c.streaming {
		e.open--
		e.handOffs.count["streams broken off"]++
	}
	e.conns[c.fd] = nil
	_ = syscall.Close(c.fd)
}

func (e *engine) read(c *engineConn) {
	n, err := syscall.Read(c.fd, e.scratch)
	if err == syscall.EAGAIN {
		return
	}
	if n <= 0 || err != nil {
		e.close(c)
		return
	}
	in := e.scratch[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, in...)
		in = c.in
	}
	for len(in) > 0 && !c.streaming && !c.gone {
		taken := e.take(c, in)
		if taken == 0 {
			break
		}
		in = in[taken:]
	}
	if c.gone || len(in) == len(c.in) {
		return
	}
	if cap(c.in) < len(in) {
		c.in = make([]byte, 0, max(len(in), 512<<10))
	}
	c.in = c.in[:copy(c.in[:cap(c.in)], in)]
}

// take handles one request if it is whole, and says how many bytes it had.
func (e *engine) take(c *engineConn, in []byte) int {
	h, ok := parseHead(in)
	if !ok {
		return 0
	}
	body := in[h.bytes:]
	if h.chunked {
		var framing chunks
		c.body = c.body[:0]
		n := framing.feed(body, func(data []byte) { c.body = append(c.body, data...) })
		if !framing.done() {
			return 0
		}
		e.handle(c, h, c.body)
		return h.bytes + n
	}
	length := max(0, h.length)
	if len(body) < length {
		return 0
	}
	e.handle(c, h, body[:length])
	return h.bytes + length
}

func (e *engine) handle(c *engineConn, h head, body []byte) {
	if c.role == "control" {
		e.control(c, string(h.path))
		return
	}
	switch {
	case h.get:
		e.about(c, string(h.path))
	case len(body) == 0:
		e.send(c, 200, []byte("{}"))
	default:
		id := e.handOffs.seen(c.role, body)
		if isTrue(member(body, streamKey)) {
			e.stream(c)
		} else {
			e.whole(c, id, len(body))
		}
	}
}

// about is what routers ask before they trust an engine.
func (e *engine) about(c *engineConn, path string) {
	switch path {
	case "/metrics":
		e.sendAs(c, 200, "text/plain; version=0.0.4", []byte("# TYPE process_start_time_seconds gauge\nprocess_start_time_seconds 1.0\n"))
	case "/v1/models":
		e.send(c, 200, []byte(`{"object":"list","data":[{"id":"bench","object":"model","created":1,"owned_by":"vllm","root":"bench","max_model_len":1000000}]}`))
	case "/version":
		e.send(c, 200, []byte(`{"version":"0.32.0"}`))
	default:
		e.send(c, 200, []byte(`{"status":"ok","model_path":"bench","served_model_name":"bench","model_type":"llama","is_generation":true,"max_total_num_tokens":1000000,"dp_size":1,"tp_size":1}`))
	}
}

func (e *engine) control(c *engineConn, path string) {
	target, _ := url.Parse(path)
	switch target.Path {
	case "/set":
		e.tokens, _ = strconv.Atoi(target.Query().Get("tokens"))
		micros, _ := strconv.Atoi(target.Query().Get("interval-us"))
		e.interval = time.Duration(micros) * time.Microsecond
		e.handOffs.reset()
		e.wholes, e.streams, e.mostOpen = 0, 0, e.open
		e.send(c, 200, []byte("{}"))
	default:
		counts := map[string]int{"whole answers": e.wholes, "streams": e.streams, "open streams": e.open, "most open streams": e.mostOpen,
			"hand-offs open": len(e.handOffs.open) + len(e.handOffs.rooms)}
		for what, count := range e.handOffs.count {
			counts[what] = count
		}
		text, _ := json.Marshal(counts)
		e.send(c, 200, text)
	}
}

func (e *engine) send(c *engineConn, status int, body []byte) {
	e.sendAs(c, status, "application/json", body)
}

func (e *engine) sendAs(c *engineConn, status int, kind string, body []byte) {
	a := append(e.answer[:0], "HTTP/1.1 "...)
	a = strconv.AppendInt(a, int64(status), 10)
	a = append(a, " OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\ncontent-length: "...)
	a = strconv.AppendInt(a, int64(len(body)), 10)
	a = append(a, "\r\ncontent-type: "...)
	a = append(a, kind...)
	a = append(a, "\r\n\r\n"...)
	a = append(a, body...)
	e.answer = a
	e.write(c, a)
}

func (e *engine) write(c *engineConn, bytes []byte) {
	if !c.out.write(e.poller, c.fd, bytes) {
		e.close(c)
	}
}

const (
	bytesPerToken  = 4
	tokensPerBlock = 16
)

// whole answers with one object. A prefill answer names as many blocks as a prompt of that length has.
func (e *engine) whole(c *engineConn, handOff uint64, promptBytes int) {
	e.wholes++
	tokens := promptBytes / bytesPerToken
	a := append(e.scratchAnswer(), `{"id":"chatcmpl-0123456789abcdef","object":"chat.completion","created":1763726400,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":" the","refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[],"reasoning_content":null},"logprobs":null,"finish_reason":"length","stop_reason":null}],"service_tier":null,"system_fingerprint":null,"usage":{"prompt_tokens":`...)
	a = strconv.AppendInt(a, int64(tokens), 10)
	a = append(a, `,"total_tokens":`...)
	a = strconv.AppendInt(a, int64(tokens+1), 10)
	a = append(a, `,"completion_tokens":1,"prompt_tokens_details":null},"prompt_logprobs":null,"kv_transfer_params":`...)
	if handOff == 0 {
		a = append(a, "null}"...)
	} else {
		a = append(a, `{"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[`...)
		for block := 0; block <= tokens/tokensPerBlock; block++ {
			if block > 0 {
				a = append(a, ',')
			}
			a = strconv.AppendInt(a, int64(1000+block), 10)
		}
		a = append(a, `]],"remote_engine_id":"`+engineName+`","remote_request_id":"wire-`...)
		a = strconv.AppendUint(a, handOff, 10)
		a = append(a, `","remote_host":"127.0.0.1","remote_port":5600,"tp_size":1,"pp_size":1,"remote_num_tokens":`...)
		a = strconv.AppendInt(a, int64(tokens), 10)
		a = append(a, "}}"...)
	}
	wholeScratch = a
	e.send(c, 200, a)
}

var wholeScratch []byte

func (e *engine) scratchAnswer() []byte { return wholeScratch[:0] }

func chunk(data string) []byte { return fmt.Appendf(nil, "%x\r\n%s\r\n", len(data), data) }

func event(choice string) string {
	return `data: {"id":"chatcmpl-0123456789abcdef","object":"chat.completion.chunk","created":1763726400,"model":"bench","choices":[{"index":0,` + choice + "}]}\n\n"
}

var (
	streamHead = []byte("HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\ncontent-type: text/event-stream; charset=utf-8\r\nx-request-id: 0\r\ntransfer-encoding: chunked\r\n\r\n")
	roleChunk  = chunk(event(`"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null`))
	tokenChunk = chunk(event(`"delta":{"content":" token"},"logprobs":null,"finish_reason":null,"token_ids":null`))
	lastChunks = append(append(chunk(event(`"delta":{"content":""},"logprobs":null,"finish_reason":"length","stop_reason":null,"token_ids":null`)),
		chunk("data: [DONE]\n\n")...), "0\r\n\r\n"...)
)

// eventsBeside are those of a stream that are no token: its role, its finish and its end.
const eventsBeside = 3

// stream begins one: vLLM writes the head and the role with the first token.
func (e *engine) stream(c *engineConn) {
	e.streams++
	e.open++
	e.mostOpen = max(e.mostOpen, e.open)
	c.streaming, c.left = true, e.tokens
	e.write(c, append(append([]byte(nil), streamHead...), roleChunk...))
	c.due = time.Now()
	e.token(c)
}

// token writes the next token of a stream, and its end behind the last.
func (e *engine) token(c *engineConn) {
	if c.gone {
		return
	}
	if e.interval == 0 && len(c.out.rest) > 0 {
		e.due.push(c) // its reader is behind
		return
	}
	e.write(c, tokenChunk)
	c.left--
	if c.gone {
		return
	}
	if c.left == 0 {
		c.streaming = false
		e.open--
		e.write(c, lastChunks)
		return
	}
	if e.interval > 0 {
		c.due = c.due.Add(e.interval)
		if c.due.Before(e.lastDue) {
			c.due = e.lastDue // the queue stays in order
		}
		e.lastDue = c.due
	}
	e.due.push(c)
}

// speak writes one token of every stream for which it is time.
func (e *engine) speak() {
	if e.interval == 0 {
		for n := e.due.len(); n > 0; n-- {
			e.token(e.due.pop())
		}
		return
	}
	now := time.Now()
	for e.due.len() > 0 && !e.due.peek().due.After(now) {
		e.token(e.due.pop())
	}
}
