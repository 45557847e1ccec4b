#!/usr/bin/env python3
"""Router overhead: requests per second and CPU per request, Millrace beside nginx, in one run.

What is compared. nginx passes a request through to one engine: one leg. Millrace runs it on a prefill engine and then, with the
prefill's parameters, on a decode engine: two legs, with the body read, searched and rewritten for each. There is no honest way to make
nginx do that, so the table gives Millrace's cost per request and per leg, and nginx's cost per request is the yardstick for a leg.
"direct" is the load generator straight at the decode engine; its CPU is the engine's, so that one sees what the engine costs.

How. The router alone on one CPU; engines (simulators in plain mode: canned answers, no KV cache) and load generator on another.
All routers stay up; each repeat visits every cell of the table once, so that a slow minute of the machine hits all of them; the table
holds medians. CPU is user plus system time of the router's process from /proc, over exactly the requests that wrk counts.
A cell counts only if every answer was 200 and whole, and if each request through Millrace made one prefill and one decode leg.

    load-tests/overhead/run.sh [--repeats 3] [--seconds 2] [--warm-up 6]

Under three minutes by default. Results: load-tests/results/overhead-*.{json,md}.
"""
import argparse
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
RESULTS = ROOT / "load-tests" / "results"
MODEL = "bench"
PATH = "/v1/chat/completions"
# Of a streamed answer; an engine in plain mode may put several into one event, so events are counted.
TOKENS = 64
PREFILL, DECODE, MILLRACE, ADMIN, NGINX = 28301, 28302, 28310, 28311, 28320
READY_SECONDS = 60
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
# Above this share of the router's CPU, what other processes do there is part of what was measured.
NOISE_SHARE = 0.05


