"""A NIXL agent on NIXL's own Python package, driven line by line by NixlPythonTest.

Needs the packages nixl and numpy; no torch, no GPU. Answers every command with one line.
"""

import sys
import time

import numpy as np
from nixl._api import nixl_agent, nixl_agent_config

BLOCK = 4096
PATIENCE_SECONDS = 30


def pattern(count_bytes, seed):
    """The same words as Pattern.memory on the Java side."""
    with np.errstate(over="ignore"):
        at = np.arange(0, count_bytes, 8, dtype=np.uint64)
        return (at + np.uint64(seed)) * np.uint64(0x9E3779B97F4A7C15)


def main():
    name, count_bytes, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    agent = nixl_agent(name, nixl_agent_config(backends=["UCX"]))
    source = pattern(count_bytes, seed)
    target = np.zeros(count_bytes // 8, dtype=np.uint64)
    for memory in (source, target):
        agent.register_memory([(memory.ctypes.data, count_bytes, 0, "")], "DRAM")
    print("READY", agent.get_agent_metadata().hex(), source.ctypes.data, flush=True)
    for line in sys.stdin:
        command, *words = line.split()
        if command == "HEARD":
            print("HEARD", wait_for_notification(agent), flush=True)
        elif command == "READ":
            print("READ", read(agent, target, count_bytes, *words), flush=True)
        elif command == "TELL":
            agent.send_notif(words[0], bytes.fromhex(words[1]))
            print("TOLD", flush=True)


def wait_for_notification(agent):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        for notifications in agent.get_new_notifs().values():
            return notifications[0].hex()
        time.sleep(0.001)
    return "nothing"


def read(agent, target, count_bytes, metadata, address, seed, notification):
    """Reads all blocks in another order than they are in; says how many words are wrong."""
    peer = agent.add_remote_agent(bytes.fromhex(metadata))
    peer = peer.decode() if isinstance(peer, bytes) else peer
    blocks = count_bytes // BLOCK
    order = np.random.default_rng(1).permutation(blocks)
    local = [(target.ctypes.data + i * BLOCK, BLOCK, 0) for i in range(blocks)]
    remote = [(int(address) + int(i) * BLOCK, BLOCK, 0) for i in order]
    handle = agent.initialize_xfer(
        "READ",
        agent.get_xfer_descs(local, "DRAM"),
        agent.get_xfer_descs(remote, "DRAM"),
        peer,
        bytes.fromhex(notification),
    )
    state = agent.transfer(handle)
    end = time.monotonic() + PATIENCE_SECONDS
    while state == "PROC" and time.monotonic() < end:
        time.sleep(0.0001)
        state = agent.check_xfer_state(handle)
    agent.release_xfer_handle(handle)
    expected = pattern(count_bytes, int(seed)).reshape(blocks, -1)[order].reshape(-1)
    return f"{state} {int((target != expected).sum())} {peer}"


main()
