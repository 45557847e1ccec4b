"""Fast fake engines, a router in front of them, load, and what it costs: what the measurements here have in common."""
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
RESULTS = ROOT / "load-tests" / "results"
TOOLS = ROOT / "load-tests" / "target" / "side-by-side"
WIRE = TOOLS / "wire"
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
READY_SECONDS = 60
MOST_WARM_UP_SECONDS = 120
COMPILING_SHARE = 0.02  # of a round's CPU; with less a JVM counts as warm
CONTROL, PLAIN, PREFILL, DECODE = 28400, (28401, 28402), (28411, 28412), (28421, 28422)
ROUTER_PORTS = iter(range(28500, 28600))


class Failed(Exception):
    pass


@dataclasses.dataclass(frozen=True)
class Case:
    """What is sent, over how many connections."""

    kind: str  # plain or P/D
    body_bytes: int
    connections: int
    tokens: int = 1
    stream: bool = False
    interval_millis: int = 0  # between tokens; 0 is as fast as they are read
    ramp_seconds: float = 0

    def __str__(self):
        size = f"{self.body_bytes // 1024} KB" if self.body_bytes >= 1024 else f"{self.body_bytes} B"
        if not self.stream:
            return f"{self.kind}, {size}, {self.connections} conn."
        pace = f"a token per {self.interval_millis} ms" if self.interval_millis else "flat out"
        return f"{self.kind}, {size}, {self.connections:,} streams of {self.tokens} tokens, {pace}"


KB = 1024
KINDS = ("plain", "P/D")


# ---- processes ----

def get(url, timeout=2, data=None, headers=None):
    with urllib.request.urlopen(urllib.request.Request(url, data, headers or {}), timeout=timeout) as response:
        return response.read().decode()


