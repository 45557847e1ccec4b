"""The other routers, as one would start each of them for the engines of measuring.py."""
import json
import os
import shutil
import subprocess
import sys

from measuring import (DECODE, PLAIN, PREFILL, ROUTER_PORTS, TOOLS, Failed, Router, get, say, tree, urls)

RIVALS = {"vllm-router": "0.1.17", "smg": "1.13.0", "sglang-router": "0.3.2"}


def nginx(fleet, kind):
    """A plain pass-through as one would tune it: connections kept on both sides, bodies in memory, nothing logged."""
    if kind != "plain":
        return None
    port, file = next(ROUTER_PORTS), fleet.folder / "nginx.conf"
    servers = "".join(f"server 127.0.0.1:{engine};\n" for engine in PLAIN)
    paths = "".join(f"{name}_temp_path {fleet.folder}/{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    file.write_text(f"""\
daemon off;
master_process off;
pid {fleet.folder}/nginx.pid;
error_log {fleet.folder}/nginx-error.log;
worker_rlimit_nofile {os.sysconf("SC_OPEN_MAX")};
events {{ worker_connections {os.sysconf("SC_OPEN_MAX")}; }}
http {{
    access_log off;
    {paths}
    client_body_buffer_size 1m;
    client_max_body_size 16m;
    keepalive_requests 100000000;
    upstream engine {{
        {servers}
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        location / {{
            proxy_pass http://engine;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
""")
    process, took = fleet.start("nginx", fleet.router_cpu, [tool("nginx"), "-c", file, "-e", fleet.folder / "nginx-error.log"], port, "/health")
    return Router("nginx", kind, port, tree(process.pid), took)


def haproxy(fleet, kind):
    if kind != "plain":
        return None
    port, file = next(ROUTER_PORTS), fleet.folder / "haproxy.cfg"
    servers = "".join(f"    server e{engine} 127.0.0.1:{engine}\n" for engine in PLAIN)
    file.write_text(f"""\
global
    nbthread 1
    maxconn {os.sysconf("SC_OPEN_MAX") // 2 - 100}
defaults
    mode http
    timeout connect 5s
    timeout client 300s
    timeout server 300s
    http-reuse always
listen router
    bind 127.0.0.1:{port} backlog 4096
    balance roundrobin
{servers}""")
    process, took = fleet.start("HAProxy", fleet.router_cpu, [tool("haproxy"), "-db", "-f", file], port, "/health")
    return Router("HAProxy", kind, port, tree(process.pid), took)


def tool(name):
    found = shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
    if not found:
        raise Failed(f"{name} is not installed (apt-get install {name})")
    return found


def rival(name):
    """The environment of a router from PyPI; made if it is not there."""
    home = TOOLS / f"{name}-{RIVALS[name]}"
    if not (home / "installed").exists():
        say(f"installing {name} {RIVALS[name]}")
        for command in ([sys.executable, "-m", "venv", "--clear", home],
                        [home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", f"{name}=={RIVALS[name]}"]):
            done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
            if done.returncode != 0:
                raise Failed(f"{name}=={RIVALS[name]} cannot be had: {done.stderr.strip()[-300:]}")
        (home / "installed").touch()
    return home / "bin"


def vllm_router(fleet, kind):
    port, metrics = next(ROUTER_PORTS), next(ROUTER_PORTS)
    command = [rival("vllm-router") / "vllm-router", "--host", "127.0.0.1", "--port", port, "--prometheus-port", metrics,
               "--worker-startup-check-interval", 1, "--log-level", "warning"]
    if kind == "plain":
        command += ["--worker-urls", *urls(PLAIN), "--policy", "round_robin"]
    else:
        command += ["--vllm-pd-disaggregation", "--kv-connector", "nixl", "--prefill-policy", "round_robin", "--decode-policy", "round_robin"]
        command += [word for url in urls(PREFILL) for word in ("--prefill", url)] + [word for url in urls(DECODE) for word in ("--decode", url)]
    process, took = fleet.start(f"vllm-router {kind}", fleet.router_cpu, command, port, "/health")
    return Router("vllm-router", kind, port, tree(process.pid), took)


def smg(fleet, kind):
    port, metrics = next(ROUTER_PORTS), next(ROUTER_PORTS)
    command = [rival("smg") / "smg", "launch", "--host", "127.0.0.1", "--port", port, "--prometheus-port", metrics, "--disable-retries",
               "--disable-tokenizer-autoload", "--log-level", "warn", "--max-concurrent-requests", -1]
    if kind == "plain":
        command += ["--worker-urls", *urls(PLAIN), "--policy", "round_robin"]
    else:
        # Registered below with the label that makes it send NIXL's parameters: without it every prompt is computed twice.
        command += ["--pd-disaggregation", "--prefill-policy", "round_robin", "--decode-policy", "round_robin"]
    process, took = fleet.start(f"smg {kind}", fleet.router_cpu, command, port, "/liveness")
    if kind != "plain":
        for role, ports in (("prefill", PREFILL), ("decode", DECODE)):
            for url in urls(ports):
                worker = {"url": url, "worker_type": role, "runtime": "vllm"}
                if role == "prefill":
                    worker["labels"] = {"kv_connector": "NixlConnector"}
                get(f"http://127.0.0.1:{port}/workers", 10, json.dumps(worker).encode(), {"Content-Type": "application/json"})
    return Router("smg", kind, port, tree(process.pid), took)


def sglang_router(fleet, kind):
    port, metrics = next(ROUTER_PORTS), next(ROUTER_PORTS)
    command = [rival("sglang-router") / "python", "-m", "sglang_router.launch_router", "--host", "127.0.0.1", "--port", port,
               "--prometheus-port", metrics, "--disable-retries", "--log-level", "warn", "--max-concurrent-requests", -1,
               "--policy", "round_robin"]
    if kind == "plain":
        command += ["--worker-urls", *urls(PLAIN)]
    else:
        command += ["--pd-disaggregation"]
        command += [word for url in urls(PREFILL) for word in ("--prefill", url, "8998")] + [word for url in urls(DECODE) for word in ("--decode", url)]
    process, took = fleet.start(f"sglang-router {kind}", fleet.router_cpu, command, port, "/health")
    return Router("sglang-router", kind, port, tree(process.pid), took, protocol="sglang")


STARTERS = {"nginx": nginx, "haproxy": haproxy, "vllm-router": vllm_router, "smg": smg, "sglang-router": sglang_router}
