#!/usr/bin/env python3
"""Shows on a real vLLM pair that a request through Millrace is answered like by one engine, and that its KV blocks moved.

For each prompt length, completions and chat, streaming and unary:
  * the greedy answer (text, token ids where the API gives them, finish reason, usage) equals the aggregated engine's;
  * vllm:nixl_bytes_transferred_sum of the decode engines rose by exactly the bytes that `millrace plan` says are moved.
Then one prompt is sent twice: the second time the decode engine has its full blocks already, and only the rest may move.

    load-tests/vllm/vllm.sh up
    load-tests/vllm/verify.py --serve docs/examples/vllm-cpu.yaml

starts a router with that table on free ports; without --serve the one at --millrace is asked.

Exit codes: 0 all as predicted, 1 something differs, 3 an engine, Millrace or its plan cannot be asked.
Standard library only.
"""
import argparse
import contextlib
import dataclasses
import json
import pathlib
import random
import re
import string
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BYTES_MOVED = "vllm:nixl_bytes_transferred_sum"
PREFIX_HITS = "vllm:prefix_cache_hits_total"
BLOCKS_IN_USE = "vllm:kv_cache_usage_perc"
# The engines publish a read with the metrics of a later step; nothing says when.
METRICS_SETTLE_SECONDS = 3.0


class Unreachable(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    text: str
    token_ids: tuple
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    events: int


def http(url, body=None, timeout=120):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        raise Unreachable(f"{url} does not answer: {error}") from error


def metric(urls, name):
    """The value of a counter, added up over engines and labels."""
    total = 0.0
    for url in urls:
        for line in http(url + "/metrics")[1].splitlines():
            if line.startswith((name + "{", name + " ")):
                total += float(line.rsplit(" ", 1)[1])
    return total


def settled(urls, name, wanted):
    """The counter once it has reached what is expected, or what it is when time is up."""
    deadline = time.monotonic() + METRICS_SETTLE_SECONDS
    while True:
        value = metric(urls, name)
        if value >= wanted or time.monotonic() > deadline:
            return value
        time.sleep(0.05)


def ask(base, path, body):
    """Sends a request and puts the answer together, from events or from one object."""
    status, text = http(base + path, body)
    if status != 200:
        return Answer(status, text.strip()[:300], (), "", 0, 0, 0)
    events = [json.loads(text)] if not body.get("stream") else [
        json.loads(line[len("data: "):]) for line in text.splitlines() if line.startswith("data: {")
    ]
    if body.get("stream") and "data: [DONE]" not in text.splitlines():
        return Answer(status, "the stream does not end with [DONE]", (), "", 0, 0, len(events))
    content, token_ids, finish_reason, usage = "", [], "", {}
    for event in events:
        if "error" in event:
            return Answer(status, json.dumps(event), (), "error", 0, 0, len(events))
        if "kv_transfer_params" in event and event["kv_transfer_params"] is not None:
            return Answer(status, "kv_transfer_params reached the client", (), "", 0, 0, len(events))
        usage = event.get("usage") or usage
        for choice in event["choices"]:
            part = choice.get("delta") or choice.get("message") or choice
            content += part.get("text") or part.get("content") or ""
            token_ids += choice.get("token_ids") or []
            finish_reason = choice.get("finish_reason") or finish_reason
    return Answer(status, content, tuple(token_ids), finish_reason,
                  usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0), len(events))


@dataclasses.dataclass(frozen=True)
class Case:
    api: str
    stream: bool
    tokens: int

    def body(self, model, source, count_chat_tokens, max_tokens):
        """A fresh prompt: no engine has a block of it."""
        body = {"model": model, "temperature": 0, "max_tokens": max_tokens, "ignore_eos": True, "return_token_ids": True}
        if self.stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        if self.api == "completions":
            # Token ids: their number is the length. The first ids of a vocabulary are special.
            return body | {"prompt": [source.randrange(8, 2000) for _ in range(self.tokens)]}
        text = ""
        while True:
            messages = [{"role": "user", "content": text + source.choice(string.ascii_letters + string.digits)}]
            text = messages[0]["content"]
            if count_chat_tokens(messages) >= self.tokens:
                return body | {"messages": messages}

    @property
    def path(self):
        return "/v1/completions" if self.api == "completions" else "/v1/chat/completions"

    def __str__(self):
        return f"{self.api:<11} {'stream' if self.stream else 'unary':<6}"