class Fleet:
    """The processes of one run, each pinned, each with a log; all of them end with the run."""

    def __init__(self, folder, router_cpu, load_cpu):
        self.folder, self.router_cpu, self.load_cpu, self.processes = folder, router_cpu, load_cpu, []

    def start(self, name, cpu, command, port, ready_path, environment=None):
        with contextlib.suppress(OSError):
            get(f"http://127.0.0.1:{port}/", timeout=0.5)
            raise Failed(f"something else answers on port {port}")
        log = self.folder / f"{name.replace(' ', '-').replace('/', '')}.log"
        begun = time.monotonic()
        with log.open("wb") as out:
            process = subprocess.Popen(["taskset", "-c", str(cpu), *map(str, command)], stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                       env=os.environ | (environment or {}), start_new_session=True)
        self.processes.append(process)
        deadline = begun + READY_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise Failed(f"{name} ended with {process.returncode}: {tail(log)}")
            try:
                get(f"http://127.0.0.1:{port}{ready_path}")
                return process, time.monotonic() - begun
            except urllib.error.HTTPError as error:
                if error.code < 500:
                    return process, time.monotonic() - begun
            except OSError:
                pass
            time.sleep(0.01)
        raise Failed(f"{name} does not answer on port {port} after {READY_SECONDS} s: {tail(log)}")

    def stop(self):
        for process in reversed(self.processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


def tail(log):
    return " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])[-400:]


def tree(pid):
    """A process and those that it has started."""
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{parent}/task").iterdir():
                pids += map(int, (task / "children").read_text().split())
    return pids


def used_seconds(stat):
    """User and system time in a stat file of /proc; 0 if what it tells of is gone."""
    try:
        fields = stat.read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND


def cpu_seconds(pids):
    return sum(used_seconds(pathlib.Path(f"/proc/{pid}/stat")) for pid in pids)


def compiler_seconds(pids):
    """What the threads of a JVM that compile have used."""
    total = 0
    for pid in pids:
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if (task / "comm").read_text().startswith(("C1 Compiler", "C2 Compiler")):
                    total += used_seconds(task / "stat")
    return total


def forget_peak(pids):
    for pid in pids:
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_mib(pids):
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int(re.search(r"VmHWM:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text()).group(1))
    return total / 1024


def busy_seconds(cpu):
    """What everything on a CPU has used together."""
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        if line.startswith(f"cpu{cpu} "):
            user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, line.split()[1:])
            return (user + nice + system + irq + softirq) / TICKS_PER_SECOND
    raise Failed(f"/proc/stat knows no CPU {cpu}")


# ---- routers ----

def urls(ports):
    return [f"http://127.0.0.1:{port}" for port in ports]


@dataclasses.dataclass
class Router:
    """One that is up, for one kind of request."""

    name: str
    kind: str
    port: int
    pids: list
    start_seconds: float
    model: str = "bench"
    protocol: str = "vllm"


def pool(role, model, ports):  # every pair is trusted: the fake engines say nothing of their caches
    workers = ", ".join(f'{{url: "{url}"}}' for url in urls(ports))
    return f"{{role: {role}, model: {model}, engine: vllm, workers: [{workers}]}}"


def millrace(fleet, name, root, prefill=PREFILL, decode=DECODE, other_routes=0, environment=None):
    """One process for both kinds: a route without prefill engines, and a disaggregated one; before them routes that nobody asks for."""
    port, admin = next(ROUTER_PORTS), next(ROUTER_PORTS)
    others = "".join(f"  - {{match: {{model: other-{n}}}, served-model-name: bench, prefill: {{pool: p}}, decode: {{pool: d}}, verify: trust}}\n" for n in range(other_routes))
    file = fleet.folder / f"routes-{port}.yaml"
    file.write_text(f"""\
listen: {{host: 127.0.0.1, port: {port}, event-loops: 1}}
admin: {{host: 127.0.0.1, port: {admin}}}
pools:
  p: {pool("prefill", "bench", prefill)}
  d: {pool("decode", "bench", decode)}
  plain: {pool("both", "plain", PLAIN)}
routes:
{others}\
  - {{match: {{model: bench}}, prefill: {{pool: p}}, decode: {{pool: d}}, verify: trust}}
  - {{match: {{model: plain}}, decode: {{pool: plain}}, verify: trust}}
""")
    process, took = fleet.start(name, fleet.router_cpu, [root / "millrace", "serve", "-c", file], admin, "/readyz", environment)
    return [Router(name, kind, port, tree(process.pid), took, "plain" if kind == "plain" else "bench") for kind in KINDS]


def start_engines(fleet, plain=PLAIN, prefill=PREFILL, decode=DECODE):
    process, _ = fleet.start("engines", fleet.load_cpu, [
        WIRE, "engine", "-control", CONTROL, "-plain", ",".join(map(str, plain)), "-prefill", ",".join(map(str, prefill)),
        "-decode", ",".join(map(str, decode))], CONTROL, "/counts")
    fleet.engines = [process.pid]


# ---- measuring ----

@dataclasses.dataclass(frozen=True)
class Sample:
    per_second: float
    p50: float
    p99: float
    cpu_micros: float
    event_micros: float
    first_p50: float
    first_p99: float
    gap_p50: float
    gap_p99: float
    peak_mib: float
    load_share: float
    engine_share: float
    others_share: float
    trouble: str


def counts():
    return json.loads(get(f"http://127.0.0.1:{CONTROL}/counts"))


def tell_engines(case):
    """What to stream, if they are asked to; their counts begin anew."""
    get(f"http://127.0.0.1:{CONTROL}/set?tokens={case.tokens}&interval-us={case.interval_millis * 1000}", data=b"")


def load(fleet, router, case, seconds):
    """The command that sends a case."""
    command = ["taskset", "-c", fleet.load_cpu, WIRE, "load", "-to", f"127.0.0.1:{router.port}", "-model", router.model,
               "-body", case.body_bytes, "-connections", case.connections, "-seconds", seconds, "-ramp", case.ramp_seconds,
               "-tokens", case.tokens]
    return list(map(str, command + (["-stream"] if case.stream else [])))


def send(fleet, router, case, seconds):
    """Sends a case, and what became of it."""
    done = subprocess.run(load(fleet, router, case, seconds), capture_output=True, text=True)
    if not done.stdout:
        raise Failed(f"{router.name}, {case}: {done.stderr}")
    return json.loads(done.stdout)


def measure(fleet, router, case, seconds):
    if case.interval_millis:
        # Twice the length of a stream at least, and the first of them spread over the length of one.
        seconds = max(seconds, case.ramp_seconds + 1.5 * case.tokens * case.interval_millis / 1000)
    tell_engines(case)
    pids = [one for pid in router.pids for one in tree(pid)]
    forget_peak(pids)
    own, engine, busy = cpu_seconds(pids), cpu_seconds(fleet.engines), busy_seconds(fleet.router_cpu)
    result = send(fleet, router, case, seconds)
    own, engine = cpu_seconds(pids) - own, cpu_seconds(fleet.engines) - engine
    busy = busy_seconds(fleet.router_cpu) - busy
    requests, events, elapsed = max(1, result["requests"]), result["events"], result["elapsed_s"]
    return Sample(
        per_second=result["per_second"], p50=result["p50_ms"], p99=result["p99_ms"],
        cpu_micros=own * 1e6 / requests, event_micros=own * 1e6 / events if events else 0,
        first_p50=result["first_p50_ms"], first_p99=result["first_p99_ms"], gap_p50=result["gap_p50_ms"], gap_p99=result["gap_p99_ms"],
        peak_mib=peak_mib(pids), load_share=result["cpu_s"] / elapsed, engine_share=engine / elapsed,
        others_share=max(0.0, busy - (0 if router.name == "direct" else own)) / elapsed,
        trouble=trouble(router, case, result))


def trouble(router, case, result):
    """What was wrong with answers, or with what the engines were asked; empty if nothing was."""
    wrong = [f"{count} × {what}" for what, count in result["failures"].items()]
    seen = counts()
    expected = {"plain": result["requests"]} if case.kind == "plain" else {"prefill": result["requests"], "decode": result["requests"]}
    for what in ("plain", "prefill", "decode"):
        if not wrong and seen.get(what, 0) != expected.get(what, 0):
            wrong.append(f"engines saw {seen.get(what, 0)} × {what} for {result['requests']} requests")
    known = {"plain", "prefill", "decode", "whole answers", "streams", "open streams", "most open streams"}
    wrong += [f"{count} × {what}" for what, count in seen.items() if what not in known and count]
    return "; ".join(wrong)


def median(samples, field):
    return statistics.median(getattr(sample, field) for sample in samples)


def say(text):
    print(f"[{time.strftime('%H:%M:%S')}] {text}", file=sys.stderr, flush=True)


def build_wire():
    if not shutil.which("go"):
        raise Failed("engines and load generator are written in Go: install it (go 1.24 or newer)")
    TOOLS.mkdir(parents=True, exist_ok=True)
    subprocess.run(["go", "build", "-o", str(WIRE), "."], cwd=HERE / "wire", check=True, env=os.environ | {"GOFLAGS": "-buildvcs=false"})


def serves(router, case):
    return router.kind == case.kind


def warm_up(fleet, routers, cases, seconds):
    """Every cell once; those of a JVM again, until it compiles no more: with one CPU for everything that takes it half a minute."""
    for router in routers:
        begun = time.monotonic()
        todo = [case for case in cases if serves(router, case)] if seconds else []
        while todo:
            compiling, used = compiler_seconds(router.pids), cpu_seconds(router.pids)
            for case in todo:
                measure(fleet, router, dataclasses.replace(case, ramp_seconds=min(case.ramp_seconds, seconds / 2)), seconds)
            compiling, used = compiler_seconds(router.pids) - compiling, cpu_seconds(router.pids) - used
            if compiling <= COMPILING_SHARE * used or time.monotonic() - begun > MOST_WARM_UP_SECONDS:
                break
        say(f"warmed up: {router.name}, {router.kind}, in {time.monotonic() - begun:.0f} s")
