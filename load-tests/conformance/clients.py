"""The cases of the official clients, and how each client is had. A client is a program of its own."""
import dataclasses
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading

from cases import (BYPASSED, CHAT, COMPLETIONS, DISAGGREGATED, MESSAGES, NO_PREFILL, NONE, PRIMED, RESPONSES, STREAM, WHOLE, Case)
from fleet import Failed

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
HOME = ROOT / "load-tests" / "target" / "conformance"
INSTALL_SECONDS, CASE_SECONDS = 600, 60
REPORT = "CASE "

PAIR, PLAIN = ("pair", DISAGGREGATED, None), ("plain", BYPASSED, NO_PREFILL)
RECORDED, KEPT = ("recorded", DISAGGREGATED, None), ("kept", BYPASSED, NO_PREFILL)
NOBODY = ("pair", NONE, None)


class Missing(Exception):
    """A client cannot be had here."""


@dataclasses.dataclass(frozen=True)
class Client:
    name: str
    cases: list
    command: object  # makes it ready and returns its command line; raises Missing


def declared(client, title, kind, apis, streams, routes):
    """One case for each of the product."""
    return [Case(title, client, api, streaming, way, why, kind=kind, model=model)
            for api in apis for streaming in streams for model, way, why in routes]


def of_openai(client):
    both, every = (WHOLE, STREAM), (CHAT, COMPLETIONS, RESPONSES)
    product = [
        ("text, end and usage are one engine's; the prompt is counted once", "answer", every, both, (PAIR, PLAIN)),
        ("n=3: three answers with their indexes, one engine's; the prompt is counted once", "n", (CHAT, COMPLETIONS), both,
         (("pair", PRIMED, "1"), PLAIN)),
        ("stop: the answer ends before the stop string, with finish_reason stop", "stop", (CHAT, COMPLETIONS), both, (PAIR, PLAIN)),
        ("logprobs: two alternatives of each token, one engine's numbers", "logprobs", (CHAT, COMPLETIONS), both, (PAIR, PLAIN)),
        ("tools reach the engine as they are, and its call the client", "tools", (CHAT,), both, (RECORDED, KEPT)),
        ("a negative truncate_prompt_tokens is computed by one worker", "alone", (COMPLETIONS,), both, (("pair", BYPASSED, "truncate_prompt_tokens"),)),
        ("a response that may be truncated is computed by one worker", "alone", (RESPONSES,), both, (("pair", BYPASSED, "truncation"),)),
        ("the list has all models; one model is found, another is not", "models", ("/v1/models",), (NONE,), (NOBODY,)),
        ("two embeddings", "embeddings", ("/v1/embeddings",), (WHOLE,), (("kept", BYPASSED, "/v1/embeddings is for one worker"),)),
        ("404: a model that nobody has", "unknown", (*every, "/v1/embeddings"), (WHOLE,), (NOBODY,)),
        ("400: a member of the wrong type", "bad", every, (WHOLE,), (NOBODY,)),
        ("400: more tokens than the engine has room for, in its words", "too-many", (CHAT, COMPLETIONS), both, (NOBODY,)),
        ("503: nobody listens", "gone", every, both, (("gone", NONE, None),)),
        ("a stream that breaks off amid an event is an error with its code", "dies", every, (STREAM,), (("recorded", NONE, None),)),
        ("a client that leaves a stream ends the exchange", "leaves", (CHAT, COMPLETIONS), (STREAM,), (NOBODY,)),
    ]
    return [case for line in product for case in declared(client, *line)]


def of_anthropic(client):
    both = (WHOLE, STREAM)
    product = [
        ("text, end and usage are one engine's; the prompt is counted once", "answer", (MESSAGES,), both, (PAIR, PLAIN)),
        ("stop_sequences: the answer ends before it, with stop_reason stop_sequence", "stop", (MESSAGES,), both, (PAIR, PLAIN)),
        ("tools reach the engine as they are, and its call the client", "tools", (MESSAGES,), (WHOLE,), (RECORDED, KEPT)),
        ("tokens are counted by one worker", "count", ("/v1/messages/count_tokens",), (WHOLE,),
         (("kept", BYPASSED, "/v1/messages/count_tokens is for one worker"),)),
        ("404: a model that nobody has", "unknown", (MESSAGES,), both, (NOBODY,)),
        ("400: a member of the wrong type", "bad", (MESSAGES,), (WHOLE,), (NOBODY,)),
        ("400: more tokens than the engine has room for, in its words", "too-many", (MESSAGES,), both, (NOBODY,)),
        ("503: nobody listens", "gone", (MESSAGES,), both, (("gone", NONE, None),)),
        ("a stream that breaks off amid an event is an error with its code", "dies", (MESSAGES,), (STREAM,), (("recorded", NONE, None),)),
        ("a client that leaves a stream ends the exchange", "leaves", (MESSAGES,), (STREAM,), (NOBODY,)),
    ]
    return [case for line in product for case in declared(client, *line)]


