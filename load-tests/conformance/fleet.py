"""Simulated engines, the recorder, and `millrace serve` before them: every process on a port that the system chose."""
import itertools
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import recorder

ROOT = pathlib.Path(__file__).resolve().parents[2]
READY_SECONDS = 60
MOST_BODY_BYTES = 1 << 20

# What models stand for. Of `pair` there are a prefill and a decode engine of unequal shape; `plain` has no prefill stage; the pair of
# `misfit` cannot be used, so its decode engine computes everything; `recorded` and `kept` are the recorder's; nobody listens for
# `gone` and `lost`.
MODELS = ("pair", "plain", "misfit", "recorded", "kept", "gone", "lost")


class Failed(Exception):
    pass


def get(url, timeout=5):
    with urllib.request.urlopen(url, timeout=timeout) as answer:
        return json.loads(answer.read())


class Fleet:
    def __init__(self, folder):
        self.folder, self.processes, self.logs = folder, [], []
        self.recorder = recorder.Recorder()

    def start(self, name, *arguments):
        """Starts `millrace` and returns its log, in which it says where it listens."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            # An open standard input, so that engines end with this process however it ends.
            process = subprocess.Popen([str(ROOT / "millrace"), *map(str, arguments)], stdin=subprocess.PIPE, stdout=out, stderr=out,
                                       start_new_session=True, env=os.environ | {"MILLRACE_BUILD": "off"})
        self.processes.append((name, process))
        return log

    def wait(self, log, pattern):
        """The first match of a pattern in a log."""
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if found := re.search(pattern, log.read_text()):
                return found
            for name, process in self.processes:
                if process.poll() is not None:
                    raise Failed(f"{name} ended with {process.returncode}: {(self.folder / name).with_suffix('.log').read_text()[-400:]}")
            time.sleep(0.02)
        raise Failed(f"{log.name} does not say {pattern!r} within {READY_SECONDS} s: {log.read_text()[-400:]}")

    def up(self):
        engines = {
            "prefill": ("--role", "prefill", "--model", "pair", "--tp", 1, "--block-size", 16),
            "decode": ("--role", "decode", "--model", "pair", "--tp", 2, "--block-size", 32, "--inter-token-ms", 1),
            "alone": ("--role", "both", "--model", "pair"),
            "plain": ("--role", "both", "--model", "plain", "--inter-token-ms", 1),
            "misfit-prefill": ("--role", "prefill", "--model", "misfit", "--layers", 2),
            "misfit-decode": ("--role", "decode", "--model", "misfit", "--layers", 4),
        }
        logs = {name: self.start(name, "simulate", "--until-stdin-closes", "--port", 0, *arguments) for name, arguments in engines.items()}
        said = {name: self.wait(log, r"at (http://[0-9.:]+), side channel ([0-9.:]+)") for name, log in logs.items()}
        self.url = {name: found.group(1) for name, found in said.items()}
        self.side = {name: found.group(2) for name, found in said.items()}
        log = self.start("router", "serve", "-c", self.routes())
        self.router = self.wait(log, r"listening on (http://\S+)").group(1)
        self.admin = self.wait(log, r"admin on (http://\S+)").group(1)
        self.judged()
        self.port = int(self.router.rsplit(":", 1)[1])

    def judged(self):
        """Waits until every pair has been looked at, and tried out where it must be."""
        expected, found = {"pair": ["usable"], "misfit": ["refused"], "recorded": ["usable"], "lost": ["usable"]}, None
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            routes = get(f"{self.admin}/pd/matrix")["routes"]
            found = {route["model"]: [edge["state"] for edge in route["edges"]] for route in routes if route["edges"]}
            if found == expected:
                return
            time.sleep(0.1)
        raise Failed(f"the pairs are {found}, not {expected}, after {READY_SECONDS} s")

    def worker(self, name):
        return f'{{url: "{self.url[name]}", side-channel: "{self.side[name]}"}}'

    def routes(self):
        file = self.folder / "routes.yaml"
        recorded = {role: f'{{url: "{self.recorder.url(role)}"}}' for role in ("prefill", "decode", "both")}
        nobody = f'{{url: "http://127.0.0.1:{closed_port()}"}}'
        pools = [("p", "prefill", "pair", "millrace-sim", self.worker("prefill")), ("d", "decode", "pair", "millrace-sim", self.worker("decode")),
                 ("plain", "both", "plain", "millrace-sim", self.worker("plain")),
                 ("misfit-p", "prefill", "misfit", "millrace-sim", self.worker("misfit-prefill")),
                 ("misfit-d", "decode", "misfit", "millrace-sim", self.worker("misfit-decode")),
                 ("recorded-p", "prefill", "recorded", "vllm", recorded["prefill"]), ("recorded-d", "decode", "recorded", "vllm", recorded["decode"]),
                 ("kept", "both", "kept", "vllm", recorded["both"]),
                 ("gone", "both", "gone", "vllm", nobody), ("lost-p", "prefill", "lost", "vllm", nobody),
                 ("lost-d", "decode", "lost", "vllm", recorded["decode"])]
        file.write_text(f"""\
