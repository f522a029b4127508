"""A new process that opens one graph and answers one image, and says when it did what. Run by `cold`, as a script.

    python -P cold_process.py BUNDLE GRAPH BACKEND IMAGE [peer [CHECKPOINT]]

It imports what a rig imports and no more, so nothing of `daenr_bench` but a peer.
"""

import time

STARTED_NS = time.perf_counter_ns()

import json  # noqa: E402  (the clock is read before anything is imported)
import sys  # noqa: E402


def main(path: str, graph: str, backend: str, row: str, kind: str = "", checkpoint: str | None = None) -> None:
    """Print the instants and the answers to one golden input as one line of JSON."""
    from pathlib import Path

    from daenr_export.bundle import Bundle
    from daenr_export.runtime import registry
    from daenr_export.runtime.protocol import Backend

    if kind == "peer":
        from daenr_bench.peers.registry import make

        opened_on: Backend = make(backend, Path(checkpoint) if checkpoint else None)
        opened_on.why_unavailable()  # imports its library
    else:
        opened_on = registry.pick(backend)
    imported_ns = time.perf_counter_ns()
    bundle = Bundle.open(path, whole=False)  # as `daenr_export.load` does
    source = bundle.graph(graph)
    session = opened_on.open(source)
    opened_ns = time.perf_counter_ns()
    from daenr_export.bundle.golden import Golden

    image = Golden(bundle.golden()).inputs(source.spec)[int(row) : int(row) + 1]
    asked_ns = time.perf_counter_ns()
    answers = session.run(image)
    answered_ns = time.perf_counter_ns()
    instants = {
        "started": STARTED_NS,
        "imported": imported_ns,
        "opened": opened_ns,
        "asked": asked_ns,
        "answered": answered_ns,
    }
    print(json.dumps(instants | {"answers": [answer.ravel().tolist() for answer in answers]}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
