"""HTTP as bytes on a socket: requests that no well-behaved client would send, and answers read to the letter of RFC 9112."""
import dataclasses
import json
import socket
import time

PATIENCE_SECONDS = 20


@dataclasses.dataclass(frozen=True)
class Event:
    """One server-sent event."""

    name: str | None
    data: str

    def json(self):
        return json.loads(self.data)


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    headers: list
    body: bytes
    interim: tuple = ()

    def header(self, name):
        found = [value for each, value in self.headers if each == name]
        return ", ".join(found) if found else None

    def json(self):
        return json.loads(self.body)

    def error(self):
        return self.json()["error"]

    def events(self):
        """Those of a stream, which must be whole: nothing may stand behind the last blank line."""
        text = self.body.decode()
        assert text.endswith("\n\n"), f"the stream does not end with a blank line: {text[-80:]!r}"
        found = []
        for block in text[:-2].split("\n\n"):
            name, data = None, []
            for line in block.split("\n"):
                if line.startswith("event: "):
                    name = line[7:]
                else:
                    assert line.startswith("data: "), f"a line of an event is {line!r}"
                    data.append(line[6:])
            found.append(Event(name, "\n".join(data)))
        return found


def head(line, *headers):
    """A request's head; a host is put in unless one of the headers is one."""
    named = [one for one in headers if one.lower().startswith("host")]
    return "\r\n".join([line, *([] if named else ["host: conformance"]), *headers, "", ""]).encode()


def post(path, body, *headers, version="HTTP/1.1"):
    """A whole request with a JSON body."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return head(f"POST {path} {version}", "content-type: application/json", f"content-length: {len(text)}", *headers) + text


def chunks(body, size, end=b"0\r\n\r\n"):
    """A body in chunks of a size."""
    pieces = [body[at:at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


class Wire:
    """One connection."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.held = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, *pieces):
        """Each piece by itself, so that it is likely to be read by itself."""
        for piece in pieces:
            self.socket.sendall(piece)
            if len(pieces) > 1:
                time.sleep(0.001)
        return self

    def more(self):
        try:
            piece = self.socket.recv(1 << 16)
        except ConnectionResetError:
            piece = b""
        self.held += piece
        return bool(piece)

    def until(self, mark):
        """Takes what comes up to a mark, the mark included."""
        while mark not in self.held:
            assert self.more(), f"the connection ended after {self.held!r}"
        end = self.held.index(mark) + len(mark)
        taken, self.held = self.held[:end], self.held[end:]
        return taken

    def exactly(self, count):
        while len(self.held) < count:
            assert self.more(), f"the connection ended {count - len(self.held)} bytes too early"
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    def rest(self):
        """Everything up to the end of the connection."""
        while self.more():
            pass
        taken, self.held = self.held, b""
        return taken

    def is_closed(self):
        """Whether the other side has ended the connection without another byte."""
        return self.rest() == b""

    def answer(self, method="POST"):
        """The next answer, with the interim ones before it."""
        interim = []
        while True:
            lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")[:-2]
            version, status, *_ = lines[0].split(" ", 2)
            assert version in ("HTTP/1.1", "HTTP/1.0"), f"the status line is {lines[0]!r}"
            headers = []
            for line in lines[1:]:
                name, colon, value = line.partition(":")
                assert colon and name and name == name.strip(), f"a header line is {line!r}"
                headers.append((name.lower(), value.strip()))
            if int(status) >= 200:
                break
            interim.append(int(status))
        found = Answer(int(status), headers, b"", tuple(interim))
        return dataclasses.replace(found, body=self.body(found, method))

    def body(self, answer, method):
        if method == "HEAD" or answer.status in (204, 304):
            return b""
        encoding, length = answer.header("transfer-encoding"), answer.header("content-length")
        if encoding is not None:
            assert encoding == "chunked" and length is None, f"an answer is framed by {encoding} and {length}"
            return self.chunked()
        return self.rest() if length is None else self.exactly(int(length))

    def chunked(self):
        whole = b""
        while True:
            size = int(self.until(b"\r\n")[:-2], 16)
            whole += self.exactly(size)
            assert self.until(b"\r\n") == b"\r\n", "there is something between chunks"
            if size == 0:
                return whole

    def ask(self, request, method="POST"):
        return self.send(request).answer(method)

    def reset(self):
        """Ends the connection as a process does that is killed."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.socket.close()
