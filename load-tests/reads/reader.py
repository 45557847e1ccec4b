"""Reads blocks with NIXL's own Python package, as an inference engine does: both lists are prepared
once, and a request is made of indices, posted and polled. Prints a line per cell, as the Java
readers do: block bytes, order, bytes per second.
"""

import sys
import time

import numpy as np
from nixl._api import nixl_agent, nixl_agent_config

REPETITIONS = 7
BLOCKS = (512, 4 << 10, 64 << 10, 1 << 20)


def main():
    metadata, address, most = bytes.fromhex(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    agent = nixl_agent("reader-%d" % time.time_ns(), nixl_agent_config(backends=["UCX"]))
    target = np.zeros(most // 8, dtype=np.uint64)
    agent.register_memory([(target.ctypes.data, most, 0, "")], "DRAM")
    peer = agent.add_remote_agent(metadata)
    peer = peer.decode() if isinstance(peer, bytes) else peer
    with np.errstate(over="ignore"):
        words = (np.arange(0, most, 8, dtype=np.uint64) + np.uint64(5)) * np.uint64(0x9E3779B97F4A7C15)
    for block in BLOCKS:
        size = most // 4 if block < 4096 else most
        count = size // block
        rows = np.zeros((count, 3), dtype=np.uint64)
        rows[:, 1] = block
        rows[:, 0] = np.uint64(address) + np.arange(count, dtype=np.uint64) * np.uint64(block)
        remote = agent.prep_xfer_dlist(peer, rows, "DRAM")
        rows[:, 0] = np.uint64(target.ctypes.data) + np.arange(count, dtype=np.uint64) * np.uint64(block)
        local = agent.prep_xfer_dlist("NIXL_INIT_AGENT", rows, "DRAM")
        order = np.arange(count, dtype=np.int32)
        report(agent, local, order, remote, order, block, "in order", size)
        check(target, words, order, order, block, size)
        here, there = np.random.default_rng(8).permutation(order), np.random.default_rng(7).permutation(order)
        report(agent, local, here, remote, there, block, "scattered", size)
        check(target, words, here, there, block, size)
        agent.release_dlist_handle(local)
        agent.release_dlist_handle(remote)


def report(agent, local, here, remote, there, block, order, size):
    seconds = []
    for _ in range(REPETITIONS + 1):
        start = time.perf_counter()
        handle = agent.make_prepped_xfer("READ", local, here, remote, there)
        state = agent.transfer(handle)
        while state == "PROC":
            state = agent.check_xfer_state(handle)
        agent.release_xfer_handle(handle)
        seconds.append(time.perf_counter() - start)
        if state != "DONE":
            sys.exit("the read ended with " + state)
    print("%d;%s;%.0f" % (block, order, size / sorted(seconds[1:])[REPETITIONS // 2]), flush=True)


def check(target, words, here, there, block, size):
    expected = np.empty_like(target[: size // 8]).reshape(-1, block // 8)
    expected[here] = words[: size // 8].reshape(-1, block // 8)[there]
    if not np.array_equal(expected.reshape(-1), target[: size // 8]):
        sys.exit("wrong bytes")


main()