listen: {{host: 127.0.0.1, port: 0, max-body: {MOST_BODY_BYTES >> 20}MiB}}
admin: {{host: 127.0.0.1, port: 0}}
pools:
""" + "".join(f"  {name}: {{role: {role}, model: {model}, engine: {engine}, workers: [{worker}]}}\n" for name, role, model, engine, worker in pools) + """\
routes:
  - {match: {model: pair}, prefill: {pool: p}, decode: {pool: d}}
  - {match: {model: plain}, decode: {pool: plain}}
  - {match: {model: misfit}, prefill: {pool: misfit-p}, decode: {pool: misfit-d}, on-mismatch: recompute}
  - {match: {model: recorded}, prefill: {pool: recorded-p}, decode: {pool: recorded-d}, verify: trust, retries: {decode: 0}}
  - {match: {model: kept}, decode: {pool: kept}, verify: trust}
  - {match: {model: gone}, decode: {pool: gone}, verify: trust}
  - {match: {model: lost}, prefill: {pool: lost-p}, decode: {pool: lost-d}, verify: trust}
""")
        return file

    def exchange(self, request_id, settled=lambda record: True):
        """What the admin port says of an exchange once it has ended, and once something holds of it."""
        deadline, record = time.monotonic() + 5, None
        while time.monotonic() < deadline:
            try:
                record = get(f"{self.admin}/pd/requests/{request_id}")
                if record["transfer"].get("why") != "not asked yet" and settled(record):
                    return record
            except urllib.error.HTTPError as error:
                assert error.code == 404, f"the admin port answers {error.code}"
            time.sleep(0.01)
        assert record is not None, f"the admin port knows no exchange {request_id}"
        return record

    def quiet(self):
        """Lets the decode engine's counters come to rest, so that the next exchange is the only one between two looks at them."""
        body = {"model": "pair", "prompt": "quiet", "max_tokens": 1, "truncate_prompt_tokens": -1}
        for number in itertools.count():
            request_id = f"quiet-{number}-{time.monotonic_ns()}"
            headers = {"content-type": "application/json", "x-request-id": request_id}
            with urllib.request.urlopen(urllib.request.Request(f"{self.router}/v1/completions", json.dumps(body).encode(), headers), timeout=20):
                pass
            if isinstance(self.exchange(request_id)["transfer"]["bytes"], int):
                return
            assert number < 100, "the decode engine's counters do not come to rest"

    def occupancy(self):
        return get(f"{self.admin}/pd/workers")

    def down(self):
        for _, process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for _, process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
        self.recorder.close()


def closed_port():
    """A port on which nobody listens now; the system gives it to nobody else for a while."""
    with socket.create_server(("127.0.0.1", 0)) as briefly:
        return briefly.getsockname()[1]
