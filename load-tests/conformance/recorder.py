"""An engine that keeps what it gets, byte by byte, and answers as the request's header `x-script` says.

Headers that are not a router's business pass through Millrace, so a case chooses what the engine does to it. The simulator is for
everything that needs a real hand-off; this is for what must be seen as it came, and for answers that the simulator does not give.
"""
import contextlib
import dataclasses
import json
import socket
import threading

PARAMETERS = {"do_remote_prefill": True, "do_remote_decode": False, "remote_block_ids": [[7, 8]], "remote_engine_id": "recorder",
              "remote_request_id": "held", "remote_host": "127.0.0.1", "remote_port": 28111, "tp_size": 1, "unknown": 1.5}
TEXT = " recorded"
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
TOOL_CALL = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{\"city\":\"Köln\"}"}}
ENGINES_ERROR = b'{"error": {"message":"its own words","type":"BadRequestError", "param":"seed","code":400}}'
RELEASE = b'"min_tokens":2,'


@dataclasses.dataclass
class Leg:
    """One request that came."""

    role: str
    line: str
    headers: list
    body: bytes
    gone: threading.Event = dataclasses.field(default_factory=threading.Event)

    @property
    def path(self):
        return self.line.split(" ")[1]

    def header(self, name):
        found = [value for each, value in self.headers if each == name]
        return ", ".join(found) if found else None

    def json(self):
        return json.loads(self.body)


def chat(**message):
    choice = {"index": 0, "message": {"role": "assistant", "content": TEXT, "refusal": None} | message, "logprobs": None,
              "finish_reason": "tool_calls" if "tool_calls" in message else "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "recorded", "choices": [choice], "usage": USAGE}


def completion():
    choice = {"index": 0, "text": TEXT, "logprobs": None, "finish_reason": "stop"}
    return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "recorded", "choices": [choice], "usage": USAGE}


