"""Reads pieces of another NIXL agent's memory with NIXL's own Python package, and prints what they hash to.

read_once.py METADATA_HEX < lines of "address length", in order; prints SHA256 and the digest in hexadecimal
"""

import hashlib
import sys
import time

import numpy as np
from nixl._api import nixl_agent, nixl_agent_config


def main():
    pieces = np.array([line.split() for line in sys.stdin if line.strip()], dtype=np.uint64)
    agent = nixl_agent("second-reader-%d" % time.time_ns(), nixl_agent_config(backends=["UCX"]))
    target = np.zeros(int(pieces[:, 1].sum()), dtype=np.uint8)
    agent.register_memory([(target.ctypes.data, target.nbytes, 0, "")], "DRAM")
    peer = agent.add_remote_agent(bytes.fromhex(sys.argv[1]))
    ends = np.cumsum(pieces[:, 1])
    starts = np.uint64(target.ctypes.data) + ends - pieces[:, 1]
    zeros = np.zeros_like(starts)
    local = agent.get_xfer_descs(np.stack([starts, pieces[:, 1], zeros], 1), "DRAM")
    remote = agent.get_xfer_descs(np.stack([pieces[:, 0], pieces[:, 1], zeros], 1), "DRAM")
    handle = agent.initialize_xfer("READ", local, remote, peer, b"")
    state = agent.transfer(handle)
    while state == "PROC":
        state = agent.check_xfer_state(handle)
    agent.release_xfer_handle(handle)
    if state != "DONE":
        sys.exit("the read ended with " + state)
    print("SHA256", hashlib.sha256(target.tobytes()).hexdigest(), target.nbytes, flush=True)


main()