class Failed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Load:
    """What is sent, over how many connections."""

    body_bytes: int
    stream: bool
    connections: int

    def __str__(self):
        size = f"{self.body_bytes // 1024} KB" if self.body_bytes >= 1024 else f"{self.body_bytes} B"
        return size + (f", stream of {TOKENS} tokens" if self.stream else "") + f", {self.connections} conn."

    def body(self):
        head = {"model": MODEL, "stream": self.stream, "max_tokens": TOKENS if self.stream else 1, "temperature": 0}
        text = json.dumps(head | {"messages": [{"role": "user", "content": ""}]})
        words = "the router moves the blocks of a prompt and not its text ".encode()
        filler = (words * (self.body_bytes // len(words) + 1))[: max(1, self.body_bytes - len(text))].decode()
        return json.dumps(head | {"messages": [{"role": "user", "content": filler}]})


LOADS = [
    Load(200, False, 64),
    Load(2048, False, 64),
    Load(128 * 1024, False, 64),
    Load(2048, True, 64),
    Load(2048, False, 1),
]


@dataclasses.dataclass(frozen=True)
class Target:
    name: str
    port: int
    process: subprocess.Popen
    legs: int


@dataclasses.dataclass(frozen=True)
class Sample:
    requests: int
    per_second: float
    cpu_micros: float
    p50_millis: float
    p99_millis: float
    others_share: float


def get(url, timeout=2):
    with urllib.request.urlopen(url, timeout=timeout) as response:
        return response.read().decode()


def wait_ready(name, port, path, process, log):
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"{name} ended with {process.returncode}:\n{log.read_text()[-2000:]}")
        try:
            get(f"http://127.0.0.1:{port}{path}")
            return
        except urllib.error.HTTPError as error:
            if error.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise Failed(f"{name} does not answer on port {port} after {READY_SECONDS} s:\n{log.read_text()[-2000:]}")


class Fleet:
    """The processes of one run, each pinned, each with a log; all of them end with the run."""

    def __init__(self, folder, router_cpu, load_cpu):
        self.folder, self.router_cpu, self.load_cpu, self.processes = folder, router_cpu, load_cpu, []

    def start(self, name, cpu, command, port, ready_path):
        with contextlib.suppress(OSError):
            get(f"http://127.0.0.1:{port}/", timeout=0.5)
            raise Failed(f"something else answers on port {port}")
        log = self.folder / f"{name}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(["taskset", "-c", str(cpu), *command], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.processes.append(process)
        wait_ready(name, port, ready_path, process, log)
        return process

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def millrace(*arguments):
    return [str(ROOT / "millrace"), *map(str, arguments)]


def simulator(role, port):
    # Blocks bound the length of prompts; in plain mode nothing is allocated for them.
    return millrace("simulate", "--plain", "--role", role, "--model", MODEL, "--port", port, "--blocks", 100_000)


def routing_table(folder):
    file = folder / "routes.yaml"
    file.write_text(f"""\
listen: {{host: 127.0.0.1, port: {MILLRACE}, event-loops: 1}}
admin: {{host: 127.0.0.1, port: {ADMIN}}}
pools:
  p: {{role: prefill, model: {MODEL}, engine: millrace-sim, workers: [{{url: "http://127.0.0.1:{PREFILL}"}}]}}
  d: {{role: decode, model: {MODEL}, engine: millrace-sim, workers: [{{url: "http://127.0.0.1:{DECODE}"}}]}}
routes:
  - match: {{model: {MODEL}}}
    prefill: {{pool: p}}
    decode: {{pool: d}}
""")
    return file


def nginx_config(folder):
    """A plain pass-through as one would tune it: connections kept on both sides, bodies in memory, nothing logged."""
    file = folder / "nginx.conf"
    file.write_text(f"""\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_body_buffer_size 1m;
    client_max_body_size 16m;
    keepalive_requests 100000000;
    upstream engine {{
        server 127.0.0.1:{DECODE};
        keepalive 512;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{NGINX} backlog=4096;
        location / {{
            proxy_pass http://engine;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")
    return file


def cpu_ticks(process):
    """User plus system time; of a thread that has ended too."""
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def busy_ticks(cpu):
    """What everything on a CPU has used together."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, line.split()[1:])
            return user + nice + system + irq + softirq
    raise Failed(f"/proc/stat knows no CPU {cpu}")


def legs():
    """Prefill and decode legs that Millrace has made, once no request is under way: wrk leaves some behind when its time is up."""
    while True:
        account = json.loads(get(f"http://127.0.0.1:{ADMIN}/pd/workers"))
        # A hand-off is open until its blocks are read, or released some time after its exchange has ended.
        if account["open_exchanges"] == 0 and account["hand_offs"]["open"] == 0:
            break
        time.sleep(0.1)
    if failed := sum(worker["failed_legs"] for worker in account["workers"]):
        raise Failed(f"{failed} legs failed: {account}")
    return tuple(sum(worker["legs"] for worker in account["workers"] if worker["role"] == role) for role in ("prefill", "decode"))


def wrk_script(folder, load):
    """Sends the body. wrk itself counts bad statuses; that a stream has its end is looked at here."""
    file = folder / f"load-{LOADS.index(load)}.lua"
    look_for_end = """
function response(status, headers, body)
  if not string.find(body, "[DONE]", -32, true) then unfinished = unfinished + 1 end
end
"""
    file.write_text(f"""\
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [==[{load.body()}]==]
local threads = {{}}
function setup(thread) table.insert(threads, thread) end
function init() unfinished = 0 end
{look_for_end if load.stream else ""}
function done(summary, latency)
  local unfinished = 0
  for _, thread in ipairs(threads) do unfinished = unfinished + thread:get("unfinished") end
  local e = summary.errors
  print(string.format("RESULT %d %d %d %d %d %f %f", summary.requests, summary.duration, e.status, unfinished,
    e.connect + e.read + e.write + e.timeout, latency:percentile(50), latency:percentile(99)))
end
""")
    return file


def one_answer(target, load):
    """What a client reads, for the message of a failure."""
    request = urllib.request.Request(f"http://127.0.0.1:{target.port}{PATH}", load.body().encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return f"{response.status} {response.read(300)!r}"
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read(300)!r}"
    except OSError as error:
        return str(error)


def measure(fleet, target, load, seconds):
    legs_before = legs()
    busy, own = busy_ticks(fleet.router_cpu), cpu_ticks(target.process)
    started = time.monotonic()
    result = subprocess.run(
        ["taskset", "-c", str(fleet.load_cpu), "wrk", "-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "10s",
         "-s", str(wrk_script(fleet.folder, load)), f"http://127.0.0.1:{target.port}{PATH}"],
        capture_output=True, text=True, timeout=seconds + 60)
    own = cpu_ticks(target.process) - own
    busy = busy_ticks(fleet.router_cpu) - busy
    elapsed = time.monotonic() - started
    line = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) ([\d.]+) ([\d.]+)", result.stdout)
    if result.returncode != 0 or not line:
        raise Failed(f"wrk against {target.name}, {load}:\n{result.stdout}{result.stderr}")
    requests, micros, refused, unfinished, errors = (int(part) for part in line.groups()[:5])
    where = f"{target.name}, {load}"
    if refused or unfinished or errors or not requests:
        raise Failed(f"{where}: of {requests} answers {refused} were not 200, {unfinished} not whole; {errors} socket errors."
                     f" One answer: {one_answer(target, load)}")
    check_legs(where, target, legs_before, requests, load.connections)
    own_on_router_cpu = own if target.legs else 0
    return Sample(
        requests=requests,
        per_second=requests * 1e6 / micros,
        cpu_micros=own / TICKS_PER_SECOND * 1e6 / requests,
        p50_millis=float(line.group(6)) / 1000,
        p99_millis=float(line.group(7)) / 1000,
        others_share=max(0.0, (busy - own_on_router_cpu) / TICKS_PER_SECOND / elapsed))


def check_legs(where, target, before, requests, connections):
    """Answered requests have one leg of each stage. Those that wrk left unanswered, at most one per connection, have up to one prefill
    leg and up to two decode legs: the one that was broken off, and the request that releases the blocks."""
    after = legs()
    for stage, made, unanswered in (("prefill", after[0] - before[0], 1), ("decode", after[1] - before[1], 2)):
        least, most = (requests, requests + unanswered * connections) if target.legs == 2 else (0, 0)
        if not least <= made <= most:
            raise Failed(f"{where}: {requests} requests made {made} {stage} legs")


def median(samples, field):
    return statistics.median(getattr(sample, field) for sample in samples)


def events_of(load):
    """How many events the engine makes of an answer, the end included."""
    request = urllib.request.Request(f"http://127.0.0.1:{DECODE}{PATH}", load.body().encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return sum(line.startswith(b"data: ") for line in response.read().splitlines())


def table(targets, samples, events):
    """The medians as markdown, with what the ratios are of."""
    lines = ["| load | router | legs | requests/s | CPU µs/request | per leg | ÷ nginx, per request | ÷ nginx, per leg | p50 ms | p99 ms |",
             "|---|---|--:|--:|--:|--:|--:|--:|--:|--:|"]
    for load in LOADS:
        nginx = median(samples["nginx", load], "cpu_micros")
        for target in targets:
            cell = samples[target.name, load]
            cpu = median(cell, "cpu_micros")
            legs = max(1, target.legs)
            ratios = (f"{cpu / nginx:.2f}", f"{cpu / legs / nginx:.2f}") if target.legs else ("", "")
            lines.append(
                f"| {load} | {target.name} | {target.legs or '–'} | {median(cell, 'per_second'):,.0f} | {cpu:.1f} | {cpu / legs:.1f}"
                f" | {ratios[0]} | {ratios[1]} | {median(cell, 'p50_millis'):.2f} | {median(cell, 'p99_millis'):.2f} |")
    stream = next(load for load in LOADS if load.stream)
    lines.append("")
    lines.append(f"CPU per streamed event ({events} in an answer, the request included): " + ", ".join(
        f"{target.name} {median(samples[target.name, stream], 'cpu_micros') / events:.2f} µs" for target in targets))
    return "\n".join(lines)


def output_of(*command):
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, stdin=subprocess.DEVNULL)
        return (done.stdout + done.stderr).strip().splitlines()[0] if done.returncode in (0, 1) else "unknown"  # wrk -v exits 1
    except (OSError, IndexError, subprocess.TimeoutExpired):
        return "unknown"


def machine():
    cpu = next((line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                if line.startswith("model name")), platform.machine())
    return {
        "cpu": cpu, "cpus": os.cpu_count(), "kernel": platform.release(),
        "nginx": output_of("nginx", "-v"), "wrk": output_of("wrk", "-v"),
        "commit": output_of("git", "-C", str(ROOT), "describe", "--always", "--dirty"),
        "millrace": output_of(*millrace("--version")),
    }


def warm_up(fleet, targets, seconds):
    """A JVM compiles what is hot in the first seconds; that time is not what an operator sees."""
    for target in targets:
        share = seconds if target.name == "millrace" else min(1, seconds)
        for load in LOADS:
            print(f"warm-up: {target.name}, {load}", file=sys.stderr)
            measure(fleet, target, load, share)


def main():
    arguments = argparse.ArgumentParser(description="Measures what a request costs in the router.")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--seconds", type=int, default=2, help="per cell and repeat")
    arguments.add_argument("--warm-up", type=int, default=5, help="seconds per kind of load, for Millrace")
    arguments.add_argument("--router-cpu", type=int, default=0)
    arguments.add_argument("--load-cpu", type=int, default=1, help="for engines and load generator")
    chosen = arguments.parse_args()
    started = time.monotonic()

    facts = machine()  # also builds, before anything is timed
    samples = {}
    with tempfile.TemporaryDirectory(prefix="millrace-overhead-") as name:
        folder = pathlib.Path(name)
        fleet = Fleet(folder, chosen.router_cpu, chosen.load_cpu)
        try:
            fleet.start("prefill", chosen.load_cpu, simulator("prefill", PREFILL), PREFILL, "/health")
            engine = fleet.start("decode", chosen.load_cpu, simulator("decode", DECODE), DECODE, "/health")
            nginx = fleet.start(
                "nginx", chosen.router_cpu, ["nginx", "-c", str(nginx_config(folder)), "-e", f"{folder}/nginx-error.log"],
                NGINX, "/health")
            router = fleet.start(
                "millrace", chosen.router_cpu, millrace("serve", "-c", routing_table(folder)), ADMIN, "/readyz")
            targets = [Target("direct", DECODE, engine, 0), Target("nginx", NGINX, nginx, 1), Target("millrace", MILLRACE, router, 2)]
            events = events_of(next(load for load in LOADS if load.stream))
            warm_up(fleet, targets, chosen.warm_up)
            for repeat in range(chosen.repeats):
                for load in LOADS:
                    # Another order each time, so that no target always follows the same neighbour.
                    for target in targets[repeat % 3:] + targets[: repeat % 3]:
                        print(f"repeat {repeat + 1} of {chosen.repeats}: {target.name}, {load}", file=sys.stderr)
                        samples.setdefault((target.name, load), []).append(measure(fleet, target, load, chosen.seconds))
        except Failed:
            kept = RESULTS / "overhead-failed"
            shutil.copytree(folder, kept, dirs_exist_ok=True, ignore=shutil.ignore_patterns("body", "proxy", "*cgi"))
            print(f"logs: {kept}", file=sys.stderr)
            raise
        finally:
            fleet.stop()

    noise = max(median(cell, "others_share") for cell in samples.values())
    text = [
        f"{facts['cpu']}, {facts['cpus']} CPUs, Linux {facts['kernel']}; {facts['millrace']}; {facts['nginx']}; commit {facts['commit']}",
        f"Medians of {chosen.repeats} repeats of {chosen.seconds} s per cell. All answers 200 and whole; per request through Millrace one"
        " prefill and one decode. \"direct\": CPU of the engine.",
        "", table(targets, samples, events), "",
        f"Others used up to {noise:.0%} of the router's CPU while a cell was measured"
        + ("." if noise <= NOISE_SHARE else ": the figures are not to be relied on; run it again on an idle machine."),
    ]
    RESULTS.mkdir(parents=True, exist_ok=True)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    (RESULTS / f"overhead-{stamp}.md").write_text("\n".join(text) + "\n")
    (RESULTS / f"overhead-{stamp}.json").write_text(json.dumps({
        "machine": facts, "repeats": chosen.repeats, "seconds": chosen.seconds, "others_share": noise, "events_per_stream": events,
        "cells": [{"target": target, **dataclasses.asdict(load), "samples": [dataclasses.asdict(sample) for sample in cell]}
                  for (target, load), cell in samples.items()],
    }, indent=1) + "\n")
    print("\n".join(text))
    print(f"{time.monotonic() - started:.0f} s in all; saved as {RESULTS.relative_to(ROOT)}/overhead-{stamp}.md and .json")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(failure, file=sys.stderr)
        sys.exit(1)