# ---- how they are had: pinned, in folders of their own, once ----

def install(what, folder, inputs, *commands, otherwise=Missing):
    """Runs commands unless they were run with the same inputs before; raises what it means that one of them fails."""
    mark, digest = folder / "installed", "".join(file.read_text() for file in inputs)
    if mark.exists() and mark.read_text() == digest:
        return
    mark.unlink(missing_ok=True)
    print(f"installing {what}", file=sys.stderr, flush=True)
    for command in commands:
        try:
            done = subprocess.run(list(map(str, command)), cwd=folder if folder.exists() else None, capture_output=True, text=True,
                                  timeout=INSTALL_SECONDS, stdin=subprocess.DEVNULL)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise otherwise(f"{what} cannot be had: {e}") from e
        if done.returncode != 0:
            raise otherwise(f"{what} cannot be had: {' '.join((done.stdout + done.stderr).split())[-300:]}")
    mark.write_text(digest)


def python(program):
    def command():
        home, pins = HOME / "python", HERE / "requirements.txt"
        install("the clients for Python", home, [pins], [sys.executable, "-m", "venv", "--clear", home],
                [home / "bin" / "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", pins])
        return [home / "bin" / "python", HERE / "clients" / program]
    return command


def javascript():
    if not shutil.which("node") or not shutil.which("npm"):
        raise Missing("Node.js and npm are not installed")
    home, sources = HOME / "js", HERE / "clients" / "js"
    home.mkdir(parents=True, exist_ok=True)
    pins = [sources / "package.json", sources / "package-lock.json"]
    for file in (*pins, sources / "openai.mjs"):
        shutil.copy(file, home)
    install("the client for JavaScript", home, pins, ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"])
    return ["node", home / "openai.mjs"]


def java():
    """Maven resolves and compiles; its profile writes down the class path. A program that does not compile is no missing client."""
    home, resolved = HOME / "java", HOME / "java-resolved"
    maven = ["mvn", "-B", "-ntp", "-q", "-f", ROOT / "pom.xml", "-Pconformance", "-pl", "load-tests"]
    poms, sources = [ROOT / "pom.xml", ROOT / "load-tests" / "pom.xml"], sorted((ROOT / "load-tests" / "src" / "conformance").rglob("*.java"))
    for folder in (home, resolved):
        folder.mkdir(parents=True, exist_ok=True)
    install("the client for Java", resolved, poms, [*maven, "dependency:resolve"])
    install("the program for it", home, [*poms, *sources], [*maven, "process-test-classes"], otherwise=Failed)
    jdk = subprocess.run(["bash", "-c", ". scripts/find-jdk.sh && find_jdk 25"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return [pathlib.Path(jdk) / "bin" / "java", "-cp", (home / "classpath").read_text().strip(), "dev.millrace.conformance.OpenAiCases"]


CLIENTS = [
    Client("openai, Python", of_openai("openai, Python"), python("openai_python.py")),
    Client("anthropic, Python", of_anthropic("anthropic, Python"), python("anthropic_python.py")),
    Client("openai, npm", of_openai("openai, npm"), javascript),
    Client("openai-java", of_openai("openai-java"), java),
]


# ---- a client at work ----

class Program:
    """A client's program: it is told a case, a line, and says what came of it, a line, before it is told the next."""

    def __init__(self, client, command, fleet):
        plan = fleet.folder / f"{client.name}.json"
        plan.write_text(json.dumps({"router": fleet.router, "recorder": fleet.recorder.url("both"),
                                    "engines": {"pair": fleet.url["alone"], "plain": fleet.url["plain"]}}))
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ANTHROPIC_"))}
        self.log = fleet.folder / f"{client.name}.log"
        with self.log.open("w") as out:
            self.process = subprocess.Popen(list(map(str, [*command, plan])), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=out, text=True,
                                            env=environment)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        self.process.stdout.close()

    def play(self, request_id, case):
        """None if all is well, else what is wrong."""
        told = {"id": request_id, "kind": case.kind, "api": case.api, "stream": case.streaming == STREAM, "model": case.model}
        stopper = threading.Timer(CASE_SECONDS, self.process.kill)
        stopper.start()
        try:
            self.process.stdin.write(json.dumps(told) + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith(REPORT):
                    return json.loads(line.removeprefix(REPORT))
        except OSError:
            pass  # It has ended; its log says more.
        finally:
            stopper.cancel()
        return f"the client's program said nothing of it: {' / '.join(self.log.read_text(errors='replace').splitlines())[-300:]}"