class Plan:
    """What `millrace plan` predicts for this pair, remembered per length."""

    # The line that adds up the decode ranks: runs, bytes needed, bytes moved.
    TOTAL = re.compile(r"(?m)^all\s+\d+\s+\d+\s+(\d+)\s*$")

    def __init__(self, command, prefill, decode):
        self.command = [str(command), "plan", "--prefill", prefill, "--decode", decode, "--tokens"]
        self.known = {0: 0}

    def moved_bytes(self, tokens, prefix_hit=0):
        return self._all(tokens) - self._all(prefix_hit)

    def _all(self, tokens):
        if tokens not in self.known:
            command = self.command + [str(tokens)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
            total = self.TOTAL.search(result.stdout)
            if result.returncode != 0 or not total:
                raise Unreachable(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")
            self.known[tokens] = int(total.group(1))
        return self.known[tokens]


@contextlib.contextmanager
def serving(command, table):
    """The address of a router that runs with a table as long as it is needed; its ports are free ones."""
    with tempfile.TemporaryDirectory(prefix="millrace-verify-") as name:
        copy = pathlib.Path(name) / table.name
        copy.write_text(re.sub(r"(?m)^(listen|admin):.*$", r"\1: {host: 127.0.0.1, port: 0}", table.read_text()))
        router = subprocess.Popen([str(command), "serve", "-c", str(copy)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        try:
            address = None
            for line in router.stdout:
                if match := re.match(r"listening on (http://\S+)", line):
                    address = match.group(1)
                    break
            if address is None:
                raise Unreachable(f"{command} serve -c {table} ended with {router.wait()}")
            yield address
        finally:
            router.terminate()
            try:
                router.wait(20)
            except subprocess.TimeoutExpired:
                router.kill()


def differences(got, want):
    """Which parts of two answers differ; a stream is compared with the aggregated engine's stream."""
    parts = ["status", "text", "token_ids", "finish_reason", "prompt_tokens", "completion_tokens"]
    return [f"{part}: {getattr(got, part)!r} instead of {getattr(want, part)!r}"[:300]
            for part in parts if getattr(got, part) != getattr(want, part)]


def main():
    arguments = argparse.ArgumentParser(description="Compares a real vLLM pair behind Millrace with one engine.")
    arguments.add_argument("--millrace", default="http://127.0.0.1:8080", help="the router's public port")
    arguments.add_argument("--serve", type=pathlib.Path, metavar="TABLE", help="start a router with this table instead")
    arguments.add_argument("--aggregated", default="http://127.0.0.1:28100", help="the engine to compare with")
    arguments.add_argument("--prefill", nargs="+", default=["http://127.0.0.1:28110"], help="all prefill engines")
    arguments.add_argument("--decode", nargs="+", default=["http://127.0.0.1:28120"], help="all decode engines")
    arguments.add_argument("--model", default="tiny")
    arguments.add_argument("--lengths", type=int, nargs="+", default=[1, 31, 32, 33, 500], help="prompt lengths in tokens")
    arguments.add_argument("--max-tokens", type=int, default=24)
    arguments.add_argument("--seed", type=int, default=None, help="of the prompts; a seed used before hits the engines' caches")
    geometry = "tp=1,block=32,layout=cpu,heads=4,layers=4,head-size=32,dtype=bf16"
    arguments.add_argument("--prefill-geometry", default=geometry, help="as `millrace plan` takes it")
    arguments.add_argument("--decode-geometry", default=geometry)
    arguments.add_argument("--decode-block", type=int, default=32, help="tokens per block of the decode engines")
    arguments.add_argument("--command", default=ROOT / "millrace", help="the millrace command")
    chosen = arguments.parse_args()
    if chosen.serve:
        try:
            with serving(chosen.command, chosen.serve) as address:
                chosen.millrace = address
                return verify(chosen)
        except (Unreachable, OSError) as problem:
            print(problem, file=sys.stderr)
            return 3
    return verify(chosen)


def verify(chosen):
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(1 << 32)
    source = random.Random(seed)
    plan = Plan(chosen.command, chosen.prefill_geometry, chosen.decode_geometry)
    failures = 0

    def count_chat_tokens(messages):
        return json.loads(http(chosen.aggregated + "/tokenize", {"model": chosen.model, "messages": messages})[1])["count"]

    def compare(label, path, body, prefix_hit=0):
        nonlocal failures
        want = ask(chosen.aggregated, path, body)
        before = metric(chosen.decode, BYTES_MOVED)
        hits_before = metric(chosen.decode, PREFIX_HITS)
        started = time.monotonic()
        got = ask(chosen.millrace, path, body)
        seconds = time.monotonic() - started
        predicted = plan.moved_bytes(want.prompt_tokens, prefix_hit) if want.status == 200 else 0
        moved = int(settled(chosen.decode, BYTES_MOVED, before + predicted) - before)
        hits = int(metric(chosen.decode, PREFIX_HITS) - hits_before)
        wrong = differences(got, want)
        if body.get("stream") and got.events < 3:
            wrong.append(f"a stream of {got.events} events")
        if moved != predicted:
            wrong.append(f"bytes moved: {moved} instead of {predicted}")
        failures += bool(wrong)
        print(f"{label} {want.prompt_tokens:>6} {got.completion_tokens:>6} {'yes' if not differences(got, want) else 'NO':>5}"
              f" {predicted:>10} {moved:>10} {hits:>5} {seconds * 1000:>7.0f} ms  {'ok' if not wrong else 'DIFFERS'}", flush=True)
        for line in wrong:
            print(f"    {line}")

    print(f"seed {seed}")
    print(f"{'request':<18} {'prompt':>6} {'answer':>6} {'equal':>5} {'predicted':>10} {'moved':>10} {'hit':>5} {'time':>10}")
    try:
        for api in ["completions", "chat"]:
            for stream in [False, True]:
                for tokens in chosen.lengths:
                    case = Case(api, stream, tokens)
                    body = case.body(chosen.model, source, count_chat_tokens, chosen.max_tokens)
                    compare(str(case), case.path, body)
        longest = max(chosen.lengths)
        case = Case("completions", False, longest)
        body = case.body(chosen.model, source, count_chat_tokens, chosen.max_tokens)
        compare(f"{'first time':<18}", case.path, body)
        # The last token is always computed, so a prompt of whole blocks is hit up to the block before.
        whole_blocks = (longest - 1) // chosen.decode_block * chosen.decode_block
        compare(f"{'the same again':<18}", case.path, body, prefix_hit=whole_blocks)
        deadline = time.monotonic() + METRICS_SETTLE_SECONDS
        while (pinned := metric(chosen.prefill, BLOCKS_IN_USE)) > 0 and time.monotonic() < deadline:
            time.sleep(0.1)
        print(f"blocks still held by the prefill engines: {'none' if pinned == 0 else f'{pinned:.4%} of their cache'}")
        failures += pinned > 0
    except Unreachable as problem:
        print(problem, file=sys.stderr)
        return 3
    print("all as predicted" if failures == 0 else f"{failures} not as predicted")
    return 0 if failures == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