def response():
    content = [{"type": "output_text", "text": TEXT, "annotations": []}]
    message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}
    usage = {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5, "input_tokens_details": {"cached_tokens": 0},
             "output_tokens_details": {"reasoning_tokens": 0}}
    return {"id": "resp_1", "object": "response", "created_at": 1, "model": "recorded", "status": "completed", "output": [message],
            "error": None, "incomplete_details": None, "instructions": None, "metadata": None, "parallel_tool_calls": True,
            "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0, "usage": usage}


def message():
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "recorded", "content": [{"type": "text", "text": TEXT}],
            "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 3, "output_tokens": 2}}


def embeddings():
    data = [{"object": "embedding", "index": index, "embedding": [0.5, -0.25, float(index)]} for index in range(2)]
    return {"object": "list", "data": data, "model": "recorded", "usage": {"prompt_tokens": 4, "total_tokens": 4}}


WHOLE = {"/v1/chat/completions": chat, "/v1/completions": completion, "/v1/responses": response, "/v1/messages": message,
         "/v1/embeddings": embeddings, "/v1/messages/count_tokens": lambda: {"input_tokens": 9}, "/tokenize": lambda: {"tokens": [1, 2]},
         "/v1/rerank": lambda: {"results": [{"index": 0, "relevance_score": 0.5}]}}


def event(data, name=None):
    return (f"event: {name}\n" if name else "").encode() + b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def pieces(path):
    """A stream's events but for its end: each endpoint's own."""
    if path == "/v1/chat/completions":
        base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "recorded"}
        deltas = [{"role": "assistant", "content": ""}, {"content": " rec"}, {"content": "orded"}]
        return [event(base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}) for delta in deltas]
    if path == "/v1/completions":
        base = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "recorded"}
        return [event(base | {"choices": [{"index": 0, "text": text, "logprobs": None, "finish_reason": None}]}) for text in (" rec", "orded")]
    if path == "/v1/responses":
        begun = response() | {"status": "in_progress", "output": []}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
        all_of_it = [{"type": "response.created", "response": begun},
                     {"type": "response.output_text.delta", "delta": " rec", "logprobs": [], **place},
                     {"type": "response.output_text.delta", "delta": "orded", "logprobs": [], **place}]
        return [event({"sequence_number": number} | each, each["type"]) for number, each in enumerate(all_of_it)]
    begun = message() | {"content": [], "stop_reason": None, "usage": {"input_tokens": 0, "output_tokens": 0}}
    all_of_it = [{"type": "message_start", "message": begun},
                 {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}]
    all_of_it += [{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in (" rec", "orded")]
    return [event(each, each["type"]) for each in all_of_it]


def tool_pieces():
    """A call of a tool, its arguments in two pieces."""
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "recorded"}
    first = TOOL_CALL["function"] | {"arguments": "{\"city\":"}
    deltas = [({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": first}]}, None),
              ({"tool_calls": [{"index": 0, "function": {"arguments": "\"Köln\"}"}}]}, None), ({}, "tool_calls")]
    return [event(base | {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}) for delta, finish in deltas]


def tool_use():
    used = {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Köln"}}
    return message() | {"content": [used], "stop_reason": "tool_use"}


TOOLS = {"/v1/chat/completions": lambda: chat(content=None, tool_calls=[TOOL_CALL]), "/v1/messages": tool_use}
DONE = b"data: [DONE]\n\n"


class Recorder:
    """The engine: a prefill worker, a decode worker, or one that does both, by which port is asked."""

    def __init__(self):
        self.legs, self.lock, self.listeners, self.open = [], threading.Lock(), {}, set()
        for role in ("prefill", "decode", "both"):
            self.listeners[role] = socket.create_server(("127.0.0.1", 0), backlog=64)
            threading.Thread(target=self.accept, args=(role,), daemon=True).start()

    def url(self, role):
        return "http://127.0.0.1:%d" % self.listeners[role].getsockname()[1]

    def of(self, request_id):
        """What came of one exchange; requests that were made to be refused, which only free blocks, are not among it."""
        with self.lock:
            return [leg for leg in self.legs if leg.header("x-request-id") == request_id and RELEASE not in leg.body]

    def count(self):
        with self.lock:
            return len(self.legs)

    def close(self):
        for listener in self.listeners.values():
            listener.close()
        for connection in list(self.open):
            connection.close()

    def accept(self, role):
        while True:
            try:
                connection, _ = self.listeners[role].accept()
            except OSError:
                return
            self.open.add(connection)
            threading.Thread(target=self.serve, args=(role, connection), daemon=True).start()

    def serve(self, role, connection):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connection, connection.makefile("rb") as source, contextlib.suppress(OSError):
            while (leg := read(role, source)) is not None:
                if not leg.line.startswith("POST "):
                    self.look(leg, connection)
                    continue
                with self.lock:
                    self.legs.append(leg)
                self.play(leg, connection, source)
        self.open.discard(connection)

    def look(self, leg, connection):
        """Metrics, models and an account of what was recorded, as `/recorded/ID`, for clients that are processes of their own."""
        if leg.path.startswith("/recorded/"):
            legs = self.of(leg.path.removeprefix("/recorded/"))
            told = [{"role": each.role, "path": each.path, "headers": each.headers, "body": each.body.decode()} for each in legs]
            send(connection, 200, json.dumps(told).encode())
        else:
            send(connection, 200 if leg.path in ("/metrics", "/health") else 404, b"")

    def play(self, leg, connection, source):
        script = leg.header("x-script") or ""
        if RELEASE in leg.body:
            send(connection, 400, ENGINES_ERROR)
        elif leg.role == "prefill":
            answer = (WHOLE[leg.path]() if leg.path in WHOLE else {}) | {"kv_transfer_params": PARAMETERS}
            send(connection, 200, json.dumps(answer).encode())
        elif script == "refuse":
            send(connection, 400, ENGINES_ERROR, [("content-type", "application/json"), ("x-mine", "1")])
        elif leg.path not in WHOLE:
            send(connection, 404, b'{"detail":"Not Found"}')
        elif b'"stream":true' in leg.body.replace(b" ", b""):
            self.stream(leg, script, connection, source)
        else:
            self.whole(leg, script, connection)

    def whole(self, leg, script, connection):
        if script == "fails-as-200":
            send(connection, 200, b'{"error":{"message":"its own words","type":"InternalServerError","param":null,"code":500}}')
            return
        body = TOOLS[leg.path]() if script == "tools" else WHOLE[leg.path]()
        if script == "leaks":
            body |= {"kv_transfer_params": PARAMETERS}
        headers = [("content-type", "application/json"), ("server", "recorder"), ("x-request-id", "of-the-engine"), ("x-mine", "1"),
                   ("keep-alive", "timeout=5"), ("x-hop", "1"), ("proxy-authenticate", "Basic"), ("connection", "keep-alive, x-hop")]
        send(connection, 200, json.dumps(body).encode(), headers)

    def stream(self, leg, script, connection, source):
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n")
        if script == "fails-first":
            all_of_it = event({"error": {"message": "its own words", "type": "BadRequestError", "param": None, "code": 400}}) + DONE
            connection.sendall(chunk(all_of_it) + b"0\r\n\r\n")
            return
        events = tool_pieces() if script == "tools" else pieces(leg.path)
        if script == "leaks":
            events.append(event({"choices": [{"index": 0, "text": "x", "finish_reason": None}], "kv_transfer_params": PARAMETERS}))
        if script == "endless":
            self.endless(leg, events, connection)
        elif script == "bytes":
            for byte in b"".join(events) + DONE:
                connection.sendall(chunk(bytes([byte])))
            connection.sendall(b"0\r\n\r\n")
        elif script == "dies":
            connection.sendall(b"".join(map(chunk, [*events, b'data: {"half'])))
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(b"".join(map(chunk, events)) + chunk(DONE) + b"0\r\n\r\n")

    @staticmethod
    def endless(leg, events, connection):
        """Goes on until the router closes the connection."""
        connection.sendall(b"".join(map(chunk, events)))
        connection.settimeout(0.02)
        try:
            while True:
                connection.sendall(chunk(events[-1]))
                with contextlib.suppress(TimeoutError):
                    if connection.recv(1) == b"":
                        return
        finally:
            leg.gone.set()


def chunk(piece):
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def send(connection, status, body, headers=(("content-type", "application/json"),)):
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in headers), f"content-length: {len(body)}", "", ""]
    connection.sendall("\r\n".join(lines).encode() + body)


def read(role, source):
    """The next request; None at the end of the connection. A router sends lengths, so chunks are not understood here."""
    line = source.readline().decode("latin-1").rstrip("\r\n")
    if not line:
        return None
    headers = []
    while (header := source.readline().decode("latin-1").rstrip("\r\n")):
        name, _, value = header.partition(":")
        headers.append((name.lower(), value.strip()))
    length = next((int(value) for name, value in headers if name == "content-length"), 0)
    return Leg(role, line, headers, source.read(length))
